/** Who can read a secret, by the current release, and who has read it, when and at which version, by the audit log. */
import { listEntries } from '../audit/list.ts';
import { listNodes } from '../identity/nodes.ts';
import { currentRelease, getRelease } from '../policy/history.ts';
import { parseManifest } from '../policy/model.ts';
import type { BlobStore } from '../store/blobs.ts';
import type { Store } from '../store/port.ts';
import { createEntitlement } from './entitlement.ts';

export type ReaderDeps = {
  readonly store: Store;
  readonly blobs: Pick<BlobStore, 'get'>;
  /** The audit log's origin. */
  readonly origin: string;
};

export type PossibleReader = { readonly uuid: string; readonly name: string };
export type PastRead = {
  readonly uuid: string;
  readonly at: string;
  readonly version: number;
  readonly release: number;
};

/** Active nodes that would get the secret if they asked now. Throws `SecretsError` `unavailable`. */
export async function possibleReaders({ store, blobs }: ReaderDeps, path: string): Promise<readonly PossibleReader[]> {
  const current = await currentRelease(store);
  const release = current === undefined ? undefined : await getRelease(store, current.number);
  if (release === undefined) return [];
  const entitlement = createEntitlement({ blobs });
  const entitled = { digest: release.digest, manifest: parseManifest(release.manifest) };
  const readers: PossibleReader[] = [];
  for await (const node of listNodes(store)) {
    if (node.state !== 'active') continue;
    if ((await entitlement.pathsFor(entitled, node)).has(path)) readers.push({ uuid: node.uuid, name: node.name });
  }
  return readers.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.uuid < b.uuid ? -1 : 1));
}

/**
 * Sealed entries only, newest first. `looked` says how many entries of the log this rests on; `next` is where to go on,
 * when there is more to look at.
 */
export async function pastReads(
  { store, origin }: ReaderDeps,
  path: string,
  query: { readonly limit: number; readonly from?: number },
): Promise<{ readonly reads: readonly PastRead[]; readonly next?: number; readonly size: number }> {
  const reads: PastRead[] = [];
  let from = query.from;
  for (;;) {
    const page = await listEntries(
      { store, origin },
      { order: 'newest', limit: 100, type: 'secret.release', ...(from === undefined ? {} : { from }) },
    );
    for (const { index, entry } of page.entries) {
      if (entry.op.phase !== 'outcome') continue;
      const { paths, release } = entry.detail as { readonly paths?: readonly string[]; readonly release?: number };
      const given = paths?.find((each) => each.startsWith(`${path}@`));
      if (given === undefined) continue;
      const version = Number(given.slice(path.length + 1));
      reads.push({ uuid: entry.actor.id, at: entry.ts, version, release: release ?? 0 });
      if (reads.length >= query.limit) return { reads, size: page.size, ...(index > 0 ? { next: index - 1 } : {}) };
    }
    if (page.next === undefined) return { reads, size: page.size };
    from = page.next;
  }
}
