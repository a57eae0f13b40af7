import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';
import { createFakeAudit } from '../../test/fakes/audit.ts';
import { builtAt } from '../../test/fakes/builds.ts';
import { createRolloutWorld } from '../../test/fakes/rollout.ts';
import { localAdmin } from '../access/principal.ts';
import { generateEd25519, signEd25519 } from '../crypto/ed25519.ts';
import { addNoteSignature, formatVerifierKey, signNote } from '../crypto/note.ts';
import { createMemoryStore } from '../store/memory.ts';
import { listBuilds, partBytes, publishBuild } from './builds.ts';
import { formatKeys } from './keys.ts';
import { isFailing, readProgress, recordOutcome, type UpdateOutcome } from './outcomes.ts';
import { type Ring, readRings, ringOf, wantedBuild } from './rings.ts';
import { haltRing, pauseRing, resumeRing } from './rollout.ts';
import { trustedKeys, trustKeys } from './trusted-keys.ts';

const outcome = (result: UpdateOutcome['result'], change: Partial<UpdateOutcome> = {}): UpdateOutcome => ({
  rollout: 1,
  version: '1.1.0',
  result,
  reason: result === 'confirmed' ? '' : 'deadline',
  from: '1.0.0',
  ...change,
});

describe('publishing a build', () => {
  test('R37 leaves the build and exactly one entry; the same again leaves nothing more', async () => {
    const { publish, store, audit } = await createRolloutWorld();
    const build = await publish('1.1.0');
    assert.equal((await publish('1.1.0')).sha256, build.sha256);
    assert.deepEqual(
      (await listBuilds(store)).map(({ version }) => version),
      ['1.1.0'],
    );
    assert.equal(audit.of('artifact.publish').length, 1);
  });

  test('R37 every refusal is audited, and nothing is stored', async () => {
    const { publish, deps, builds, store, audit, blobs } = await createRolloutWorld();
    const good = await builds.build('1.1.0');
    const part = await blobs.put(good.program);
    const other = await blobs.put(Buffer.alloc(good.program.length));
    const attempt = (manifest: string, parts: readonly string[]) =>
      publishBuild(deps, { manifest: Buffer.from(manifest), parts, actor: localAdmin });
    const reasons: [string, Promise<unknown>][] = [
      ['wrong_key', publish('1.1.0', { key: generateEd25519() })],
      ['expired', publish('1.1.0', { notAfter: builtAt })],
      ['wrong_artifact', publish('1.1.0', { kind: 'server' })],
      ['wrong_artifact', publish('1.1.0', { platform: 'any' })],
      ['too_large', publish('1.1.0', { size: 2 ** 30 })],
      ['altered', attempt(good.note.replace('1.1.0', '1.2.0'), [part])],
      ['malformed', attempt(good.note.slice(0, 100), [part])],
      ['file_altered', attempt(good.note, [other])],
      ['file_altered', attempt(good.note, [part, part])],
      ['missing_part', attempt(good.note, ['0'.repeat(64)])],
    ];
    for (const [reason, attempted] of reasons) await assert.rejects(attempted, { reason }, reason);
    assert.deepEqual(
      audit
        .of('artifact.refuse')
        .map(({ detail }) => detail?.['reason'])
        .sort(),
      reasons.map(([reason]) => reason).sort(),
    );
    assert.deepEqual(await listBuilds(store), []);
  });

  test('R37 the same version with other bytes is refused', async () => {
    const { publish } = await createRolloutWorld();
    await publish('1.1.0');
    await assert.rejects(publish('1.1.0', { program: Buffer.from('something else') }), { code: 'exists' });
  });

  test('nothing is published before keys are trusted; the next keys need the threshold of those before', async () => {
    const { deps, store, builds, publish, audit } = await createRolloutWorld();
    const next = generateEd25519();
    const list = formatKeys({ number: 2, threshold: 1, keys: [formatVerifierKey('next', next.publicKey)] });
    await assert.rejects(trustKeys(deps, { list, actor: localAdmin }), { code: 'refused' });
    const sign = (key: typeof next) => ({
      publicKey: key.publicKey,
      sign: async (message: Uint8Array) => signEd25519(key.privateKey, message),
    });
    const unsigned = `${list}\n`;
    await assert.rejects(trustKeys(deps, { list: unsigned, actor: localAdmin }), { code: 'refused' });
    const own = await signNote(list, 'next', sign(next));
    await assert.rejects(trustKeys(deps, { list: own, actor: localAdmin }), { reason: 'wrong_key' });
    const handed = await addNoteSignature(own, 'release', sign(builds.key));
    await trustKeys(deps, { list: handed, actor: localAdmin });
    assert.equal((await trustedKeys(store))?.number, 2);
    await assert.rejects(publish('1.1.0'), { reason: 'wrong_key' });
    assert.equal(audit.of('artifact.trust').length, 2);
    const bare = createMemoryStore();
    const manifest = Buffer.from((await builds.build('1.0.0')).note);
    const fresh = { ...deps, store: bare, audit: createFakeAudit(bare) };
    await assert.rejects(publishBuild(fresh, { manifest, parts: ['0'.repeat(64)], actor: localAdmin }), {
      code: 'no_keys',
    });
  });

  test('parts are as large as the API takes', () => {
    assert.ok(partBytes <= 4 * 1024 * 1024);
  });
});

describe('rings', () => {
  const ring = (change: Partial<Ring>): Ring => ({
    name: 'r',
    labels: {},
    percent: 100,
    pin: 'none',
    maxFailedPercent: 20,
    isPaused: false,
    halted: '',
    rollout: 1,
    version: '1.1.0',
    builds: { 'linux-x64': 'a'.repeat(64) },
    nodes: 1,
    ...change,
  });
  const node = { uuid: '6b1f0a52-8f0e-4c57-9d3c-2f5f1f0c9a11', labels: { zone: 'a' }, platform: 'linux-x64' };

  test('a node is in the first ring that it fits, by enrolled labels alone', () => {
    const rings = [
      ring({ name: 'b', labels: { zone: 'b' } }),
      ring({ name: 'a', labels: { zone: 'a' } }),
      ring({ name: 'all' }),
    ];
    assert.equal(ringOf(rings, node)?.name, 'a');
    assert.equal(ringOf(rings, { ...node, labels: {} })?.name, 'all');
    assert.equal(ringOf([ring({ labels: { constructor: 'x' } })], node), undefined);
  });

  test('a share is of the right size, and a larger share holds the smaller one', () => {
    const uuids = Array.from({ length: 4000 }, () => randomUUID());
    const within = (percent: number) => uuids.filter((uuid) => ringOf([ring({ percent })], { ...node, uuid }));
    const [ten, thirty] = [within(10), within(30)];
    assert.ok(Math.abs(ten.length - 400) < 120, String(ten.length));
    assert.ok(ten.every((uuid) => thirty.includes(uuid)));
  });

  test('nothing is wanted of a node that runs it, or something newer, or is of another platform', () => {
    assert.equal(wantedBuild([ring({})], node, '1.0.0')?.sha256, 'a'.repeat(64));
    for (const running of ['1.1.0', '1.2.0']) assert.equal(wantedBuild([ring({})], node, running), undefined);
    assert.equal(wantedBuild([ring({})], { ...node, platform: 'darwin-arm64' }, '1.0.0'), undefined);
    assert.equal(wantedBuild([ring({})], { ...node, platform: 'constructor' }, '1.0.0'), undefined);
    for (const change of [{ halted: 'x' }, { isPaused: true }, { version: '' }]) {
      assert.equal(wantedBuild([ring(change)], node, '1.0.0'), undefined);
    }
  });

  test('n-1 follows one behind by itself', async () => {
    const { publish, rollout, store } = await createRolloutWorld();
    await publish('1.0.0');
    await assert.rejects(rollout('n-1', 'stable'), { code: 'unknown_build' });
    await publish('1.1.0');
    assert.equal((await rollout('n-1', 'stable')).version, '1.0.0');
    await publish('1.2.0');
    const { rings } = await readRings(store);
    assert.deepEqual([rings[0]?.version, rings[0]?.rollout], ['1.1.0', 2]);
    assert.deepEqual(Object.keys(rings[0]?.builds ?? {}), ['linux-x64']);
  });

  test('a rollout, a halt and a resume leave one entry each', async () => {
    const { publish, rollout, deps, audit, store } = await createRolloutWorld(4);
    await publish('1.1.0');
    assert.equal((await rollout('1.1.0', 'canary', { labels: { zone: 'even' } })).nodes, 2);
    for (const reason of ['looked wrong', 'as well'])
      await haltRing(deps, { ring: 'canary', reason, actor: localAdmin });
    assert.equal((await readRings(store)).rings[0]?.halted, 'looked wrong');
    assert.equal((await resumeRing(deps, { ring: 'canary', actor: localAdmin })).rollout, 2);
    assert.equal((await resumeRing(deps, { ring: 'canary', actor: localAdmin })).rollout, 2);
    await assert.rejects(haltRing(deps, { ring: 'none', reason: 'x', actor: localAdmin }), { code: 'unknown_ring' });
    await assert.rejects(rollout('9.9.9', 'canary'), { code: 'unknown_build' });
    await assert.rejects(rollout('1.1.0', '../x'), { code: 'bad_ring' });
    for (const type of ['artifact.rollout', 'artifact.halt', 'artifact.resume'] as const) {
      assert.equal(audit.of(type).length, 1, type);
    }
  });
});

describe('a ring that is paused', () => {
  test('is offered nothing, and goes on where it was; each order leaves one entry, its repetition none', async () => {
    const { publish, rollout, deps, audit, store, fleet } = await createRolloutWorld(2);
    await publish('1.1.0');
    await rollout('1.1.0', 'all');
    const wanted = async () => wantedBuild((await readRings(store)).rings, fleet[0]!, '1.0.0')?.ring.rollout;
    const order = { ring: 'all', actor: localAdmin };
    for (const time of [1, 2]) {
      assert.equal((await pauseRing(deps, order)).isPaused, true, String(time));
      assert.equal(await wanted(), undefined);
    }
    const { revision } = await readRings(store);
    await pauseRing(deps, order);
    assert.equal((await readRings(store)).revision, revision);
    for (const time of [1, 2]) {
      assert.equal((await resumeRing(deps, order)).isPaused, false, String(time));
      assert.equal(await wanted(), 1);
    }
    assert.deepEqual([audit.of('artifact.pause').length, audit.of('artifact.resume').length], [1, 1]);
    await assert.rejects(pauseRing(deps, { ...order, ring: 'none' }), { code: 'unknown_ring' });
  });

  test('counts what nodes took before, and halts itself; resumed, it is neither', async () => {
    const { publish, rollout, deps, store, fleet } = await createRolloutWorld(1);
    await publish('1.1.0');
    await rollout('1.1.0', 'all');
    const order = { ring: 'all', actor: localAdmin };
    await pauseRing(deps, order);
    await recordOutcome(deps, fleet[0]!, outcome('rolled_back'));
    assert.equal((await readRings(store)).rings[0]?.halted, '1 of 1 nodes failed');
    const { isPaused, halted, rollout: number, nodes } = await resumeRing(deps, order);
    assert.deepEqual([isPaused, halted, number, nodes], [false, '', 2, 1]);
    await pauseRing(deps, order);
    assert.equal((await rollout('1.1.0', 'all')).isPaused, false);
  });
});

describe('a ring that stops itself', () => {
  test('R39 20 % of its nodes rolled back: it halts, once, and says so in the log', async () => {
    const { publish, rollout, deps, audit, store, fleet } = await createRolloutWorld(10);
    await publish('1.1.0');
    await rollout('1.1.0', 'all');
    await recordOutcome(deps, fleet[0]!, outcome('rolled_back'));
    assert.equal((await readRings(store)).rings[0]?.halted, '');
    await recordOutcome(deps, fleet[1]!, outcome('rolled_back'));
    assert.equal((await readRings(store)).rings[0]?.halted, '2 of 10 nodes failed');
    await recordOutcome(deps, fleet[2]!, outcome('rolled_back'));
    const [halt, ...more] = audit.of('artifact.halt');
    assert.deepEqual([halt?.actor.id, more.length], ['system', 0]);
    assert.equal(audit.of('node.update').length, 3);
    const { rings } = await readRings(store);
    assert.equal(wantedBuild(rings, fleet[5]!, '1.0.0'), undefined);
  });

  test('a node counts once, whatever it repeats; what it says last is what counts', async () => {
    const { publish, rollout, deps, audit, store, fleet } = await createRolloutWorld(10);
    await publish('1.1.0');
    await rollout('1.1.0', 'all');
    for (let time = 0; time < 5; time += 1)
      await recordOutcome(deps, fleet[0]!, outcome('refused', { reason: 'no_space' }));
    await recordOutcome(deps, fleet[0]!, outcome('confirmed'));
    const progress = await readProgress(store, 'all', 1);
    assert.deepEqual([progress.refused, progress.confirmed], [0, 1]);
    assert.equal(audit.of('node.update').length, 2);
    assert.equal((await readRings(store)).rings[0]?.halted, '');
  });

  test('agents that can not replace themselves are told apart, and halt nothing', async () => {
    const { publish, rollout, deps, store, fleet } = await createRolloutWorld(3);
    await publish('1.1.0');
    await rollout('1.1.0', 'all');
    for (const node of fleet) await recordOutcome(deps, node, outcome('not_possible', { reason: 'not_one_file' }));
    assert.equal((await readRings(store)).rings[0]?.halted, '');
  });

  test('what is said of a rollout that is over, or never was, moves nothing', async () => {
    const { publish, rollout, deps, store, fleet, audit } = await createRolloutWorld(2);
    await publish('1.1.0');
    await rollout('1.1.0', 'all');
    await rollout('1.1.0', 'all');
    await recordOutcome(deps, fleet[0]!, outcome('rolled_back', { rollout: 1 }));
    await recordOutcome(deps, fleet[0]!, outcome('rolled_back', { rollout: 99 }));
    assert.equal((await readRings(store)).rings[0]?.halted, '');
    assert.equal(audit.of('node.update').length, 1);
  });

  test('a large ring does not wait for a fifth of all its nodes', () => {
    const large = { nodes: 10_000, maxFailedPercent: 20 };
    const progress = { confirmed: 8, rolled_back: 1, refused: 0, not_possible: 0, silent: 0 };
    assert.equal(isFailing(large, progress), false);
    assert.equal(isFailing(large, { ...progress, rolled_back: 2 }), true);
    assert.equal(isFailing(large, { ...progress, silent: 1 }), true);
  });
});
