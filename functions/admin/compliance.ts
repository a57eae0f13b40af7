/** What compliance reports are made of: posture of the fleet by day, crate and control, and the verdicts on the log. */

import type { LogSource } from '../../lib/audit/publication.ts';
import type { Verdicts } from '../../lib/audit/verdicts.ts';
import { verifyLog } from '../../lib/audit/verify.ts';
import { dayOf, type PostureDay, readPosture } from '../../lib/compliance/posture.ts';
import { parseVerifierKey } from '../../lib/crypto/note.ts';
import type { FleetDescriptor } from '../../lib/identity/descriptor.ts';
import { type NodeRecord, nodeItems, parseNode } from '../../lib/identity/nodes.ts';
import { currentRelease, getRelease } from '../../lib/policy/history.ts';
import { parseManifest } from '../../lib/policy/model.ts';
import { type BlobStore, parseBlobDigest } from '../../lib/store/blobs.ts';
import type { Store } from '../../lib/store/port.ts';

export type ComplianceDeps = {
  readonly store: Store;
  readonly blobs: BlobStore;
  readonly publication: LogSource;
  readonly descriptor: FleetDescriptor;
  readonly now: () => number;
};

type Counts = { converged: number; drifted: number; failed: number };

export type PostureView = {
  readonly generated: string;
  /** Oldest first. `unseen`: nodes of that day that reported no run. */
  readonly days: readonly (Readonly<Counts> & { readonly day: string; readonly unseen: number })[];
  /** As each crate stood at the end of the newest day that each node reported. */
  readonly crates: readonly (Readonly<Counts> & { readonly crate: string; readonly controls: readonly string[] })[];
  /** The same, by the controls that crates say they serve. */
  readonly controls: readonly (Readonly<Counts> & { readonly control: string; readonly crates: readonly string[] })[];
};

export type NodePosture = {
  readonly uuid: string;
  readonly name: string;
  readonly days: readonly { readonly day: string; readonly state: 'converged' | 'drifted' | 'failed' | 'unseen' }[];
};

const dayMs = 86_400_000;

/** `count` days up to today. */
export function daysUpTo(now: number, count: number): readonly string[] {
  return Array.from({ length: count }, (_, i) => dayOf(now - (count - 1 - i) * dayMs));
}

export async function fleetPosture(deps: ComplianceDeps, count: number): Promise<PostureView> {
  const days = daysUpTo(deps.now(), count);
  const perDay = new Map(days.map((day) => [day, { converged: 0, drifted: 0, failed: 0, unseen: 0 }]));
  const perCrate = new Map<string, Counts>();
  for await (const item of nodeItems(deps.store)) {
    const node = parseNode(item);
    const held = await readPosture(deps.store, node.uuid, days[0] ?? '');
    for (const { day, state } of nodeDays(node, held, days)) {
      const counts = perDay.get(day);
      if (counts !== undefined) counts[state] += 1;
    }
    if (node.state === 'revoked') continue;
    for (const [crate, state] of Object.entries(held.at(-1)?.crates ?? {})) {
      const counts = perCrate.get(crate) ?? { converged: 0, drifted: 0, failed: 0 };
      counts[state] += 1;
      perCrate.set(crate, counts);
    }
  }
  const served = await controlsByCrate(deps);
  const crates = [...perCrate]
    .map(([crate, counts]) => ({ crate, controls: served.get(crate) ?? [], ...counts }))
    .sort((a, b) => (a.crate < b.crate ? -1 : 1));
  return {
    generated: new Date(deps.now()).toISOString(),
    days: [...perDay].map(([day, counts]) => ({ day, ...counts })),
    crates,
    controls: byControl(crates),
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

function byControl(crates: PostureView['crates']): PostureView['controls'] {
  const controls = new Map<string, Counts & { crates: string[] }>();
  for (const { crate, controls: served, converged, drifted, failed } of crates) {
    for (const control of served) {
      const sum = controls.get(control) ?? { converged: 0, drifted: 0, failed: 0, crates: [] };
      sum.converged += converged;
      sum.drifted += drifted;
      sum.failed += failed;
      sum.crates.push(crate);
      controls.set(control, sum);
    }
  }
  return [...controls].map(([control, sum]) => ({ control, ...sum })).sort((a, b) => (a.control < b.control ? -1 : 1));
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
    const { controls } = JSON.parse(Buffer.from(bytes).toString('utf8')) as { controls?: unknown };
    if (Array.isArray(controls))
      served.set(
        name,
        controls.filter((one) => typeof one === 'string'),
      );
  }
  return served;
}

/** The verdicts on the published log, made once for each checkpoint: reading the whole log again would tell nothing new. */
export function createVerification({
  publication,
  descriptor,
  now,
}: ComplianceDeps): () => Promise<Verdicts | undefined> {
  let held: { readonly note: string; readonly verdicts: Promise<Verdicts> } | undefined;
  return async () => {
    const bytes = await publication.read('checkpoint');
    if (bytes === undefined) return undefined;
    const note = Buffer.from(bytes).toString('latin1');
    if (held?.note !== note) {
      const verifiers = [parseVerifierKey(descriptor.log.key)];
      held = { note, verdicts: verifyLog({ source: publication, verifiers, now }) };
    }
    const current = held;
    try {
      return await current.verdicts;
    } catch (error) {
      if (held === current) held = undefined;
      throw error;
    }
  };
}
