/** What compliance reports are made of: posture of the fleet by day, crate and control, and the verdicts on the log. */
import { z } from 'zod';
import type { LogSource } from '../../lib/audit/publication.ts';
import type { Verdicts } from '../../lib/audit/verdicts.ts';
import { verifyLog } from '../../lib/audit/verify.ts';
import { dayOf, type PostureDay, type PostureState, readPosture, worstOf } from '../../lib/compliance/posture.ts';
import { parseVerifierKey } from '../../lib/crypto/note.ts';
import type { FleetDescriptor } from '../../lib/identity/descriptor.ts';
import { type NodeRecord, nodeItems, parseNode } from '../../lib/identity/nodes.ts';
import { currentRelease, getRelease } from '../../lib/policy/history.ts';
import { parseCrate, parseManifest } from '../../lib/policy/model.ts';
import { type BlobStore, parseBlobDigest } from '../../lib/store/blobs.ts';
import type { Store } from '../../lib/store/port.ts';
import { count, time, uuid, type View } from './view.ts';

export type ComplianceDeps = {
  readonly store: Store;
  readonly blobs: BlobStore;
  readonly publication: LogSource;
  readonly descriptor: FleetDescriptor;
  readonly now: () => number;
};

type Counts = { converged: number; drifted: number; failed: number };

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

/** So many days up to today. */
export function daysUpTo(now: number, length: number): readonly string[] {
  return Array.from({ length }, (_, i) => dayOf(now - (length - 1 - i) * dayMs));
}

export async function fleetPosture(deps: ComplianceDeps, wanted: number): Promise<PostureView> {
  const days = daysUpTo(deps.now(), wanted);
  const perDay = new Map(days.map((day) => [day, { converged: 0, drifted: 0, failed: 0, unseen: 0 }]));
  const perCrate = new Map<string, Counts & { readonly days: Map<string, Counts> }>();
  const perControl = new Map<string, Counts & { readonly crates: Set<string> }>();
  const served = await controlsByCrate(deps);
  for await (const item of nodeItems(deps.store)) {
    const node = parseNode(item);
    const held = await readPosture(deps.store, node.uuid, days[0] ?? '');
    for (const { day, state } of nodeDays(node, held, days)) {
      const counts = perDay.get(day);
      if (counts !== undefined) counts[state] += 1;
    }
    for (const { day, crates } of held) {
      if (!perDay.has(day)) continue;
      for (const [crate, state] of Object.entries(crates)) {
        const { days: each } = entryOf(perCrate, crate, () => ({ ...none(), days: new Map<string, Counts>() }));
        entryOf(each, day, none)[state] += 1;
      }
    }
    if (node.state === 'revoked') continue;
    const worst = new Map<string, PostureState>();
    for (const [crate, state] of Object.entries(held.at(-1)?.crates ?? {})) {
      entryOf(perCrate, crate, () => ({ ...none(), days: new Map<string, Counts>() }))[state] += 1;
      for (const control of served.get(crate) ?? []) {
        worst.set(control, worstOf([state, worst.get(control) ?? 'converged']));
        entryOf(perControl, control, () => ({ ...none(), crates: new Set<string>() })).crates.add(crate);
      }
    }
    for (const [control, state] of worst)
      entryOf(perControl, control, () => ({ ...none(), crates: new Set<string>() }))[state] += 1;
  }
  const crates = [...perCrate]
    .map(([crate, { days: each, ...counts }]) => ({
      crate,
      controls: served.get(crate) ?? [],
      ...counts,
      days: [...each].map(([day, one]) => ({ day, ...one })).sort((a, b) => (a.day < b.day ? -1 : 1)),
    }))
    .sort((a, b) => (a.crate < b.crate ? -1 : 1));
  return {
    generated: new Date(deps.now()).toISOString(),
    days: [...perDay].map(([day, counts]) => ({ day, ...counts })),
    crates,
    controls: [...perControl]
      .map(([control, { crates: by, ...counts }]) => ({ control, ...counts, crates: [...by].sort() }))
      .sort((a, b) => (a.control < b.control ? -1 : 1)),
  };
}

/** A node counts from the day of its enrollment to the one of its revocation. */
export function nodeDays(node: NodeRecord, held: readonly PostureDay[], days: readonly string[]): NodePosture['days'] {
  const first = dayOf(node.enrolledAt);
  const last = node.revokedAt === undefined ? '9999-12-31' : dayOf(node.revokedAt);
  return days
    .filter((day) => day >= first && day <= last)
    .map((day) => ({ day, state: held.find((one) => one.day === day)?.state ?? 'unseen' }));
}

const none = (): Counts => ({ converged: 0, drifted: 0, failed: 0 });

function entryOf<Key, Value>(map: Map<Key, Value>, key: Key, make: () => Value): Value {
  const held = map.get(key) ?? make();
  map.set(key, held);
  return held;
}

/** Which controls each crate of the current release says that it serves. */
async function controlsByCrate({ store, blobs }: ComplianceDeps): Promise<ReadonlyMap<string, readonly string[]>> {
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

/** The verdicts on the published log, made once for each checkpoint: reading the whole log again would tell nothing new. */
export function createVerification({
  publication,
  descriptor,
  now,
}: ComplianceDeps): () => Promise<Verdicts | undefined> {
  let held: { readonly note: string; readonly verdicts: Verdicts } | undefined;
  let running: Promise<Verdicts> | undefined;
  return async () => {
    const bytes = await publication.read('checkpoint');
    if (bytes === undefined) return undefined;
    const note = Buffer.from(bytes).toString('latin1');
    if (held?.note === note) return held.verdicts;
    // One at a time: asked again and again while the log grows, it would otherwise be read whole many times at once.
    running ??= verifyLog({ source: publication, verifiers: [parseVerifierKey(descriptor.log.key)], now })
      .then((verdicts) => {
        held = { note, verdicts };
        return verdicts;
      })
      .finally(() => {
        running = undefined;
      });
    return running;
  };
}
