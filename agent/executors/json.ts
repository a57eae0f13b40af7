/**
 * `json`: one value of a JSON file that is otherwise somebody else's, by its pointer (RFC 6901). Objects missing on
 * the way are made; every other byte of the file stays. Values are compared as values, not as text.
 */
import { z } from 'zod';
import { type JsonValue, parsePointer, removeJson, setJson } from '../edit/json-text.ts';
import type { Difference, Executor } from '../executor.ts';
import { type Host, HostError, type HostView } from '../host.ts';
import { absolutePath, account, declaredOwner, state } from './fields.ts';

const maxFileBytes = 8 * 1024 * 1024;
const createdMode = 0o644;

const value: z.ZodType<JsonValue> = z.json();

const schema = z
  .strictObject({
    path: absolutePath,
    /** Such as "/log/level"; `~1` for a slash in a key, `~0` for a tilde. A number is a place in an array. */
    pointer: z
      .string()
      .min(1)
      .max(1024)
      .refine(
        (text) => parsePointer(text) !== undefined && !/\p{Cc}/u.test(text),
        'must be a JSON pointer, such as "/log/level"',
      ),
    state,
    value: value.optional(),
    /** Whose directory the file may stand in. An existing file keeps its owner, group and mode. */
    owner: account.optional(),
  })
  .refine((desired) => desired.state === 'absent' || desired.value !== undefined, {
    message: 'is required, unless the state is "absent"',
    path: ['value'],
  });

export type Json = z.output<typeof schema>;
export type JsonDifference = Difference & { readonly reason: string };

export const json: Executor<Json, JsonDifference> = {
  name: 'json',
  schema,
  id: (desired) => `${desired.path}#${desired.pointer}`,
  paths: (desired) => [desired.path],

  async check(desired, host) {
    const current = await read(desired, host);
    if (edited(current ?? '', desired) === (current ?? '')) {
      return undefined;
    }
    if (desired.state === 'absent') {
      return { change: 'removed', reason: 'there is a value' };
    }
    return current === undefined
      ? { change: 'created', reason: 'the file does not exist' }
      : { change: 'updated', reason: 'the value is missing or differs' };
  },

  async apply(_found, desired, host) {
    await write(desired, edited((await read(desired, host)) ?? '', desired), host);
  },

  describe: (found) => found.reason,
};

function edited(text: string, desired: Json): string {
  const pointer = parsePointer(desired.pointer) ?? [];
  try {
    return desired.state === 'absent' || desired.value === undefined
      ? removeJson(text, pointer)
      : setJson(text, pointer, desired.value);
  } catch (error) {
    if (error instanceof SyntaxError) {
      throw new HostError('wrong_kind', `${JSON.stringify(desired.path)} can't be edited as JSON: ${error.message}`);
    }
    throw error;
  }
}

/** JSON is UTF-8 (RFC 8259, section 8.1): anything else is refused rather than changed in passing. */
async function read(desired: Json, host: HostView): Promise<string | undefined> {
  const place = { path: desired.path, owner: await declaredOwner(desired.owner, host) };
  const status = await host.inspect(place);
  if (status === undefined) {
    return undefined;
  }
  if (status.kind !== 'file') {
    throw new HostError('wrong_kind', `${JSON.stringify(desired.path)} is not a regular file`);
  }
  const bytes = await host.read(place, maxFileBytes);
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw new HostError('wrong_kind', `${JSON.stringify(desired.path)} is not UTF-8`, { cause: error });
  }
}

async function write(desired: Json, text: string, host: Host): Promise<void> {
  const place = { path: desired.path, owner: await declaredOwner(desired.owner, host) };
  const status = await host.inspect(place);
  const ownership = status ?? { mode: createdMode, uid: place.owner ?? host.self.uid, gid: host.self.gid };
  await host.writeFile(place, new TextEncoder().encode(text), ownership);
}
