/**
 * Posture: how each node, and each crate on it, stood on each day. One small item a node and day, written in the same
 * transaction as the run that it comes from, and kept when the runs themselves are dropped.
 */
import { z } from 'zod';
import type { Item, Key, Store, Write } from '../store/port.ts';

/** `converged`: in the declared state. `drifted`: it was not, and was put right or would have been. `failed`: it could not be. */
export type PostureState = 'converged' | 'drifted' | 'failed';

/** What posture looks at in a run. */
export type PostureRun = {
  readonly startedAt: number;
  readonly dryRun: boolean;
  readonly error: string;
  /** `resource` is `crate/type/name`. */
  readonly results: readonly { readonly resource: string; readonly result: string }[];
};

const state = z.enum(['converged', 'drifted', 'failed']);
const stored = z.object({
  sk: z.string(),
  /** Of the newest run of the day; none while only older ones came late. */
  state: state.optional(),
  crates: z.record(z.string(), state).default({}),
  converged: z.int().default(0),
  drifted: z.int().default(0),
  failed: z.int().default(0),
});

/** One day of one node: its state at the end of it, and how many runs ended in which. */
export type PostureDay = Omit<z.output<typeof stored>, 'sk' | 'state'> & {
  /** `YYYY-MM-DD`, UTC. */
  readonly day: string;
  readonly state?: PostureState;
};

export function dayOf(unixMs: number): string {
  return new Date(unixMs).toISOString().slice(0, 10);
}

export function postureKey(uuid: string, day: string): Key {
  return { pk: `posture#${uuid}`, sk: day };
}

/** The write that a run adds to its day. `isNewest`: no later run of the node is known. */
export function postureWrite(uuid: string, run: PostureRun, isNewest: boolean): Write {
  const whole = stateOf(run);
  const set = { state: whole, crates: Object.fromEntries(cratesOf(run)) };
  return {
    kind: 'update',
    key: postureKey(uuid, dayOf(run.startedAt)),
    ...(isNewest ? { set } : {}),
    add: { [whole]: 1 },
  };
}

/** The days of a node, oldest first; days without a run are not among them. */
export async function readPosture(store: Store, uuid: string, from: string): Promise<readonly PostureDay[]> {
  const { items } = await store.query({ pk: `posture#${uuid}`, from, limit: 400 });
  return items.map(parseDay);
}

function parseDay(item: Item): PostureDay {
  const { sk, state: last, ...rest } = stored.parse(item);
  return { day: sk, ...rest, ...(last === undefined ? {} : { state: last }) };
}

function stateOf(run: PostureRun): PostureState {
  return run.error === '' ? worstOf(run.results.map(({ result }) => stateOfResult(result))) : 'failed';
}

function cratesOf({ results }: PostureRun): ReadonlyMap<string, PostureState> {
  const crates = new Map<string, PostureState>();
  for (const { resource, result } of results) {
    const at = resource.indexOf('/');
    // What is no `crate/type/name` came from an agent that is not ours; it has no crate.
    if (at <= 0) continue;
    const crate = resource.slice(0, at);
    crates.set(crate, worstOf([crates.get(crate) ?? 'converged', stateOfResult(result)]));
  }
  return crates;
}

function stateOfResult(result: string): PostureState {
  if (result === 'failed' || result === 'blocked') return 'failed';
  return result === 'unchanged' || result === 'skipped' ? 'converged' : 'drifted';
}

export function worstOf(states: readonly PostureState[]): PostureState {
  if (states.includes('failed')) return 'failed';
  return states.includes('drifted') ? 'drifted' : 'converged';
}
