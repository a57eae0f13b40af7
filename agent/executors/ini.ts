/**
 * `ini`: one value of an INI file that is otherwise somebody else's: `key` in `section` (or before the first section)
 * is there once, with this value. `absent` removes the key; without a key, the whole section.
 */
import { z } from 'zod';
import { editIni, removeSection } from '../edit/ini-text.ts';
import { asBytes, readText, writeText } from '../edit/text-file.ts';
import type { Difference, Executor } from '../executor.ts';
import { absolutePath, account, declaredOwner, oneLine, state } from './fields.ts';

const schema = z
  .strictObject({
    path: absolutePath,
    section: oneLine.regex(/^[^\][]+$/, 'must have no brackets').optional(),
    key: oneLine.regex(/^[^\s=:#;[][^=:]*(?<!\s)$/, 'must be a key, without "=" and ":"').optional(),
    state,
    /** As it stands in the file, quotes included. */
    value: z
      .union([
        oneLine.refine((text) => text === text.trim() && !text.endsWith('\\'), 'must have no space around it'),
        z.int(),
        z.boolean(),
      ])
      .optional(),
    /** Between a new key and its value; an existing key keeps its own. */
    separator: z
      .string()
      .regex(/^ {0,4}[=:] {0,4}$/, 'must be "=" or ":", with or without spaces')
      .default(' = '),
    /** Whose directory the file may stand in. An existing file keeps its owner, group and mode. */
    owner: account.optional(),
  })
  .refine((desired) => desired.state === 'absent' || (desired.key !== undefined && desired.value !== undefined), {
    message: 'key and value are required, unless the state is "absent"',
    path: ['value'],
  })
  .refine((desired) => desired.key !== undefined || desired.section !== undefined, {
    message: 'key or section is required',
    path: ['key'],
  });

export type Ini = z.output<typeof schema>;
export type IniDifference = Difference & { readonly reason: string };

export const ini: Executor<Ini, IniDifference> = {
  name: 'ini',
  schema,
  id: (desired) => `${desired.path}#${desired.section ?? ''}${desired.key === undefined ? '' : `.${desired.key}`}`,
  paths: (desired) => [desired.path],

  async check(desired, host) {
    const current = await readText({ path: desired.path, owner: await declaredOwner(desired.owner, host) }, host);
    if (edited(current ?? '', desired) === (current ?? '')) {
      return undefined;
    }
    if (desired.state === 'absent') {
      return { change: 'removed', reason: desired.key === undefined ? 'the section is there' : 'the key is there' };
    }
    return current === undefined
      ? { change: 'created', reason: 'the file does not exist' }
      : { change: 'updated', reason: 'the value is missing or differs' };
  },

  async apply(_found, desired, host) {
    const place = { path: desired.path, owner: await declaredOwner(desired.owner, host) };
    await writeText(place, edited((await readText(place, host)) ?? '', desired), host);
  },

  describe: (found) => found.reason,
};

function edited(text: string, desired: Ini): string {
  const section = desired.section === undefined ? undefined : asBytes(desired.section);
  if (desired.key === undefined) {
    return section === undefined ? text : removeSection(text, section);
  }
  const value = desired.state === 'absent' ? undefined : asBytes(String(desired.value));
  return editIni(text, { section, key: asBytes(desired.key) }, value, desired.separator);
}
