/** The releases that were published, as the store keeps them. A stored release is relayed, and verified by who uses it. */

import type { Item, Key, Store } from '../store/port.ts';
import { PolicyError } from './errors.ts';
import { type Manifest, parseManifest } from './model.ts';
import { digestPattern } from './names.ts';
import type { ReleaseRef } from './verify.ts';

export type StoredRelease = ReleaseRef & {
  readonly manifest: Uint8Array;
  readonly signatures: readonly string[];
  /** Unix milliseconds. */
  readonly publishedAt: number;
};

/** A line of the history. */
export type ReleaseSummary = ReleaseRef &
  Pick<Manifest, 'created' | 'expires'> & {
    readonly publishedAt: number;
    readonly crates: number;
    readonly signatures: number;
  };

const partition = 'release';
/** Where the current release's number and digest are; what the gateway watches. */
export const currentKey: Key = { pk: partition, sk: 'current' };

export function releaseKey(number: number): Key {
  return { pk: partition, sk: String(number).padStart(10, '0') };
}

/** `undefined` until the first release. Throws `PolicyError` `malformed` when it can't be read back. */
export async function currentRelease(store: Store): Promise<ReleaseRef | undefined> {
  const item = await store.get(currentKey);
  return item === undefined ? undefined : parseReleaseRef(item);
}

/** Reads the item at `currentKey`, also as the change feed brings it. */
export function parseReleaseRef(item: Item): ReleaseRef {
  const { number, digest } = item;
  if (typeof number !== 'number' || !Number.isSafeInteger(number) || number < 1) throw corrupt('number');
  if (typeof digest !== 'string' || !digestPattern.test(digest)) throw corrupt('digest');
  return { number, digest };
}

export async function getRelease(store: Store, number: number): Promise<StoredRelease | undefined> {
  const item = await store.get(releaseKey(number));
  return item === undefined ? undefined : parseStored(item);
}

/** Newest first, one page, which may have fewer than `limit`; `next`, when there may be more, is the `before` that goes on. */
export async function listReleases(
  store: Store,
  options: { readonly limit: number; readonly before?: number },
): Promise<{ readonly releases: readonly ReleaseSummary[]; readonly next?: number }> {
  // ':' follows '9': numbers only, without "current".
  const to = options.before === undefined ? ':' : releaseKey(options.before).sk;
  const page = await store.query({ pk: partition, from: '0', to, limit: options.limit, descending: true });
  const releases = page.items.map((item) => {
    const { number, digest, manifest, signatures, publishedAt } = parseStored(item);
    const { created, expires, crates } = parseManifest(manifest);
    return { number, digest, created, expires, publishedAt, crates: crates.length, signatures: signatures.length };
  });
  return { releases, ...(page.next === undefined ? {} : { next: Number(page.next) }) };
}

function parseStored(item: Item): StoredRelease {
  const { manifest, signatures, publishedAt } = item;
  if (!(manifest instanceof Uint8Array)) throw corrupt('manifest');
  if (!Array.isArray(signatures) || !signatures.every((signature) => typeof signature === 'string')) {
    throw corrupt('signatures');
  }
  if (typeof publishedAt !== 'number') throw corrupt('publishedAt');
  return { ...parseReleaseRef(item), manifest, signatures, publishedAt };
}

function corrupt(attribute: string): PolicyError {
  return new PolicyError('malformed', `a stored release has no usable ${attribute}`);
}
