/** Nodes follow the log from the publication alone; a gateway that lags reads anew rather than tell of less. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openSession } from '../../agent/session.ts';
import { parseCheckpoint } from '../../lib/audit/checkpoint.ts';
import { verifyConsistency } from '../../lib/audit/tree.ts';
import { parseNote } from '../../lib/crypto/note.ts';
import { createTestLog, testEvent } from '../../test/fakes/audit-log.ts';
import { createGatewayFleet } from '../../test/fakes/gateway-fleet.ts';
import { createLogFollowing } from './log-following.ts';

const open = (note: Uint8Array) => parseCheckpoint(parseNote(note).text);

test('a proof leads from any earlier size, and the publication is read once a second', async () => {
  const log = await createTestLog();
  let reads = 0;
  const publication = {
    read: async (path: string) => {
      if (path === 'checkpoint') reads += 1;
      return log.publication.read(path);
    },
  };
  const following = createLogFollowing({ publication, now: log.now });
  assert.equal((await following.since(0)).checkpoint.length, 0);
  log.clock.time += 1000;
  const seen = [];
  for (const count of [3, 260, 700]) {
    for (let i = 0; i < count; i++) await log.writer.append(testEvent);
    seen.push((await log.sealer.sealOnce())!);
  }
  reads = 0;
  const newest = seen.at(-1)!;
  for (const earlier of seen) {
    const { checkpoint, proof } = await following.since(earlier.size);
    verifyConsistency(earlier, open(checkpoint), proof);
  }
  assert.equal(reads, 1);
  assert.deepEqual((await following.since(newest.size + 1)).proof, []);
  assert.equal(reads, 2, 'asked for more than it knows, it looks again');
});

test('tiles that are gone are a refusal, not a crash', async () => {
  const log = await createTestLog();
  for (let i = 0; i < 10; i++) await log.writer.append(testEvent);
  await log.sealer.sealOnce();
  const read = async (path: string) => (path === 'checkpoint' ? log.publication.read(path) : undefined);
  const following = createLogFollowing({ publication: { read }, now: log.now });
  await assert.rejects(following.since(3), { name: 'RequestRefused' });
});

test('a gateway without a publication refuses over the wire, and the session goes on', async () => {
  const fleet = await createGatewayFleet();
  try {
    const session = await openSession(fleet.sessionOptions(await fleet.addNode()));
    await assert.rejects(session.followLog(0), { code: 'refused', reason: 'UNIMPLEMENTED' });
    assert.equal(
      (await session.checkIn({ agentVersion: '1', factsDigest: new Uint8Array(), secretsEpoch: 0 })).quarantined,
      false,
    );
    session.close();
    await session.ended;
  } finally {
    await fleet.close();
  }
});
