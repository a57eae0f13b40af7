/** A control plane without its edges, for tests of builds and rings: a store, an audit log, release keys, enrolled nodes. */
import { randomUUID } from 'node:crypto';
import { localAdmin } from '../../lib/access/principal.ts';
import { publishBuild } from '../../lib/artifacts/builds.ts';
import { formatKeys } from '../../lib/artifacts/keys.ts';
import type { RingNode } from '../../lib/artifacts/rings.ts';
import { rolloutBuild } from '../../lib/artifacts/rollout.ts';
import { trustKeys } from '../../lib/artifacts/trusted-keys.ts';
import { nodeKey } from '../../lib/identity/nodes.ts';
import { createMemoryBlobs } from '../../lib/store/blobs-memory.ts';
import { createMemoryStore } from '../../lib/store/memory.ts';
import { createFakeAudit } from './audit.ts';
import { builtAt, createBuilds } from './builds.ts';

export async function createRolloutWorld(nodes = 0) {
  const clock = { now: builtAt };
  const now = () => clock.now;
  const builds = createBuilds();
  const store = createMemoryStore();
  const audit = createFakeAudit(store);
  const blobs = createMemoryBlobs();
  const deps = { store, audit, blobs, now };
  await trustKeys(deps, { list: formatKeys(builds.keys), actor: localAdmin });
  const fleet: RingNode[] = [];
  for (let index = 0; index < nodes; index += 1) {
    const node = { uuid: randomUUID(), labels: { zone: index % 2 === 0 ? 'even' : 'odd' }, platform: 'linux-x64' };
    fleet.push(node);
    const { uuid, ...rest } = node;
    const item = {
      ...nodeKey(uuid),
      ...rest,
      name: `n${index}`,
      state: 'active',
      revision: 1,
      token: 't',
      enrolledAt: 0,
    };
    await store.transact([
      { kind: 'put', item: { ...item, identityKey: new Uint8Array(32), sealingKey: new Uint8Array(32) } },
    ]);
  }
  async function publish(version: string, change: Parameters<typeof builds.build>[1] = {}) {
    const { note, program } = await builds.build(version, change);
    const part = await blobs.put(program);
    return publishBuild(deps, { manifest: Buffer.from(note), parts: [part], actor: localAdmin });
  }
  const rollout = (version: string, ring: string, rest: object = {}) =>
    rolloutBuild(deps, { version, ring, actor: localAdmin, ...rest });
  return { ...deps, deps, clock, builds, fleet, publish, rollout };
}
