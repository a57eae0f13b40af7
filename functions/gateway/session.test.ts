import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, it } from 'node:test';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { openSession, type SessionPush } from '../../agent/session.ts';
import { sha256Hex } from '../../lib/crypto/digest.ts';
import { getNode } from '../../lib/identity/nodes.ts';
import { formatManifest, type Manifest } from '../../lib/policy/model.ts';
import { ResultKind } from '../../lib/wire/gen/holdfast/agent/v1/gateway_pb.ts';
import { createGatewayFleet, fleetName, type GatewayFleet } from '../../test/fakes/gateway-fleet.ts';
import { releaseKey } from './current-release.ts';
import { runPartition } from './runs.ts';

describe('the session', () => {
  it('checks in, learns of a release, fetches it, downloads its blobs and reports a run', async () => {
    const fleet = await createGatewayFleet();
    try {
      const node = await fleet.addNode();
      const pushes: SessionPush[] = [];
      const pushed = Promise.withResolvers<void>();
      const session = await openSession({
        ...fleet.sessionOptions(node),
        onPush: (push) => {
          pushes.push(push);
          pushed.resolve();
        },
      });
      const first = await session.checkIn({ agentVersion: '1.0.0' });
      assert.equal(first.release, undefined);
      assert.equal(first.quarantined, false);
      assert.ok(first.nextCheckInMs >= 48_000 && first.nextCheckInMs <= 72_000, `${first.nextCheckInMs}`);
      assert.equal(await session.fetchRelease(), undefined);

      const { ref, blob, manifestBytes } = await publish(fleet);
      await pushed.promise;
      assert.deepEqual(pushes, [{ kind: 'release', release: ref }]);
      const second = await session.checkIn({ agentVersion: '1.0.0' });
      assert.deepEqual(second.release, ref);
      const fetched = await session.fetchRelease();
      assert.deepEqual(Buffer.from(fetched!.manifest), Buffer.from(manifestBytes));
      assert.deepEqual(fetched!.signatures, ['signature']);
      assert.deepEqual(Buffer.from(await session.download(sha256Hex(blob))), Buffer.from(blob));
      const third = await session.checkIn({ agentVersion: '1.0.0', release: ref });
      assert.equal(third.release, undefined);

      const runId = randomUUID();
      const report = {
        runId,
        started: timestampFromMs(Date.now()),
        releaseNumber: ref.number,
        releaseDigest: Buffer.from(ref.digest, 'hex'),
        results: [
          {
            resource: 'motd/file/etc/motd',
            result: ResultKind.UPDATED,
            reason: 'content\u001b[31m differed',
            durationMs: 3,
          },
        ],
      };
      await session.reportRun(report);
      await session.reportRun(report);
      const { items } = await fleet.store.query({ pk: runPartition(node.uuid) });
      assert.equal(items.length, 1);
      assert.equal(items[0]!['runId'], runId);
      assert.deepEqual((items[0]!['results'] as { reason: string }[])[0]!.reason, 'content [31m differed');
      const stored = await fleet.store.get({ pk: `node#${node.uuid[0]}`, sk: node.uuid });
      assert.equal((stored!['lastRun'] as { runId: string }).runId, runId);
      assert.equal((await getNode(fleet.store, node.uuid))?.agentVersion, '1.0.0');
      session.close();
      assert.equal((await session.ended).code, 'closed');
    } finally {
      await fleet.close();
    }
  });
});

async function publish(fleet: GatewayFleet) {
  const blob = Buffer.alloc(700_000, 'holdfast');
  await fleet.blobs.put(blob);
  const manifest: Manifest = {
    fleet: fleetName,
    number: 1,
    previous: '0'.repeat(64),
    created: Date.now(),
    expires: Date.now() + 1_000_000,
    bindings: [{ match: { labels: { role: 'web' } }, crates: ['motd'] }],
    crates: [{ name: 'motd', sha256: sha256Hex(blob), blobs: [] }],
  };
  const manifestBytes = formatManifest(manifest);
  const ref = { number: 1, digest: sha256Hex(manifestBytes) };
  await fleet.store.transact([
    { kind: 'put', item: { ...releaseKey(1), ...ref, manifest: manifestBytes, signatures: ['signature'] } },
    { kind: 'put', item: { pk: 'release', sk: 'current', ...ref } },
  ]);
  return { ref, blob, manifestBytes };
}
