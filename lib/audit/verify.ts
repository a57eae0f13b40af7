/**
 * Verifies a published log offline: from its files, the log's public key, and whatever checkpoints were kept
 * elsewhere. Everything that a source returns is attacker-controlled; nothing is believed but what the signature covers.
 */
import { equalBytes, toHex } from '../crypto/encoding.ts';
import type { NoteVerifier } from '../crypto/note.ts';
import { type Checkpoint, openCheckpoint } from './checkpoint.ts';
import { type Digested, digestEntries } from './digested.ts';
import { appendLeaf, emitPartial, emptyFrontier, type Frontier, type TileSink } from './frontier.ts';
import { AuditError } from './port.ts';
import type { LogSource } from './publication.ts';
import { type TileRef, tileWidth } from './tiles.ts';
import { hashBytes, rootOf } from './tree.ts';
import { createFindings, type Findings, type Verdict, type Verdicts } from './verdicts.ts';
import { compareTiles, type EntrySource, type ReadBundle, readBundle } from './verify-files.ts';
import type { VerifyPool } from './verify-pool.ts';
import { createWalk, type Walk } from './walk.ts';
import { type WitnessPolicy, witnessedBy } from './witness-policy.ts';

export type VerifyOptions = {
  readonly source: EntrySource;
  /** The log's own key or keys; their name is the origin that the log must have. */
  readonly verifiers: readonly NoteVerifier[];
  readonly now: () => number;
  readonly onProgress?: (progress: { readonly done: number; readonly size: number }) => void;
  /** Checkpoints that were kept elsewhere, as signed notes. */
  readonly anchors?: readonly (string | Uint8Array)[];
  /** Who must have cosigned the checkpoint. Without it witnessing is not checked. */
  readonly witnesses?: WitnessPolicy;
  /** How old the newest block may be; default a day. `Infinity` leaves freshness unchecked. */
  readonly maxAgeMs?: number;
  /** False leaves out what needs each entry's content: faster, and completeness stays unchecked. */
  readonly parseEntries?: boolean;
  /** Threads to digest the entries on; without them it is done here. */
  readonly pool?: VerifyPool;
  /** False where there are no tiles to compare with: then the entries must lead to the signed root, but none is located. */
  readonly tiles?: boolean;
};

const dayMs = 86_400_000;

export async function verifyLog(options: VerifyOptions): Promise<Verdicts> {
  return conclude(options, await checkLog(options));
}

/** A log that was read, up to the checkpoint or to where it could not be read on. */
export type CheckedLog = {
  readonly findings: Findings;
  readonly checkpoint?: Checkpoint;
  /** The published note, with all that stands under it. */
  readonly note?: Uint8Array;
  readonly walk: Walk;
  readonly frontier: Frontier;
  readonly isWhole: boolean;
  /** By size. */
  readonly anchors: ReadonlyMap<number, Checkpoint>;
};

export async function checkLog(options: VerifyOptions): Promise<CheckedLog> {
  const { source, verifiers, now, onProgress } = options;
  const origin = verifiers[0]?.name;
  if (origin === undefined) throw new TypeError('a log can’t be verified without its public key');
  const findings = createFindings();
  const walk = createWalk({ origin, now: now(), parse: options.parseEntries ?? true }, findings);
  const frontier = emptyFrontier();
  const published = await openPublished(source, origin, verifiers, findings);
  if (published === undefined) return { findings, walk, frontier, isWhole: false, anchors: new Map() };

  const { note, checkpoint } = published;
  const anchors = openAnchors(options.anchors ?? [], origin, verifiers, checkpoint.size, findings);
  const log = { findings, checkpoint, note, walk, frontier, isWhole: true, anchors };
  const expected: { ref: TileRef; bytes: Uint8Array }[] = [];
  const sink: TileSink = { tile: (ref, bytes) => expected.push({ ref, bytes }) };
  const compare = async () => {
    const tiles = expected.splice(0);
    if (options.tiles !== false) await compareTiles(source, tiles, findings);
  };
  let comparing = Promise.resolve();
  for await (const { digested, isWhole, problem } of readAhead(options, checkpoint.size)) {
    addDigested(log, digested, sink);
    if (problem) findings.add('integrity', problem.reason, problem.index);
    log.isWhole = isWhole;
    // One comparison goes on while the next bundle is digested; findings stay in order.
    await comparing;
    comparing = compare();
    onProgress?.({ done: frontier.range.size, size: checkpoint.size });
  }
  await comparing;
  if (log.isWhole) {
    emitPartial(frontier, sink);
    await compare();
    walk.end();
    const isSame = equalBytes(rootOf(frontier.range), checkpoint.root);
    // Which of them it is, only a tile or a chain can tell; this says where trust ends.
    if (!isSame) findings.add('integrity', 'the entries do not lead to the signed root', 0, checkpoint.size);
  }
  return log;
}

type DigestedBundle = {
  readonly digested: Digested;
  readonly isWhole: boolean;
  readonly problem?: ReadBundle['problem'];
};

/** The bundles of a log in their order, up to the first that is not whole; some are read and digested ahead. */
async function* readAhead(options: VerifyOptions, size: number): AsyncGenerator<DigestedBundle> {
  const { source, pool, parseEntries: parse = true } = options;
  // A source that is asked in order can't be asked ahead.
  const depth = source.entries ? 1 : Math.max(4, 4 * (pool?.size ?? 1));
  const ahead: Promise<() => Promise<Digested> | Digested>[] = [];
  const bundles: ReadBundle[] = [];
  const start = (first: number) => {
    const work = readBundle(source, first, Math.min(tileWidth, size - first)).then((bundle) => {
      bundles[first / tileWidth] = bundle;
      const { bytes, entries } = bundle;
      if (pool === undefined || bytes === undefined) return () => digestEntries(entries, parse);
      const digesting = pool.digest(bytes, entries.length, parse);
      digesting.catch(() => undefined); // Whoever comes to it hears of it.
      return () => digesting;
    });
    work.catch(() => undefined);
    ahead.push(work);
  };
  let begun = 0;
  for (let first = 0; first < size; first += tileWidth) {
    for (; begun < size && ahead.length < depth; begun += tileWidth) start(begun);
    const digest = await (ahead.shift() as (typeof ahead)[number]);
    const { isWhole, problem } = bundles[first / tileWidth] as ReadBundle;
    delete bundles[first / tileWidth];
    yield { digested: await digest(), isWhole, ...(problem && { problem }) };
    if (!isWhole) return;
  }
}

/** Up to where an anchor agreed: the entries that differ are behind that. */
function agreedBefore({ anchors, findings }: CheckedLog, size: number): number {
  if (findings.has('anchoring')) return 0;
  return [...anchors.keys()].reduce((best, each) => (each < size && each > best ? each : best), 0);
}

/** Adds consecutive entries to what was read before. */
export function addDigested(log: CheckedLog, { count, leaves, bodies, facts }: Digested, sink: TileSink): void {
  const { frontier, walk, anchors, findings } = log;
  const root = () => rootOf(frontier.range);
  for (let i = 0; i < count; i++) {
    appendLeaf(frontier, leaves.subarray(i * hashBytes, (i + 1) * hashBytes), sink);
    walk.add(bodies.slice(i * 64, (i + 1) * 64), facts?.[i], root);
    if (anchors.size === 0) continue;
    const { size } = frontier.range;
    const anchor = anchors.get(size);
    if (anchor && !equalBytes(anchor.root, root()))
      findings.add('anchoring', `another history of size ${size} was signed`, agreedBefore(log, size), size);
  }
}

async function openPublished(
  source: LogSource,
  origin: string,
  verifiers: readonly NoteVerifier[],
  findings: Findings,
): Promise<{ readonly note: Uint8Array; readonly checkpoint: Checkpoint } | undefined> {
  try {
    const note = await source.read('checkpoint');
    if (note === undefined) throw new AuditError('missing', 'there is no checkpoint');
    return { note, checkpoint: openCheckpoint(note, { origin, verifiers }) };
  } catch (cause) {
    if (!(cause instanceof AuditError)) throw cause;
    // No entry is covered by a signature, from the first on.
    findings.add('integrity', cause.message, 0, Number.POSITIVE_INFINITY);
    return undefined;
  }
}

/** By size. An anchor that is larger than the log proves that the log was cut. */
function openAnchors(
  notes: readonly (string | Uint8Array)[],
  origin: string,
  verifiers: readonly NoteVerifier[],
  size: number,
  findings: Findings,
): Map<number, Checkpoint> {
  const anchors = new Map<number, Checkpoint>();
  for (const note of notes) {
    try {
      const anchor = openCheckpoint(note, { origin, verifiers });
      if (anchor.size > size)
        findings.add('anchoring', `size ${anchor.size} was signed, but the log ends at ${size}`, size);
      const held = anchors.get(anchor.size);
      if (held && !equalBytes(held.root, anchor.root))
        findings.add('anchoring', `two roots of size ${anchor.size} were signed`, 0, anchor.size);
      anchors.set(anchor.size, anchor);
    } catch (cause) {
      if (!(cause instanceof AuditError)) throw cause;
      findings.add('anchoring', `an anchor is not a checkpoint of this log: ${cause.message}`, 0, size);
    }
  }
  return anchors;
}

export function conclude(options: VerifyOptions, log: CheckedLog): Verdicts {
  const { findings, checkpoint, walk, isWhole } = log;
  if (checkpoint === undefined) return unsigned(findings);
  const { size } = checkpoint;
  const parse = options.parseEntries ?? true;
  const maxAgeMs = options.maxAgeMs ?? dayMs;
  const sealedAt = walk.sealedAt();
  const ageMs = options.now() - (sealedAt ?? 0);
  if (parse && isWhole && maxAgeMs !== Number.POSITIVE_INFINITY && ageMs > maxAgeMs) {
    const reason = sealedAt === undefined ? 'no block says when it was sealed' : `the newest block is ${ageMs} ms old`;
    findings.add('freshness', reason, size);
  }
  const pass = (reason: string): Verdict => ({ verdict: 'pass', reason });
  const unread = notChecked('the log could not be read to its end');
  const unparsed = notChecked('the content of the entries was not looked at');
  const ifRead = (verdict: Verdict): Verdict => (isWhole ? (parse ? verdict : unparsed) : unread);
  const isAged = maxAgeMs !== Number.POSITIVE_INFINITY;
  const fresh = isAged ? pass(`the newest block is ${ageMs} ms old`) : notChecked('no age was asked for');
  const anchored =
    log.anchors.size === 0 ? notChecked('no anchors were given') : pass(`${log.anchors.size} anchors agree`);
  return {
    integrity: findings.verdict('integrity', pass(`${size} entries lead to the signed root`)),
    completeness: findings.verdict('completeness', ifRead(pass('no lane has a gap'))),
    freshness: findings.verdict('freshness', ifRead(fresh)),
    anchoring: findings.verdict('anchoring', isWhole ? anchored : unread),
    witnessing: witnessing(options, log.note),
    size,
    root: toHex(checkpoint.root),
    ...(isWhole && { chain: walk.chain() }),
  };
}

function witnessing({ witnesses }: VerifyOptions, note: Uint8Array | undefined): Verdict {
  if (witnesses === undefined || note === undefined) return notChecked('no policy says who must have witnessed it');
  const { isQuorum, by, newest } = witnessedBy(note, witnesses);
  const who = by.length === 0 ? 'nobody' : by.join(', ');
  if (!isQuorum)
    return { verdict: 'fail', reason: `cosigned by ${who}, which is not the quorum that the policy asks for` };
  const when = newest === 0 ? '' : `, last at ${new Date(newest * 1000).toISOString()}`;
  return { verdict: 'pass', reason: `cosigned by ${who}${when}` };
}

/** Nothing can be said of a log whose checkpoint is not authentic. */
function unsigned(findings: Findings): Verdicts {
  const unknown = notChecked('there is no authentic checkpoint');
  return {
    integrity: findings.verdict('integrity', unknown),
    completeness: unknown,
    freshness: unknown,
    anchoring: findings.verdict('anchoring', unknown),
    witnessing: unknown,
  };
}

function notChecked(reason: string): Verdict {
  return { verdict: 'not_checked', reason };
}
