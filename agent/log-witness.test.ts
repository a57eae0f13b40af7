/** A node remembers the log: it advances with a proof, and keeps both sides of what does not follow. */
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { createLogFollowing } from '../functions/gateway/log-following.ts';
import { readCheckpoint } from '../lib/audit/head.ts';
import { createTileReader } from '../lib/audit/tile-reader.ts';
import { consistencyProof } from '../lib/audit/tree.ts';
import { createMemoryStore } from '../lib/store/memory.ts';
import { logger, withState } from '../test/fakes/agent.ts';
import { createTestLog, createTestSigner, testEvent, testOrigin } from '../test/fakes/audit-log.ts';
import { createLogWitness } from './log-witness.ts';
import type { FollowedLog } from './session.ts';
import { SessionError } from './session-error.ts';
import type { StateDirectory } from './state.ts';

type Log = Awaited<ReturnType<typeof createTestLog>>;

const grow = async (log: Log, count: number) => {
  for (let i = 0; i < count; i++) await log.writer.append(testEvent);
  await log.sealer.sealOnce();
};

function witness(state: StateDirectory, log: Log) {
  const reports: string[] = [];
  const made = createLogWitness({
    ...{ state, logger, now: log.now, runId: () => '6b1f0a52-8f0e-4c57-9d3c-2f5f1f0c9a11' },
    log: { origin: testOrigin, key: log.verifierKey },
    report: async ({ error }) => void reports.push(error),
  });
  return { ...made, reports };
}

/** A session that answers from a publication, as the gateway does; each is a new one. */
function sessionOf(log: Log, change: (followed: FollowedLog) => FollowedLog | undefined = (same) => same) {
  const following = createLogFollowing({ publication: log.publication, now: log.now });
  return { followLog: async (size: number) => change(await following.since(size)) };
}

const evidenceOf = async (state: StateDirectory) => {
  const names = await readdir(join(state.path, 'evidence')).catch(() => []);
  return Promise.all(names.map(async (name) => JSON.parse(await readFile(join(state.path, 'evidence', name), 'utf8'))));
};

test('R30 a node takes a newer checkpoint with its proof, and asks seldom', () =>
  withState(async (state) => {
    const log = await createTestLog();
    const node = witness(state, log);
    await grow(log, 5);
    const session = sessionOf(log);
    assert.equal(await node.follow(session), 'advanced');
    assert.equal(await node.follow(session), 'later');
    assert.equal(await node.follow(sessionOf(log)), 'same');
    await grow(log, 300);
    log.clock.time += 10 * 60_000;
    assert.equal(await node.follow(session), 'advanced');
    const held = Buffer.from((await state.read('checkpoint'))!).toString();
    assert.equal(held, (await readCheckpoint(log.store))?.note);
    // A restart remembers.
    await grow(log, 3);
    assert.equal(await witness(state, log).follow(sessionOf(log)), 'advanced');
    assert.deepEqual(node.reports, []);
  }));

test('R30 a history that was rewritten, under the log’s own key, is caught by a single node', () =>
  withState(async (state) => {
    const signer = createTestSigner();
    const honest = await createTestLog({ signer });
    const node = witness(state, honest);
    await grow(honest, 20);
    await node.follow(sessionOf(honest));
    const before = await state.read('checkpoint');
    const rewritten = await createTestLog({ signer, store: createMemoryStore() });
    await rewritten.writer.append({ ...testEvent, outcome: 'failure' });
    await grow(rewritten, 40);
    assert.equal(await node.follow(sessionOf(rewritten)), 'alarm');
    assert.deepEqual(await state.read('checkpoint'), before, 'what was seen is not forgotten');
    const [evidence] = await evidenceOf(state);
    assert.match(evidence.problem, /^fork/);
    assert.deepEqual(Buffer.from(evidence.held, 'base64'), Buffer.from(before!));
    assert.deepEqual(
      Buffer.from(evidence.offered, 'base64'),
      Buffer.from(rewritten.publication.files.get('checkpoint')!),
    );
    assert.match(node.reports[0]!, /does not go on/);
    // The same again is kept and told once; the honest log is still followed.
    assert.equal(await node.follow(sessionOf(rewritten)), 'alarm');
    assert.equal(node.reports.length, 1);
    await grow(honest, 1);
    assert.equal(await node.follow(sessionOf(honest)), 'advanced');
  }));

const offers: readonly [
  string,
  RegExp,
  (honest: Log, other: Log) => Promise<(f: FollowedLog) => FollowedLog | undefined>,
][] = [
  [
    'a smaller log',
    /^rollback/,
    async (_honest, other) => {
      await grow(other, 2);
      return (followed) => ({ ...followed, checkpoint: other.publication.files.get('checkpoint')! });
    },
  ],
  ['an empty log', /^rollback/, async () => () => undefined],
  [
    'another root of the same size',
    /^fork/,
    async (honest, other) => {
      await grow(other, 19);
      assert.equal((await readCheckpoint(other.store))?.size, (await readCheckpoint(honest.store))?.size);
      return (followed) => ({ ...followed, checkpoint: other.publication.files.get('checkpoint')! });
    },
  ],
  [
    'a proof from another size',
    /^fork/,
    async (honest) => {
      await grow(honest, 50);
      const { size } = (await readCheckpoint(honest.store))!;
      const proof = await consistencyProof(createTileReader(honest.publication, size), 7, size);
      return (followed) => ({ ...followed, proof });
    },
  ],
  [
    'no proof',
    /^fork/,
    async (honest) => {
      await grow(honest, 50);
      return (followed) => ({ ...followed, proof: [] });
    },
  ],
  [
    'a flipped signature',
    /^fork/,
    async (honest) => {
      await grow(honest, 50);
      return ({ checkpoint, proof }) => {
        const changed = Buffer.from(checkpoint);
        changed[changed.length - 20]! ^= 1;
        return { checkpoint: changed, proof };
      };
    },
  ],
];

for (const [what, problem, make] of offers) {
  test(`R30 R54 a node that is offered ${what} raises an alarm and keeps the evidence`, () =>
    withState(async (state) => {
      const signer = createTestSigner();
      const honest = await createTestLog({ signer });
      const node = witness(state, honest);
      await grow(honest, 20);
      await node.follow(sessionOf(honest));
      const other = await createTestLog({ signer, store: createMemoryStore() });
      await other.writer.append({ ...testEvent, outcome: 'failure' }).catch(() => undefined);
      const change = await make(honest, other);
      assert.equal(await node.follow(sessionOf(honest, change)), 'alarm');
      const [evidence] = await evidenceOf(state);
      assert.match(evidence.problem, problem);
    }));
}

test('a gateway that will not say is no alarm, and a broken session is none of its business', () =>
  withState(async (state) => {
    const log = await createTestLog();
    const node = witness(state, log);
    const refused = async () => {
      throw new SessionError('refused', 'no', { reason: 'UNIMPLEMENTED' });
    };
    assert.equal(await node.follow({ followLog: refused }), 'later');
    const broken = async () => {
      throw new SessionError('closed', 'gone');
    };
    await assert.rejects(node.follow({ followLog: broken }), { code: 'closed' });
    assert.equal(await node.follow({ followLog: async () => undefined }), 'same');
  }));

test('a remembered checkpoint that was damaged is set aside as evidence', () =>
  withState(async (state) => {
    const log = await createTestLog();
    const node = witness(state, log);
    await grow(log, 3);
    await state.write('checkpoint', Buffer.from('rubbish\n'));
    assert.equal(await node.follow(sessionOf(log)), 'advanced');
    assert.match((await evidenceOf(state))[0].problem, /damaged/);
  }));
