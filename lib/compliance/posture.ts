/**
 * Posture: how each node, and each crate on it, stood on each day. One small item a node and day, and one with how the
 * node stood last, written in the same transaction as the run that they come from, and kept when the runs themselves are
 * dropped.
 */
import { z } from 'zod';
import { crateNamePattern, maxCrates } from '../policy/names.ts';
import { everyItem } from '../store/every-item.ts';
import type { Item, Key, Store, Write } from '../store/port.ts';
import { lateRunWrite } from './rollup.ts';

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

/** How a node stood last: the newest run of all, and its day. */
export type NewestPosture = Pick<PostureDay, 'day' | 'crates'> & { readonly state: PostureState };

/** Spread like the nodes themselves, in the same order. */
export function newestPostureKey(uuid: string): Key {
  return { pk: `posture-newest#${uuid.slice(0, 1)}`, sk: uuid };
}

/**
 * The writes that a run adds. `isNewest`: no later run of the node is known. `now`, Unix milliseconds: a run of a day that
 * is over says so, because that day may be counted already.
 */
export function postureWrites(uuid: string, run: PostureRun, when: { isNewest: boolean; now: number }): Write[] {
  const { isNewest, now } = when;
  const whole = stateOf(run);
  const day = dayOf(run.startedAt);
  const set = { state: whole, crates: Object.fromEntries(cratesOf(run)) };
  const ofDay: Write = {
    kind: 'update',
    key: postureKey(uuid, day),
    ...(isNewest ? { set } : {}),
    add: { [whole]: 1 },
  };
  if (!isNewest) return [ofDay];
  const newest: Write = { kind: 'update', key: newestPostureKey(uuid), set: { ...set, day } };
  return [ofDay, newest, ...(day < dayOf(now) ? [lateRunWrite(uuid, day)] : [])];
}

/** The days of a node, oldest first; days without a run are not among them. */
export async function readPosture(
  store: Pick<Store, 'query'>,
  uuid: string,
  range: { readonly from: string; readonly to?: string },
): Promise<readonly PostureDay[]> {
  return Array.fromAsync(everyItem(store, { pk: `posture#${uuid}`, ...range }), parseDay);
}

/** Of a node that reported before this was kept by itself. */
export async function findNewestPosture(store: Pick<Store, 'query'>, uuid: string): Promise<NewestPosture | undefined> {
  const { items } = await store.query({ pk: `posture#${uuid}`, descending: true, limit: 1 });
  const [day] = items.map(parseDay);
  return day?.state === undefined ? undefined : { day: day.day, state: day.state, crates: day.crates };
}

const storedNewest = z.object({ day: z.string(), state, crates: z.record(z.string(), state) });

export function parseNewestPosture(item: Item): NewestPosture {
  return storedNewest.parse(item);
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
    const crate = resource.slice(0, Math.max(0, at));
    // What is no `crate/type/name` came from an agent that is not ours; it has no crate. Nor has any node more of them.
    if (!crateNamePattern.test(crate) || (crates.size >= maxCrates && !crates.has(crate))) continue;
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
