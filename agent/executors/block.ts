/**
 * `block`: several lines between two marks, in a text file that is otherwise somebody else's. The marks carry the
 * block's name, so that a file can hold several. A new block goes to the end; an existing one is kept where it is.
 */
import { z } from 'zod';
import { editBlock, type Marks } from '../edit/block-text.ts';
import { asBytes, readText, writeText } from '../edit/text-file.ts';
import type { Difference, Executor } from '../executor.ts';
import { absolutePath, account, declaredOwner, oneLine, state } from './fields.ts';

const maxContentLength = 256 * 1024;

const schema = z
  .strictObject({
    path: absolutePath,
    /** Tells the blocks of a file apart. */
    name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}$/, 'must be letters, digits, spaces, ".", "_" and "-"'),
    state,
    /** The lines between the marks. */
    content: z
      .string()
      .max(maxContentLength)
      .refine((text) => !/[\r\0]/.test(text), 'must have Unix newlines and no NUL')
      .optional(),
    /** How a comment begins in this file, and how it ends where it must. */
    comment: oneLine.min(1).default('#'),
    comment_end: oneLine.optional(),
    /** Whose directory the file may stand in. An existing file keeps its owner, group and mode. */
    owner: account.optional(),
  })
  .refine((desired) => desired.state === 'absent' || desired.content !== undefined, {
    message: 'is required, unless the state is "absent"',
    path: ['content'],
  })
  .refine((desired) => !linesOfBlock(desired).some((line) => Object.values(marksOf(desired)).includes(line)), {
    message: 'must not hold the marks of the block itself',
    path: ['content'],
  });

type MarkFields = { readonly name: string; readonly comment: string; readonly comment_end?: string | undefined };

export type Block = z.output<typeof schema>;
export type BlockDifference = Difference & { readonly reason: string };

export const block: Executor<Block, BlockDifference> = {
  name: 'block',
  schema,
  id: (desired) => `${desired.path}#${desired.name}`,
  paths: (desired) => [desired.path],

  async check(desired, host) {
    const current = await readText({ path: desired.path, owner: await declaredOwner(desired.owner, host) }, host);
    if (edited(current ?? '', desired) === (current ?? '')) {
      return undefined;
    }
    if (desired.state === 'absent') {
      return { change: 'removed', reason: 'the block is there' };
    }
    return current === undefined
      ? { change: 'created', reason: 'the file does not exist' }
      : { change: 'updated', reason: 'the block is missing or differs' };
  },

  async apply(_found, desired, host) {
    const place = { path: desired.path, owner: await declaredOwner(desired.owner, host) };
    await writeText(place, edited((await readText(place, host)) ?? '', desired), host);
  },

  describe: (found) => found.reason,
};

function edited(text: string, desired: Block): string {
  return editBlock(text, marksOf(desired), desired.state === 'absent' ? undefined : linesOfBlock(desired));
}

function marksOf(desired: MarkFields): Marks {
  const mark = (word: string) =>
    asBytes(
      `${desired.comment} ${word} holdfast ${desired.name}${desired.comment_end === undefined ? '' : ` ${desired.comment_end}`}`,
    );
  return { begin: mark('BEGIN'), end: mark('END') };
}

function linesOfBlock(desired: { readonly content?: string | undefined }): readonly string[] {
  const content = asBytes(desired.content ?? '');
  return content === '' ? [] : content.replace(/\n$/, '').split('\n');
}
