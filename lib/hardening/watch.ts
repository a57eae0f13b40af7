/**
 * Looks at the process at its start and then at intervals, and tells each finding once for as long as it lasts. A limit
 * for each kind keeps whoever makes findings come and go from filling the log.
 */
import type { Finding, FindingKind } from './finding.ts';
import type { Probe } from './probe.ts';

export type ProcessWatch = {
  /** Looks now, and returns what has to be told: what was found and `told` has not named yet. */
  look(): readonly Finding[];
  /** They are recorded. */
  told(findings: readonly Finding[]): void;
  /** Findings over the limit, of which nothing is told. */
  readonly suppressed: number;
};

const perKind = 5;
const periodMs = 60 * 60_000;

export function createProcessWatch(probe: Probe, now: () => number): ProcessWatch {
  const keyOf = ({ kind, what }: Finding) => `${kind} ${what}`;
  /** Told, and still there. */
  let lasting = new Set<string>();
  let pending = new Map<string, Finding>();
  const times = new Map<FindingKind, number[]>();
  let suppressed = 0;

  return {
    look() {
      const found = new Map(probe().map((each) => [keyOf(each), each]));
      lasting = new Set([...lasting].filter((key) => found.has(key)));
      for (const [key, each] of found) {
        if (lasting.has(key) || pending.has(key)) continue;
        if (admits(each.kind)) {
          pending.set(key, each);
        } else {
          suppressed += 1;
          lasting.add(key);
        }
      }
      return [...pending.values()];
    },
    told(findings) {
      for (const each of findings) {
        if (pending.delete(keyOf(each))) lasting.add(keyOf(each));
      }
      pending = new Map(pending);
    },
    get suppressed() {
      return suppressed;
    },
  };

  function admits(kind: FindingKind): boolean {
    const recent = (times.get(kind) ?? []).filter((at) => now() - at < periodMs);
    times.set(kind, recent);
    if (recent.length >= perKind) return false;
    recent.push(now());
    return true;
  }
}
