/**
 * Verifies the store itself, so that a rewrite of the database is found and located: its entries against the signed
 * checkpoint (and, when a publication is at hand, hash by hash against the published tiles), then head and lanes.
 */
import { equalBytes, utf8 } from '../crypto/encoding.ts';
import type { Store } from '../store/port.ts';
import { collect } from './collect.ts';
import { digestEntries } from './digested.ts';
import type { TileSink } from './frontier.ts';
import { type Head, readCheckpoint, readHead } from './head.ts';
import { AuditError } from './port.ts';
import type { LogSource } from './publication.ts';
import { CorruptSequence, readSequence } from './sequence.ts';
import { rootOf } from './tree.ts';
import type { Verdicts } from './verdicts.ts';
import { addDigested, type CheckedLog, checkLog, conclude, type VerifyOptions } from './verify.ts';
import type { EntrySource } from './verify-files.ts';

export type VerifyStoreOptions = Omit<VerifyOptions, 'source' | 'tiles'> & {
  readonly store: Store;
  /** Where the log is published. Without it the store's own copy of the checkpoint is all there is to compare with. */
  readonly published?: LogSource;
};

export async function verifyStore(options: VerifyStoreOptions): Promise<Verdicts> {
  const { store, published, verifiers } = options;
  const origin = verifiers[0]?.name ?? '';
  const source = storeSource(store, published);
  const inner = { ...options, source, tiles: published !== undefined };
  const log = await checkLog(inner);
  if (log.checkpoint !== undefined && log.isWhole) {
    try {
      await checkBeyond(store, origin, log, log.checkpoint.size);
    } catch (cause) {
      if (!(cause instanceof AuditError)) throw cause;
      const index = cause instanceof CorruptSequence ? cause.index : undefined;
      log.findings.add('integrity', cause.message, index);
    }
  }
  return conclude(inner, log);
}

/** What no checkpoint covers yet: sealed entries up to the head, the head itself, and what the lanes hold beyond. */
async function checkBeyond(store: Store, origin: string, log: CheckedLog, signed: number): Promise<void> {
  const { findings, walk, frontier } = log;
  const head = await readHead(store, origin);
  if (head.size < signed) {
    findings.add('integrity', `the head stands at ${head.size}, but ${signed} entries were signed`, head.size);
    return;
  }
  for await (const { block, entries } of readSequence(store, signed, head.size)) {
    if (block.chain !== walk.chain())
      findings.add('integrity', 'the chain of a block is not that of the entries', block.first);
    addDigested(log, digestEntries(entries, true), noTiles);
  }
  const isSame = equalBytes(rootOf(frontier.range), rootOf(head.tree)) && walk.chain() === head.chain;
  if (!isSame) findings.add('integrity', 'the head is not that of the entries');
  checkMarks(head, log);
  await collect(store, origin, head, Number.MAX_SAFE_INTEGER - head.size);
}

const noTiles: TileSink = { tile: () => undefined };

function checkMarks(head: Head, { findings, walk }: CheckedLog): void {
  const lanes = walk.lanes();
  const isSame = [...head.lanes].every(([lane, { next, hash }]) => {
    const held = lanes.get(lane);
    return held?.next === next && held.hash === hash;
  });
  if (!isSame || lanes.size !== head.lanes.size)
    findings.add('completeness', 'the marks in the head are not those of the entries');
}

/** What was read of a broken block comes with the error, so that it is looked into. */
async function nextStretch(
  stretches: AsyncIterator<{ readonly entries: readonly Uint8Array[] }>,
  first: number,
  held: readonly Uint8Array[],
) {
  try {
    return await stretches.next();
  } catch (cause) {
    if (!(cause instanceof CorruptSequence)) throw cause;
    const begun = cause.index - cause.read.length;
    const read = [...held, ...cause.read.slice(Math.max(0, first + held.length - begun))];
    throw new CorruptSequence(cause.index, cause.message, read);
  }
}

function storeSource(store: Store, published: LogSource | undefined): EntrySource {
  let stretches: AsyncIterator<{ readonly entries: readonly Uint8Array[] }> | undefined;
  let held: readonly Uint8Array[] = [];
  return {
    async read(path) {
      if (published !== undefined) return published.read(path);
      if (path !== 'checkpoint') return undefined;
      const remembered = await readCheckpoint(store);
      return remembered && utf8(remembered.note);
    },
    /** Reads on from where the last call ended. */
    async entries(first, width) {
      stretches ??= readSequence(store, first, Number.MAX_SAFE_INTEGER)[Symbol.asyncIterator]();
      while (held.length < width) {
        const { value, done } = await nextStretch(stretches, first, held);
        if (done) break;
        held = held.length === 0 ? value.entries : [...held, ...value.entries];
      }
      const taken = held.slice(0, width);
      held = held.slice(width);
      return taken;
    },
  };
}
