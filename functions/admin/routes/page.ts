/** Cursor pagination: the query parameters and the answer of every list. */
import { z } from 'zod';

const maxPage = 500;

/** `limit` comes as text; `cursor` is opaque to callers, and each route parses its own. */
export const pageQuery = {
  limit: z
    .string()
    .regex(/^[1-9][0-9]{0,3}$/, 'must be a number from 1 to 500')
    .transform(Number)
    .refine((limit) => limit <= maxPage, 'must be a number from 1 to 500')
    .default(100),
  cursor: z.string().min(1).max(300).optional(),
};

/** One page. `next`, when there may be more, is the `cursor` of the following page. */
export type PageOf<T> = { readonly items: readonly T[]; readonly next?: string };

/** Times in JSON, from Unix milliseconds. */
export function isoTime(unixMs: number): string {
  return new Date(unixMs).toISOString();
}
