/** What a verification says: one verdict for each question, so that an old log is not called a forged one. */

export type Verdict = {
  readonly verdict: 'pass' | 'fail' | 'not_checked';
  readonly reason: string;
  /** The first entry that is known to be bad. */
  readonly index?: number;
};

export type Verdicts = {
  /** Nothing was changed: signature, tree, tiles, canonical entries, chains. */
  readonly integrity: Verdict;
  /** Nothing was left out: lanes without gaps, as their high-water marks say. */
  readonly completeness: Verdict;
  /** The log goes up to now. */
  readonly freshness: Verdict;
  /** Checkpoints kept elsewhere are of this same log. */
  readonly anchoring: Verdict;
  /** Others have cosigned the checkpoint. */
  readonly witnessing: Verdict;
  /** Of the signed checkpoint; absent when there is none that can be trusted. */
  readonly size?: number;
  /** hex */
  readonly root?: string;
  /** hex C(size−1), to compare with what a log store computed. */
  readonly chain?: string;
};

export type Question = 'integrity' | 'completeness' | 'freshness' | 'anchoring' | 'witnessing';

/** Collects what is found wrong; for each question the earliest and most exact one counts. */
export type Findings = {
  /** Entry `index` is bad, or one of the `count` entries from there. */
  add(question: Question, reason: string, index?: number, count?: number): void;
  /** The verdict: what was found, or else what the check would say without findings. */
  verdict(question: Question, otherwise: Verdict): Verdict;
  has(question: Question): boolean;
};

export function createFindings(): Findings {
  const first = new Map<Question, { readonly verdict: Verdict; readonly from: number; readonly to: number }>();
  return {
    add(question, reason, index, count = 1) {
      const from = index ?? Number.POSITIVE_INFINITY;
      const to = from + count;
      const held = first.get(question);
      // One that lies within a wider one says more; else the earlier one does.
      const isBetter = held === undefined || to <= held.from || (from < held.to && count < held.to - held.from);
      if (!isBetter) return;
      const verdict: Verdict = { verdict: 'fail', reason, ...(index !== undefined && { index }) };
      first.set(question, { verdict, from, to });
    },
    verdict: (question, otherwise) => first.get(question)?.verdict ?? otherwise,
    has: (question) => first.has(question),
  };
}

/** True unless something failed: the exit code of a verification. */
export function isSound(verdicts: Verdicts): boolean {
  const { integrity, completeness, freshness, anchoring, witnessing } = verdicts;
  return [integrity, completeness, freshness, anchoring, witnessing].every(({ verdict }) => verdict !== 'fail');
}
