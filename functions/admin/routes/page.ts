/** Cursor pagination: the query parameters and the answer of every list. */
import { z } from 'zod';
import { sha256 } from '../../../lib/crypto/digest.ts';
import { concatBytes, equalBytes, fromBase64url, fromUtf8, toBase64url, utf8 } from '../../../lib/crypto/encoding.ts';
import { Problem } from '../problem.ts';

const maxPage = 500;
/** The longest position names a resource, which has 512 characters at most. */
const maxCursor = 3_000;
/** Of SHA-256 over the list's name and the position. */
const checkBytes = 8;

/** `limit` comes as text; `cursor` is opaque to callers, and means something to the list alone that gave it. */
export const pageQuery = {
  limit: z
    .string()
    .regex(/^[1-9][0-9]{0,3}$/, 'must be a number from 1 to 500')
    .transform(Number)
    .refine((limit) => limit <= maxPage, 'must be a number from 1 to 500')
    .default(100),
  cursor: z.string().min(1).max(maxCursor).optional(),
};

/**
 * One page: at most `limit` items. It may have fewer, and even none: only an absent `next` is the end. `next` is the
 * `cursor` of the following page.
 */
export type PageOf<T> = { readonly items: readonly T[]; readonly next?: string };

/** `list` names the list with what it is narrowed to, so that a cursor of one is none of another. */
export function pageOf<T>(list: string, items: readonly T[], position: string | undefined): PageOf<T> {
  return position === undefined ? { items } : { items, next: formatCursor(list, position) };
}

/**
 * The position that a page of this list ended at. Throws `Problem` 400 for a cursor that this list did not give, one with
 * a changed character included. It is no secret, and whoever makes one up is shown nothing that the list would not show
 * them anyway; `parse` gives `undefined` for what is no position.
 */
export function positionOf<T>(
  list: string,
  cursor: string | undefined,
  parse: (position: string) => T | undefined,
): T | undefined {
  if (cursor === undefined) return undefined;
  const position = parseCursor(list, cursor);
  const parsed = position === undefined ? undefined : parse(position);
  if (parsed === undefined) throw new Problem('invalid-request', 'query.cursor: not one that this list gave');
  return parsed;
}

/** Base64url of the check and the position. For what is no list, its name is one all the same. */
export function formatCursor(list: string, position: string): string {
  return toBase64url(concatBytes(checkOf(list, position), utf8(position)));
}

export function parseCursor(list: string, cursor: string): string | undefined {
  try {
    const bytes = fromBase64url(cursor);
    const position = fromUtf8(bytes.subarray(checkBytes));
    return equalBytes(bytes.subarray(0, checkBytes), checkOf(list, position)) ? position : undefined;
  } catch (_malformed) {
    return undefined;
  }
}

function checkOf(list: string, position: string): Uint8Array {
  return sha256(utf8(`holdfast/cursor/v1\0${list}\0${position}`)).subarray(0, checkBytes);
}

/** Times in JSON, from Unix milliseconds. */
export function isoTime(unixMs: number): string {
  return new Date(unixMs).toISOString();
}
