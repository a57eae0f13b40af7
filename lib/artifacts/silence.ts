/**
 * Nodes that took a build and were never heard of again. A build that takes its machine down with it reports nothing,
 * so its ring counts the silence: a node that has the whole build, and of which nothing was heard for an hour, failed.
 * One that did not take the build may be off for whatever reason, and is not counted; one that comes back says how its
 * update ended, and that is what counts then.
 */
import { systemActor } from '../audit/system-entry.ts';
import { getNode } from '../identity/nodes.ts';
import type { Store, Write } from '../store/port.ts';
import { haltWhenFailing, type OutcomeDeps, outcomeKey, stateOf, stateWrites, takenKey } from './outcomes.ts';
import { type Ring, readRings } from './rings.ts';

/**
 * Longer than a trial with its three starts and the way back (15 minutes and what a reboot takes), and longer than the
 * 40 minutes that may lie between two notes of when a node was seen (functions/gateway/seen.ts).
 */
export const silentAfterMs = 60 * 60_000;

/** Notes that a node has the whole build. Taken again, the hour begins anew. */
export async function recordTaken(
  { store, now }: Pick<OutcomeDeps, 'store' | 'now'>,
  uuid: string,
  { name, rollout }: Pick<Ring, 'name' | 'rollout'>,
): Promise<void> {
  await store.transact([{ kind: 'put', item: { ...takenKey(name, rollout, uuid), at: now() } }]);
}

export type SilenceLook = {
  /** Milliseconds: since when nodes could be heard. What they could not say before that is no silence. */
  readonly since: number;
  readonly signal: AbortSignal;
};

/** Counts the nodes that fell silent, each with its entry, and halts the rings that fail. */
export async function countSilent(deps: OutcomeDeps, look: SilenceLook): Promise<void> {
  const { rings } = await readRings(deps.store);
  for (const ring of rings) {
    for await (const taken of takers(deps.store, ring)) {
      if (look.signal.aborted) return;
      await judge(deps, ring, taken, look.since);
    }
    // Also what a report found and could not halt, because somebody changed the rings at that moment.
    await haltWhenFailing(deps, ring, ring.rollout);
  }
}

type Taken = { readonly uuid: string; readonly at: number };

async function judge(deps: OutcomeDeps, ring: Ring, taken: Taken, since: number): Promise<void> {
  const { store, now } = deps;
  const isSilent = (heardAt: number) => Math.max(heardAt, since) + silentAfterMs <= now();
  if (!isSilent(taken.at)) return;
  const node = await getNode(store, taken.uuid);
  // One that an operator shut out has nobody to report to.
  if (node?.state !== 'active' || !isSilent(node.seenAt ?? 0)) return;
  await recordSilent(deps, ring, taken, node.agentVersion ?? '');
  await haltWhenFailing(deps, ring, ring.rollout);
}

async function recordSilent(
  { store, audit, now }: OutcomeDeps,
  { name, rollout, version }: Ring,
  { uuid, at }: Taken,
  from: string,
): Promise<void> {
  const before = await store.get(outcomeKey(name, rollout, uuid));
  const step = { from: before && stateOf(before), to: 'silent' } as const;
  const writes: Write[] = [
    ...stateWrites(name, uuid, step, { rollout, version, reason: '', from }, now()),
    // Not if it took the build again, or another gateway looked at the same time.
    { kind: 'delete', key: takenKey(name, rollout, uuid), when: { kind: 'equals', name: 'at', value: at } },
  ];
  const detail = { ring: name, rollout, version, from, result: 'silent' };
  const object = { kind: 'node', id: uuid };
  await audit.append({ type: 'node.update', actor: systemActor, object, outcome: 'failure', detail }, writes);
}

async function* takers(store: Pick<Store, 'query'>, { name, rollout }: Ring): AsyncGenerator<Taken> {
  const { pk } = takenKey(name, rollout, '');
  let after: string | undefined;
  do {
    const page = await store.query(after === undefined ? { pk } : { pk, after });
    for (const item of page.items) yield { uuid: item.sk, at: Number(item['at']) };
    after = page.next;
  } while (after !== undefined);
}
