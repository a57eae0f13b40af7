/**
 * How the fleet stood, by day, crate and control. One pass over the nodes, a few at a time, with how each stood last; days
 * that are over come added up, so that no answer reads the history of the fleet again. Others get their turn in between.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { z } from 'zod';
import {
  dayOf,
  findNewestPosture,
  type NewestPosture,
  newestPostureKey,
  type PostureDay,
  type PostureState,
  parseNewestPosture,
  readPosture,
  worstOf,
} from '../../lib/compliance/posture.ts';
import {
  type Counts,
  type DayCounts,
  isSettled,
  keepRollup,
  noCounts,
  readRollups,
} from '../../lib/compliance/rollup.ts';
import { type NodeRecord, nodePartitions, parseNode } from '../../lib/identity/nodes.ts';
import { currentRelease, getRelease } from '../../lib/policy/history.ts';
import { parseCrate, parseManifest } from '../../lib/policy/model.ts';
import { type BlobStore, parseBlobDigest } from '../../lib/store/blobs.ts';
import { everyItem } from '../../lib/store/every-item.ts';
import type { Store } from '../../lib/store/port.ts';
import { count, time, uuid, type View } from './view.ts';

type PostureDeps = { readonly store: Store; readonly blobs: BlobStore; readonly now: () => number };

const counts = { converged: count, drifted: count, failed: count };
/** UTC. */
const day = z.string().regex(/^[0-9]{4}-[0-9]{2}-[0-9]{2}$/);
export const postureView = z
  .strictObject({
    generated: time,
    /** Oldest first. `unseen`: nodes of that day that reported no run. */
    days: z.array(z.strictObject({ day, ...counts, unseen: count })),
    /** As each crate stood at the end of the newest day that each node reported, and on each day that it was reported. */
    crates: z.array(
      z.strictObject({
        crate: z.string(),
        controls: z.array(z.string()),
        ...counts,
        days: z.array(z.strictObject({ day, ...counts })),
      }),
    ),
    /** Crates beyond those on most nodes, which are not shown. */
    cratesOmitted: count,
    /** The same, by the controls that crates say they serve: a node counts once, by the worst of its crates. */
    controls: z.array(z.strictObject({ control: z.string(), ...counts, crates: z.array(z.string()) })),
  })
  .meta({
    id: 'Posture',
    description: 'How the fleet stood, by day, crate and control: how many nodes in which state.',
  });
export type PostureView = View<typeof postureView>;

export const nodePosture = z
  .strictObject({
    uuid,
    name: z.string(),
    days: z.array(z.strictObject({ day, state: z.enum(['converged', 'drifted', 'failed', 'unseen']) })),
  })
  .meta({ id: 'NodePosture', description: 'How a node stood at the end of each day.' });
export type NodePosture = View<typeof nodePosture>;

const dayMs = 86_400_000;
/** Nodes that are read at the same time, and before others get their turn. */
const nodesAtOnce = 16;
const pageOfNodes = 200;
const maxCratesShown = 2_000;

/** So many days up to today. */
export function daysUpTo(now: number, length: number): readonly string[] {
  return Array.from({ length }, (_, i) => dayOf(now - (length - 1 - i) * dayMs));
}

/** A node counts from the day of its enrollment to the one of its revocation. */
export function nodeDays(node: NodeRecord, held: readonly PostureDay[], days: readonly string[]): NodePosture['days'] {
  const { first, last } = spanOf(node);
  return days
    .filter((each) => each >= first && each <= last)
    .map((each) => ({ day: each, state: held.find((one) => one.day === each)?.state ?? 'unseen' }));
}

/** The first and the last day that a node counts on. */
function spanOf({ enrolledAt, revokedAt }: NodeRecord): { readonly first: string; readonly last: string } {
  return { first: dayOf(enrolledAt), last: revokedAt === undefined ? '9999-12-31' : dayOf(revokedAt) };
}

/** The posture of so many days up to today: one at a time, and the same one for all who ask for it meanwhile. */
export function createFleetPosture(deps: PostureDeps): (days: number) => Promise<PostureView> {
  const asked = new Map<number, Promise<PostureView>>();
  let last: Promise<unknown> = Promise.resolve();
  return (days) => {
    const running = asked.get(days);
    if (running !== undefined) return running;
    const made = last.then(() => fleetPosture(deps, days)).finally(() => asked.delete(days));
    asked.set(days, made);
    last = made.catch(() => undefined);
    return made;
  };
}

async function fleetPosture(deps: PostureDeps, length: number): Promise<PostureView> {
  const now = deps.now();
  const days = daysUpTo(now, length);
  const tally = createTally(days, await controlsByCrate(deps));
  for (const pk of nodePartitions) await addPartition(deps.store, pk, { days, now, tally });
  return tally.view(new Date(now).toISOString());
}

/** Adds the nodes of a partition, and what was added up of its days; adds up what has not been yet. */
async function addPartition(
  store: Store,
  pk: string,
  { days, now, tally }: { readonly days: readonly string[]; readonly now: number; readonly tally: Tally },
): Promise<void> {
  const digit = pk.slice(-1);
  const settled = days.filter((each) => isSettled(each, now));
  const kept = await readRollups(store, digit, settled);
  const missing = settled.filter((each) => kept.get(each)?.counts === undefined);
  const open = days.filter((each) => !settled.includes(each));
  const adding = new Map([...missing, ...open].map((each) => [each, nothing()]));

  for await (const batch of batchesOfNodes(store, pk)) {
    const read = batch.map(async ({ node, newest }) => ({
      node,
      newest,
      held: [...(await pastOf(store, node, missing)), ...(await presentOf(store, node, newest, open))],
    }));
    for (const { node, newest, held } of await Promise.all(read)) {
      const span = spanOf(node);
      tally.addNode(node, span, newest);
      for (const each of held) {
        const counts = adding.get(each.day);
        if (counts !== undefined) addHeld(counts, each, span);
      }
    }
    await nextTurn();
  }
  for (const each of days) tally.addDay(each, adding.get(each) ?? kept.get(each)?.counts ?? nothing());
  for (const each of missing)
    await keepRollup(store, digit, each, { counts: adding.get(each) ?? nothing(), late: kept.get(each)?.late ?? 0 });
}

type Found = { readonly node: NodeRecord; readonly newest: NewestPosture | undefined };

/** The nodes of a partition with how each stood last: two ranges in the same order, a few at a time. */
async function* batchesOfNodes(store: Store, pk: string): AsyncGenerator<readonly Found[]> {
  let after: string | undefined;
  do {
    const page = await store.query({ pk, limit: pageOfNodes, ...(after === undefined ? {} : { after }) });
    const [first, last] = [page.items[0]?.sk, page.items.at(-1)?.sk];
    after = page.next;
    if (first === undefined || last === undefined) continue;
    const newest = new Map<string, NewestPosture>();
    // A UUID and nothing more: '0' is behind every text that begins with it.
    const range = { pk: newestPostureKey(first).pk, from: first, to: `${last}0` };
    for await (const item of everyItem(store, range)) newest.set(item.sk, parseNewestPosture(item));
    for (let start = 0; start < page.items.length; start += nodesAtOnce) {
      const nodes = page.items.slice(start, start + nodesAtOnce).map(parseNode);
      yield Promise.all(
        nodes.map(async (node) => ({ node, newest: newest.get(node.uuid) ?? (await olderOf(store, node)) })),
      );
    }
  } while (after !== undefined);
}

/** Of a node that has not reported since how it stood last is kept by itself. */
async function olderOf(store: Store, node: NodeRecord): Promise<NewestPosture | undefined> {
  return node.lastRun === undefined ? undefined : findNewestPosture(store, node.uuid);
}

/** How a node stood on days that are over. */
async function pastOf(store: Store, node: NodeRecord, days: readonly string[]): Promise<readonly PostureDay[]> {
  const [from, to] = [days[0], days.at(-1)];
  return from === undefined ? [] : readPosture(store, node.uuid, { from, to: `${to}0` });
}

/** How a node stands on days that go on: as it stood last, unless its clock is ahead of them. */
async function presentOf(
  store: Store,
  node: NodeRecord,
  newest: NewestPosture | undefined,
  days: readonly string[],
): Promise<readonly Pick<PostureDay, 'day' | 'state' | 'crates'>[]> {
  if (newest === undefined) return [];
  const before = days.filter((each) => each < newest.day);
  return [...(await pastOf(store, node, before)), ...(days.includes(newest.day) ? [newest] : [])];
}

type AddedUp = { readonly nodes: Counts; readonly crates: Map<string, Counts> };

function nothing(): AddedUp {
  return { nodes: noCounts(), crates: new Map() };
}

function addHeld(
  { nodes, crates }: AddedUp,
  held: Pick<PostureDay, 'day' | 'state' | 'crates'>,
  { first, last }: ReturnType<typeof spanOf>,
): void {
  if (held.state !== undefined && held.day >= first && held.day <= last) nodes[held.state] += 1;
  for (const [crate, state] of Object.entries(held.crates)) entryOf(crates, crate, noCounts)[state] += 1;
}

interface Tally {
  addNode(node: NodeRecord, span: ReturnType<typeof spanOf>, newest: NewestPosture | undefined): void;
  /** Of one partition. */
  addDay(day: string, counts: DayCounts): void;
  view(generated: string): PostureView;
}

function createTally(days: readonly string[], served: ReadonlyMap<string, readonly string[]>): Tally {
  const perDay = new Map(days.map((each) => [each, { nodes: 0, counts: noCounts() }]));
  const perCrate = new Map<string, { readonly now: Counts; readonly days: Map<string, Counts> }>();
  const perControl = new Map<string, { readonly now: Counts; readonly crates: Set<string> }>();
  const ofCrate = (crate: string) => entryOf(perCrate, crate, () => ({ now: noCounts(), days: new Map() }));
  const ofControl = (control: string) => entryOf(perControl, control, () => ({ now: noCounts(), crates: new Set() }));

  return {
    addNode(node, { first, last }, newest) {
      for (const [each, of] of perDay) if (each >= first && each <= last) of.nodes += 1;
      if (node.state === 'revoked' || newest === undefined || newest.day < (days[0] ?? '')) return;
      const worst = new Map<string, PostureState>();
      for (const [crate, state] of Object.entries(newest.crates)) {
        ofCrate(crate).now[state] += 1;
        for (const control of served.get(crate) ?? []) {
          worst.set(control, worstOf([state, worst.get(control) ?? 'converged']));
          ofControl(control).crates.add(crate);
        }
      }
      for (const [control, state] of worst) ofControl(control).now[state] += 1;
    },
    addDay(each, { nodes, crates }) {
      const of = perDay.get(each);
      if (of !== undefined) addCounts(of.counts, nodes);
      for (const [crate, held] of crates) addCounts(entryOf(ofCrate(crate).days, each, noCounts), held);
    },
    view(generated) {
      const crates = [...perCrate].toSorted(([a, one], [b, other]) => weightOf(other) - weightOf(one) || byText(a, b));
      return {
        generated,
        days: [...perDay].map(([each, { nodes, counts: held }]) => ({
          day: each,
          ...held,
          unseen: Math.max(0, nodes - held.converged - held.drifted - held.failed),
        })),
        crates: crates
          .slice(0, maxCratesShown)
          .sort(([a], [b]) => byText(a, b))
          .map(([crate, { now, days: each }]) => ({
            crate,
            controls: served.get(crate) ?? [],
            ...now,
            days: [...each].sort(([a], [b]) => byText(a, b)).map(([of, held]) => ({ day: of, ...held })),
          })),
        cratesOmitted: Math.max(0, crates.length - maxCratesShown),
        controls: [...perControl]
          .sort(([a], [b]) => byText(a, b))
          .map(([control, { now, crates: by }]) => ({ control, ...now, crates: [...by].sort() })),
      };
    },
  };
}

function addCounts(to: Counts, { converged, drifted, failed }: Readonly<Counts>): void {
  to.converged += converged;
  to.drifted += drifted;
  to.failed += failed;
}

/** Crates that nodes have now come before those that they had. */
function weightOf({ now, days }: { readonly now: Counts; readonly days: ReadonlyMap<string, unknown> }): number {
  return (now.converged + now.drifted + now.failed) * 1_000 + days.size;
}

function byText(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

function entryOf<Key, Value>(map: Map<Key, Value>, key: Key, make: () => Value): Value {
  const held = map.get(key) ?? make();
  map.set(key, held);
  return held;
}

/** Which controls each crate of the current release says that it serves. */
async function controlsByCrate({ store, blobs }: PostureDeps): Promise<ReadonlyMap<string, readonly string[]>> {
  const current = await currentRelease(store);
  const release = current && (await getRelease(store, current.number));
  const served = new Map<string, readonly string[]>();
  if (release === undefined) return served;
  for (const { name, sha256 } of parseManifest(release.manifest).crates) {
    const bytes = await blobs.get(parseBlobDigest(sha256));
    if (bytes === undefined) continue;
    const { controls } = parseCrate(bytes);
    if (controls !== undefined) served.set(name, controls);
  }
  return served;
}
