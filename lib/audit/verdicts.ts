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

/** Collects what is found wrong; for each question the finding with the lowest index counts. */
export type Findings = {
  add(question: Question, reason: string, index?: number): void;
  /** The verdict: what was found, or else what the check would say without findings. */
  verdict(question: Question, otherwise: Verdict): Verdict;
  has(question: Question): boolean;
};

export function createFindings(): Findings {
  const first = new Map<Question, Verdict>();
  return {
    add(question, reason, index) {
      const held = first.get(question);
      const isEarlier = held === undefined || (index !== undefined && index < (held.index ?? Number.POSITIVE_INFINITY));
      if (isEarlier) first.set(question, { verdict: 'fail', reason, ...(index !== undefined && { index }) });
    },
    verdict: (question, otherwise) => first.get(question) ?? otherwise,
    has: (question) => first.has(question),
  };
}

/** True unless something failed: the exit code of a verification. */
export function isSound(verdicts: Verdicts): boolean {
  const { integrity, completeness, freshness, anchoring, witnessing } = verdicts;
  return [integrity, completeness, freshness, anchoring, witnessing].every(({ verdict }) => verdict !== 'fail');
}
