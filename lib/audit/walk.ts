/** Walks the entries of a log in order and checks everything that an entry says about its place among the others. */
import { toHex } from '../crypto/encoding.ts';
import { chainHash, chainStart, laneHash, laneStart } from './chain.ts';
import type { Fact } from './digested.ts';
import { nothingSeen } from './head.ts';
import { abandonedAfterMs } from './intents.ts';
import { systemLane } from './items.ts';
import type { Findings } from './verdicts.ts';

export type Walk = {
  /**
   * Takes the next entry: its hex B, what it says or why it is none (undefined when that was not looked at), and what
   * gives the root of the tree that ends with it, which is asked for only where a block ends.
   */
  add(body: string, fact: Fact | string | undefined, root: () => Uint8Array): void;
  /** After the last entry of what was signed. */
  end(): void;
  /** hex C(i) of the newest entry. */
  chain(): string;
  /** Of the newest `log.checkpoint`, Unix milliseconds. */
  sealedAt(): number | undefined;
  /** What is sealed of each open lane: the next number and hex A of the last. */
  lanes(): ReadonlyMap<string, { readonly next: number; readonly hash: string }>;
};

/** Entries name the checkpoint that their writer knew; this many of the newest are remembered to compare with. */
const maxRoots = 4096;
/** Clocks of honest machines differ. */
const maxAheadMs = 5 * 60_000;
/** Twice the time after which an open intent is stated as unknown: nobody did, so nobody is there to. */
const danglingAfterMs = 2 * abandonedAfterMs;

/** One of the two entries of an operation that was intended first. */
type Half = { readonly index: number; readonly type: string; readonly time: number };

/** `parse: false` says that no facts will come: only the chain is computed. */
export function createWalk(
  { origin, now, parse }: { readonly origin: string; readonly now: number; readonly parse: boolean },
  findings: Findings,
): Walk {
  const lanes = new Map<string, { next: number; hash: string }>();
  const closed = new Set<string>();
  const roots = new Map<number, string>([[0, nothingSeen.root]]);
  let index = 0;
  let chain = chainStart(origin);
  let sealedAt: number | undefined;
  let last: Fact | undefined;
  let closing: string[] = [];
  /** Intents without an outcome so far, by operation. */
  const intents = new Map<string, Half>();
  /** Outcomes without an intent so far. */
  const outcomes = new Map<string, Half>();

  function add(body: string, fact: Fact | string | undefined, root: () => Uint8Array): void {
    chain = chainHash(origin, index, body, chain);
    if (typeof fact === 'string') findings.add('integrity', fact, index);
    last = typeof fact === 'object' ? fact : undefined;
    if (last !== undefined) check(last, body, root);
    index += 1;
  }

  function check(entry: Fact, body: string, root: () => Uint8Array): void {
    if (entry.log !== origin) findings.add('integrity', `entry of another log: ${JSON.stringify(entry.log)}`, index);
    checkLane(entry, body);
    checkSeen(entry);
    checkPhase(entry);
    if (Date.parse(entry.ts) > now + maxAheadMs) findings.add('freshness', `dated in the future: ${entry.ts}`, index);
    const isSystem = entry.lane === systemLane;
    if (index === 0 && !(isSystem && entry.op.type === 'log.open' && entry.detail['origin'] === origin)) {
      findings.add('completeness', 'the log does not begin with its log.open', index);
    }
    if (isSystem !== (entry.op.type === 'log.open' || entry.op.type === 'log.checkpoint')) {
      findings.add('integrity', `${entry.op.type} does not belong in lane ${entry.lane}`, index);
    }
    if (entry.op.type === 'lane.close') closing.push(entry.lane);
    if (isSystem && entry.op.type === 'log.checkpoint') endBlock(entry, root);
  }

  function checkLane({ lane, n, prev }: Fact, body: string): void {
    const mark = lanes.get(lane) ?? { next: 0, hash: laneStart(origin, lane) };
    if (closed.has(lane) || closing.includes(lane)) {
      findings.add('completeness', `lane ${lane} goes on after it was closed`, index);
    }
    if (n !== mark.next) {
      const what = n > mark.next ? 'is missing before' : 'stands already; again';
      findings.add('completeness', `lane ${lane}: entry ${mark.next} ${what} ${n}`, index);
    }
    if (prev !== mark.hash) {
      findings.add('integrity', `entry ${n} of lane ${lane} does not follow from the one before it`, index);
    }
    // Goes on from what stands here, so that one break is one finding.
    lanes.set(lane, { next: n + 1, hash: laneHash(origin, lane, n, body, prev) });
  }

  /**
   * An intent has one outcome, of the same type. Lanes are ordered by their clocks, so the outcome may stand a little
   * before the intent when they are in two lanes.
   */
  function checkPhase({ op, ts }: Fact): void {
    if (op.phase === 'done') return;
    const [own, other] = op.phase === 'intent' ? [intents, outcomes] : [outcomes, intents];
    if (own.has(op.id)) findings.add('completeness', `operation ${op.id} has two entries of phase ${op.phase}`, index);
    const partner = other.get(op.id);
    if (partner === undefined) {
      own.set(op.id, { index, type: op.type, time: Date.parse(ts) });
      return;
    }
    if (partner.type !== op.type) {
      findings.add('integrity', `the outcome of operation ${op.id} is of another type than its intent`, index);
    }
    other.delete(op.id);
  }

  /** An act may still be under way where the log ends; one that was intended long before was never accounted for. */
  function checkDangling(): void {
    for (const { index: at, type, time } of intents.values()) {
      if (time + danglingAfterMs > (sealedAt ?? 0)) continue;
      findings.add('completeness', `${type} was intended, and what came of it is not recorded`, at);
    }
    for (const { index: at, type } of outcomes.values()) {
      findings.add('completeness', `${type} has an outcome, but it was never intended`, at);
    }
  }

  /** An entry that names a checkpoint of another history proves that there was one. */
  function checkSeen({ seen }: Fact): void {
    const root = roots.get(seen.size);
    const oldest = roots.keys().next().value ?? 0;
    if (root === undefined && seen.size < oldest) return;
    if (root !== seen.root) {
      findings.add('integrity', `names a checkpoint of size ${seen.size} that is not of this log`, index);
    }
  }

  function endBlock(entry: Fact, root: () => Uint8Array): void {
    sealedAt = Date.parse(entry.ts);
    const claimed = new Map(Object.entries((entry.detail['lanes'] ?? {}) as Record<string, unknown>));
    for (const [lane, { next }] of lanes) {
      if (claimed.get(lane) === next - 1) continue;
      const reason = `lane ${lane} stands at ${next - 1}, but its high-water mark is ${claimed.get(lane)}`;
      findings.add('completeness', reason, index);
    }
    for (const lane of claimed.keys()) {
      if (!lanes.has(lane)) findings.add('completeness', `lane ${lane} has a high-water mark but no entry`, index);
    }
    for (const lane of closing) {
      lanes.delete(lane);
      closed.add(lane);
    }
    closing = [];
    roots.set(index + 1, toHex(root()));
    if (roots.size > maxRoots) roots.delete(roots.keys().next().value as number);
  }

  function end(): void {
    if (!parse || index === 0) return;
    checkDangling();
    if (last === undefined || last.op.type !== 'log.checkpoint') {
      findings.add(
        'completeness',
        'the checkpoint does not end with a block: its last entry is not a log.checkpoint',
        index - 1,
      );
    }
  }

  return { add, end, chain: () => chain, sealedAt: () => sealedAt, lanes: () => lanes };
}
