/**
 * Publishes the log up to the head: tiles, then a signature over exactly what the head says, then the checkpoint.
 * The tiles grow out of what is published already, so a store that was rewritten or set back can't be signed.
 */
import type { Ed25519PublicKey } from '../crypto/ed25519.ts';
import { ed25519FromSpki } from '../crypto/ed25519.ts';
import { equalBytes, toHex, utf8 } from '../crypto/encoding.ts';
import { type NoteVerifier, noteVerifier, signNote } from '../crypto/note.ts';
import type { Signer } from '../keys/port.ts';
import type { Store } from '../store/port.ts';
import { bodyHash, chainHash } from './chain.ts';
import { type Checkpoint, formatCheckpoint, openCheckpoint } from './checkpoint.ts';
import { appendEntry, emitPartial, emptyFrontier, type Frontier, frontierOf, type TileSink } from './frontier.ts';
import { type Head, putCheckpoint, readCheckpoint, readHead, type StoredCheckpoint } from './head.ts';
import { AuditError } from './port.ts';
import type { Publication } from './publication.ts';
import { readSequence } from './sequence.ts';
import { bundlePath, decodeBundle, decodeTile, levelSize, tilePath, tileWidth } from './tiles.ts';
import { rootOf } from './tree.ts';

export type PublishDeps = {
  readonly store: Store;
  readonly origin: string;
  readonly signer: Signer;
  readonly publication: Publication;
};

export type Publisher = {
  /** Publishes up to the head; undefined when that is done already. Throws `AuditError` `corrupt` rather than sign a fork. */
  publish(): Promise<Checkpoint | undefined>;
};

/** What was published: the edge of its tree and, once this process has read a block, hex C of its last entry. */
type Kept = { readonly frontier: Frontier; readonly chain?: string };

export function createPublisher({ store, origin, signer, publication }: PublishDeps): Publisher {
  const publicKey: Ed25519PublicKey = ed25519FromSpki(signer.publicKey);
  const verifiers: readonly NoteVerifier[] = [noteVerifier(origin, publicKey)];
  let kept: Kept | undefined;

  async function publish(): Promise<Checkpoint | undefined> {
    // In this order: the head never stands before a checkpoint that was made from it.
    const note = await publication.read('checkpoint');
    const published = note && openCheckpoint(note, { origin, verifiers });
    const remembered = await readCheckpoint(store);
    const head = await readHead(store, origin);
    assertNotBehind(head, published, remembered);
    if (head.size === 0) return undefined;
    if (published?.size === head.size) {
      assertSameRoot(published, head);
      if (remembered?.size === head.size) return undefined;
      // A crash came between publishing and remembering.
      await remember(head, Buffer.from(note as Uint8Array).toString('utf8'));
      return published;
    }
    // What another sealer has published, or a publication that was emptied, is read anew.
    const isCurrent = kept?.frontier.range.size === (published?.size ?? 0);
    const from = kept !== undefined && isCurrent ? kept : { frontier: await loadFrontier(published) };
    kept = undefined; // A failure on the way leaves nothing half grown.
    const { grown, full } = await grow(from, head, published, remembered);
    const checkpoint = { origin, size: head.size, root: rootOf(grown.frontier.range) };
    const signed = await signNote(formatCheckpoint(checkpoint), origin, { publicKey, sign: (m) => signer.sign(m) });
    if (!(await publication.publishCheckpoint(utf8(signed), head.size))) return undefined;
    await remember(head, signed);
    kept = grown;
    for (const path of full) await publication.dropPartials(path);
    return checkpoint;
  }

  async function grow(
    { frontier: from, chain: before }: Kept,
    head: Head,
    published: Checkpoint | undefined,
    remembered: StoredCheckpoint | undefined,
  ): Promise<{ grown: Kept; full: readonly string[] }> {
    const files: { path: string; bytes: Uint8Array }[] = [];
    const full: string[] = [];
    const sink: TileSink = {
      tile: (ref, bytes) => add(tilePath(ref), bytes, ref.width),
      bundle: (ref, bytes) => add(bundlePath(ref), bytes, ref.width),
    };
    function add(path: string, bytes: Uint8Array, width: number): void {
      files.push({ path, bytes });
      if (width === tileWidth) full.push(path);
    }
    const flush = async () => {
      for (const { path, bytes } of files.splice(0)) await publication.write(path, bytes);
    };
    const check = () => {
      const { size } = from.range;
      const known = published?.size === size ? toHex(published.root) : remembered?.size === size && remembered.root;
      if (known && known !== toHex(rootOf(from.range))) throw forked(size);
    };
    check();
    let chain = before;
    for await (const { block, entries } of readSequence(store, from.range.size, head.size)) {
      if (block.chain !== (chain ?? block.chain)) throw forked(block.first);
      chain = block.chain;
      for (const entry of entries) {
        chain = chainHash(origin, from.range.size, bodyHash(entry), chain);
        appendEntry(from, entry, sink);
        check();
      }
      await flush();
    }
    if (chain !== head.chain) throw forked(head.size);
    if (!equalBytes(rootOf(from.range), rootOf(head.tree))) throw forked(head.size);
    emitPartial(from, sink);
    await flush();
    return { grown: { frontier: from, chain: head.chain }, full };
  }

  async function loadFrontier(published: Checkpoint | undefined): Promise<Frontier> {
    if (published === undefined || published.size === 0) return emptyFrontier();
    const { size } = published;
    const levels: Uint8Array[][] = [];
    for (let level = 0; levelSize(size, level) > 0; level++) {
      const index = levelSize(size, level + 1);
      const width = levelSize(size, level) % tileWidth;
      const read = () => readPublished((w) => tilePath({ level, index, width: w }), width);
      levels.push(width === 0 ? [] : decodeTile(await read(), width));
    }
    const width = size % tileWidth;
    const read = () => readPublished((w) => bundlePath({ index: levelSize(size, 1), width: w }), width);
    const entries = width === 0 ? [] : decodeBundle(await read(), width, false);
    return frontierOf(size, levels, entries);
  }

  /** The partial file, or the full one that another sealer has replaced it with meanwhile. */
  async function readPublished(pathOf: (width: number) => string, width: number): Promise<Uint8Array> {
    const bytes = (await publication.read(pathOf(width))) ?? (await publication.read(pathOf(tileWidth)));
    if (bytes !== undefined) return bytes;
    throw new AuditError('corrupt', `${pathOf(width)} belongs to the published checkpoint but is gone`);
  }

  async function remember(head: Head, note: string): Promise<void> {
    const lanes = new Map([...head.lanes].map(([lane, { next }]) => [lane, next]));
    // When a larger one is remembered already, another sealer was faster: nothing to do.
    await store.transact([putCheckpoint({ size: head.size, root: toHex(rootOf(head.tree)), note, lanes })]);
  }

  return { publish };
}

function assertNotBehind(
  head: Head,
  published: Checkpoint | undefined,
  remembered: StoredCheckpoint | undefined,
): void {
  const signed = Math.max(published?.size ?? 0, remembered?.size ?? 0);
  if (head.size >= signed) return;
  const message = `the store holds ${head.size} entries, but ${signed} were signed: it was set back or cut`;
  throw new AuditError('corrupt', message);
}

function assertSameRoot(published: Checkpoint, head: Head): void {
  if (!equalBytes(published.root, rootOf(head.tree))) throw forked(head.size);
}

function forked(size: number): AuditError {
  return new AuditError('corrupt', `the store holds another history than what was signed, at or before size ${size}`);
}
