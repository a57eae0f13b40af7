/**
 * `line`: one line of a text file that is otherwise somebody else's. Every other byte of the file stays as it is,
 * whatever its encoding.
 *
 * With `prefix`, exactly one line of the file begins so, and it is `line`: the first such line becomes it, further ones
 * go. Without, some line equals `line`. A line that has to be added goes to the end; if the file didn't end in a
 * newline, it gets one first, and the added line always ends in one. `absent` removes every line that equals `line`
 * (or begins with `prefix`). A missing file counts as empty. `prefix` is plain text: a regular expression from a crate
 * could keep a node busy for ever.
 */
import { z } from 'zod';
import type { Difference, Executor } from '../executor.ts';
import type { HostView } from '../host.ts';
import { HostError } from '../host.ts';
import { absolutePath, account, declaredOwner } from './fields.ts';

const maxFileBytes = 8 * 1024 * 1024;
const createdMode = 0o644;

const oneLine = z
  .string()
  .min(1)
  .max(4096)
  .refine((value) => !/[\n\r\0]/.test(value), 'must be one line');

const schema = z
  .strictObject({
    path: absolutePath,
    line: oneLine,
    prefix: oneLine.optional(),
    state: z.enum(['present', 'absent']).default('present'),
    /** Whose directory the file may stand in. An existing file keeps its owner, group and mode. */
    owner: account.optional(),
  })
  .refine((desired) => desired.prefix === undefined || desired.line.startsWith(desired.prefix), {
    message: 'line must begin with prefix, or it would be replaced again on the next run',
    path: ['prefix'],
  });

export type Line = z.output<typeof schema>;
export type LineDifference = Difference & { readonly reason: string };

export const line: Executor<Line, LineDifference> = {
  name: 'line',
  schema,
  id: (desired) => `${desired.path}#${shortId(desired.prefix ?? desired.line)}`,
  paths: (desired) => [desired.path],

  async check(desired, host) {
    const current = await readText(desired, host);
    if (edit(current ?? '', desired) === (current ?? '')) {
      return undefined;
    }
    if (desired.state === 'absent') {
      return { change: 'removed', reason: 'the line is there' };
    }
    return current === undefined
      ? { change: 'created', reason: 'the file does not exist' }
      : { change: 'updated', reason: 'the line is missing or differs' };
  },

  async apply(_found, desired, host) {
    const place = { path: desired.path, owner: await declaredOwner(desired.owner, host) };
    const status = await host.inspect(place);
    const text = edit((await readText(desired, host)) ?? '', desired);
    const uid = place.owner ?? host.self.uid;
    await host.writeFile(place, Buffer.from(text, 'latin1'), status ?? { mode: createdMode, uid, gid: host.self.gid });
  },

  describe: (found) => found.reason,
};

/** The file's bytes as text, one character a byte, so that any encoding survives; undefined when there is no file. */
async function readText(desired: Line, host: HostView): Promise<string | undefined> {
  const place = { path: desired.path, owner: await declaredOwner(desired.owner, host) };
  const status = await host.inspect(place);
  if (status === undefined) {
    return undefined;
  }
  if (status.kind !== 'file') {
    throw new HostError('wrong_kind', `${JSON.stringify(desired.path)} is not a regular file`);
  }
  return Buffer.from(await host.read(place, maxFileBytes)).toString('latin1');
}

/** The text as desired; the same text when it is so already. */
export function edit(text: string, desired: Pick<Line, 'line' | 'prefix' | 'state'>): string {
  const wanted = asBytes(desired.line);
  const prefix = desired.prefix === undefined ? undefined : asBytes(desired.prefix);
  const matches = (candidate: string) => (prefix === undefined ? candidate === wanted : candidate.startsWith(prefix));
  const ended = text === '' || text.endsWith('\n');
  // Each with its newline, but for an unended last one.
  const lines = text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
  const body = (whole: string) => (whole.endsWith('\n') ? whole.slice(0, -1) : whole);

  if (desired.state === 'absent') {
    return lines.filter((whole) => !matches(body(whole))).join('');
  }
  const first = lines.findIndex((whole) => matches(body(whole)));
  if (first < 0) {
    return `${text}${ended ? '' : '\n'}${wanted}\n`;
  }
  if (prefix === undefined) {
    return text;
  }
  return lines
    .filter((whole, index) => index === first || !matches(body(whole)))
    .map((whole) => (matches(body(whole)) ? `${wanted}${whole.endsWith('\n') ? '\n' : ''}` : whole))
    .join('');
}

/** Ids are short and have no control characters; a line may have a tab. */
function shortId(text: string): string {
  return [...text.replace(/\p{Cc}/gu, ' ')].slice(0, 200).join('');
}

function asBytes(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}
