/**
 * The node's facts as its parts share them: collected when somebody asks, and again when they are no longer fresh; two
 * who ask at once get one collection.
 */
import type { CollectedFacts } from './facts.ts';

export type FactsSource = {
  /** Never rejects: what could not be collected is missing in them. */
  latest(): Promise<CollectedFacts>;
};

/** Facts change seldom, and collecting costs a few milliseconds. */
const freshMs = 60_000;

export function createFactsSource(deps: { collect(): Promise<CollectedFacts>; now(): number }): FactsSource {
  let held: { readonly at: number; readonly facts: Promise<CollectedFacts> } | undefined;
  return {
    latest() {
      const now = deps.now();
      // A clock that was set back must not keep old facts for as long.
      if (held === undefined || now - held.at >= freshMs || now < held.at) held = { at: now, facts: deps.collect() };
      return held.facts;
    },
  };
}
