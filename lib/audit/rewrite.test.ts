/**
 * Whoever owns the database and the log's key rewrites history and computes every hash, chain and tree anew: within itself
 * the forged log is sound. Four things outside it each give it away, alone; see also agent/log-witness.test.ts.
 */
import assert from 'node:assert/strict';
import { appendFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createLogWitness } from '../../agent/log-witness.ts';
import { createLogFollowing } from '../../functions/gateway/log-following.ts';
import { logger, withState } from '../../test/fakes/agent.ts';
import { createTestLog, createTestSigner, testEvent, testOrigin } from '../../test/fakes/audit-log.ts';
import { createTestWitness, postTo } from '../../test/fakes/witness.ts';
import { createMemoryStore } from '../store/memory.ts';
import { openAnchorDirectory } from './anchor-directory.ts';
import { createDistributor } from './distribute.ts';
import { listEntries } from './list.ts';
import { formatFeedRecord, openFeedSource } from './source-feed.ts';
import { isSound } from './verdicts.ts';
import { type VerifyOptions, verifyLog } from './verify.ts';
import { createWitnessClient } from './witness-client.ts';
import { parsePolicy } from './witness-policy.ts';

/** The honest log, and one of the same key and origin in which entry 7 says something else, and that is longer. */
async function makeLogs() {
  const signer = createTestSigner();
  const logs = await Promise.all(
    [createMemoryStore(), createMemoryStore()].map((store) => createTestLog({ signer, store })),
  );
  const [honest, forged] = logs as [(typeof logs)[0], (typeof logs)[0]];
  const events = Array.from({ length: 300 }, (_, i) => ({ ...testEvent, object: { kind: 'token', id: `t${i}` } }));
  for (const event of events) await honest.writer.append(event);
  await honest.sealer.sealOnce();
  for (const [i, event] of events.entries()) {
    await forged.writer.append(i === 6 ? { ...event, outcome: 'failure' } : event);
  }
  for (let i = 0; i < 20; i++) await forged.writer.append(testEvent);
  await forged.sealer.sealOnce();
  const verify = (log: typeof honest, options: Partial<VerifyOptions> = {}) =>
    verifyLog({ source: log.publication, verifiers: log.verifiers, now: log.now, ...options });
  const alone = await verify(forged);
  assert.ok(isSound(alone) && alone.completeness.verdict === 'pass', 'within itself the forged log is sound');
  return {
    honest,
    forged,
    verify,
    noteOf: (log: typeof honest) => Buffer.from(log.publication.files.get('checkpoint')!),
  };
}

async function temporary(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-rewrite-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

test('R30 a rewritten history is caught by an anchor', async (t) => {
  const { honest, forged, verify } = await makeLogs();
  const anchor = await openAnchorDirectory(await temporary(t));
  const distributorOf = (log: typeof honest) =>
    createDistributor({
      ...{ publication: log.publication, origin: testOrigin, verifiers: log.verifiers, anchors: [anchor] },
      logger: { error: () => undefined, warn: () => undefined },
      delay: async () => undefined,
    });
  await distributorOf(honest).distribute();
  const anchors: string[] = [];
  for await (const note of anchor.list()) anchors.push(note);
  assert.equal((await verify(honest, { anchors })).anchoring.verdict, 'pass');
  const { anchoring } = await verify(forged, { anchors });
  assert.equal(anchoring.verdict, 'fail');
  assert.match(anchoring.reason, /another history of size 302/);
  // The anchor takes no second root of a size, so the rewrite can't be anchored over it.
  await forged.writer.append(testEvent);
  const fork = await createTestLog({ signer: honest.signer, store: createMemoryStore() });
  for (let i = 0; i < 300; i++) await fork.writer.append(testEvent);
  await fork.sealer.sealOnce();
  const { failed } = (await distributorOf(fork).distribute())!;
  assert.match(String(failed.get(anchor.name)), /another root/);
});

test('R30 a rewritten history is caught by what a log store was sent', async (t) => {
  const { honest, forged, noteOf } = await makeLogs();
  const directory = await temporary(t);
  const { entries } = await listEntries({ store: honest.store, origin: testOrigin }, { order: 'oldest', limit: 1000 });
  const verifyFeed = async (path: string) => {
    const { source, checkpoints } = await openFeedSource(path, testOrigin);
    const { verifiers, now } = honest;
    return verifyLog({ source, verifiers, now, anchors: checkpoints, tiles: false });
  };
  const write = async (name: string, lines: readonly string[]) => {
    await appendFile(join(directory, name), lines.join(''));
    return join(directory, name);
  };
  const delivered = entries.map(formatFeedRecord);
  const withNote = (note: Buffer) => `${JSON.stringify({ checkpoint: note.toString() })}\n`;
  // At least once, and in order: some come twice.
  const good = await write('good', [...delivered.slice(0, 90), ...delivered.slice(80), withNote(noteOf(honest))]);
  const verdicts = await verifyFeed(good);
  assert.ok(isSound(verdicts), JSON.stringify(verdicts));
  assert.equal(verdicts.size, 302);
  assert.equal(verdicts.chain, entries.at(-1)!.chain);
  // The forged log shows its checkpoint; the delivered entries do not lead there.
  const feed = await write('forged', [...delivered, withNote(noteOf(forged))]);
  const caught = await verifyFeed(feed);
  assert.equal(caught.integrity.verdict, 'fail');
  // A later entry of the forged log does not go on the delivered chain either.
  const { entries: theirs } = await listEntries(
    { store: forged.store, origin: testOrigin },
    { order: 'oldest', limit: 1000 },
  );
  const mixed = [...delivered.slice(0, 200), ...theirs.slice(200).map(formatFeedRecord), withNote(noteOf(forged))];
  const { integrity } = await verifyFeed(await write('mixed', mixed));
  assert.deepEqual([integrity.verdict, integrity.index], ['fail', 200]);
});

test('R30 a rewritten history is caught by a single agent', () =>
  withState(async (state) => {
    const { honest, forged } = await makeLogs();
    const reports: string[] = [];
    const node = createLogWitness({
      ...{ state, logger, now: honest.now, runId: () => '6b1f0a52-8f0e-4c57-9d3c-2f5f1f0c9a11' },
      log: { origin: testOrigin, key: honest.verifierKey },
      report: async ({ error }) => void reports.push(error),
    });
    const sessionOf = ({ publication, now }: typeof honest) => {
      const following = createLogFollowing({ publication, now });
      return { followLog: (size: number) => following.since(size) };
    };
    assert.equal(await node.follow(sessionOf(honest)), 'advanced');
    assert.equal(await node.follow(sessionOf(forged)), 'alarm');
    assert.match(reports[0]!, /fork/);
  }));

test('R30 a rewritten history is caught by a witness', async () => {
  const { honest, forged, verify, noteOf } = await makeLogs();
  const witness = createTestWitness('w.example/a', { logs: honest.verifiers, now: honest.now });
  const witnesses = parsePolicy(`witness A ${witness.key} test:w.example/a\nquorum A\n`);
  const distribute = async (log: typeof honest) => {
    const { publication, verifiers } = log;
    const client = createWitnessClient({ source: publication, origin: testOrigin, verifiers, post: postTo(witness) });
    return createDistributor({
      ...{ publication, origin: testOrigin, verifiers, anchors: [] },
      witnesses: { policy: witnesses, client },
      logger: { error: () => undefined, warn: () => undefined },
      delay: async () => undefined,
    }).distribute();
  };
  assert.equal((await distribute(honest))?.failed.size, 0);
  assert.equal((await verify(honest, { witnesses })).witnessing.verdict, 'pass');
  assert.match(String((await distribute(forged))?.failed.get('A')), /does not accept/);
  const verdicts = await verify(forged, { witnesses });
  assert.equal(verdicts.witnessing.verdict, 'fail');
  assert.ok(!isSound(verdicts));
  // The witness keeps both sides.
  assert.equal(witness.evidence[0]?.offered, noteOf(forged).toString());
  assert.equal(witness.evidence[0]?.held.split('\n\n')[0], noteOf(honest).toString().split('\n\n')[0]);
});
