/** Incidents about updates: older builds, thresholds, replayed policy, lost state, broken roll-backs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UpdateError } from '../../agent/updater/errors.ts';
import { floorOf, knownState } from '../../agent/updater/installed.ts';
import { launch, maxBoots } from '../../agent/updater/launcher.ts';
import { stageBuild } from '../../agent/updater/stage.ts';
import { writeUpdateState } from '../../agent/updater/state.ts';
import { ArtifactError } from '../../lib/artifacts/errors.ts';
import { formatKeys, parseKeys } from '../../lib/artifacts/keys.ts';
import { verifyManifest } from '../../lib/artifacts/verify.ts';
import { parseVersion } from '../../lib/artifacts/version.ts';
import { generateEd25519, signEd25519 } from '../../lib/crypto/ed25519.ts';
import { addNoteSignature, formatVerifierKey } from '../../lib/crypto/note.ts';
import { PolicyError } from '../../lib/policy/errors.ts';
import { verifyRelease } from '../../lib/policy/verify.ts';
import { createAgentFleet, logger } from '../fakes/agent.ts';
import {
  builtAt,
  createBuilds,
  createInstallation,
  type FakeInstallation,
  type OfferedBuild,
} from '../fakes/builds.ts';
import { Died } from '../fakes/update-disk.ts';

const builds = createBuilds();
const stage = (installation: FakeInstallation, { wanted, source }: OfferedBuild) =>
  stageBuild(installation, wanted, source, builtAt);
const healthy = { tryBuild: async () => 'healthy' as const };

/** An agent that was installed as 1.0.0 and has run 1.2.0 since. */
async function updated(): Promise<FakeInstallation> {
  const installation = createInstallation(builds.keys);
  await stage(installation, await builds.build('1.2.0'));
  assert.equal(await launch(installation, healthy, logger), 'a');
  return installation;
}

test('incident 42: older, and other bytes of the same version, are refused; lost or damaged state is no zero', async () => {
  for (const damage of [undefined, 'lost', 'empty', 'garbled', 'negative floor'] as const) {
    const installation = await updated();
    const { disk, layout } = installation;
    if (damage === 'lost') disk.files.delete(layout.stateFile);
    if (damage === 'empty') disk.put(layout.stateFile, new Uint8Array());
    if (damage === 'garbled') disk.put(layout.stateFile, Buffer.from('{"v":1,"active":"a"'));
    if (damage === 'negative floor')
      disk.put(layout.stateFile, Buffer.from('{"v":1,"active":"a","failed":[],"floor":0}'));
    assert.equal((await floorOf(installation)).version, '1.2.0', damage);
    await assert.rejects(stage(installation, await builds.build('1.1.0')), { code: 'older' }, damage);
    const other = await builds.build('1.2.0', { program: Buffer.from('other bytes of it') });
    await assert.rejects(stage(installation, other), { code: 'same_version' }, damage);
  }
});

test('incident 43: a threshold below 1 is no threshold, and a key counts once, under whatever names', async () => {
  const key = generateEd25519();
  const line = formatVerifierKey('a', key.publicKey);
  const list = (threshold: string, ...keys: string[]) =>
    `holdfast-artifact-keys/v1\nnumber 1\nthreshold ${threshold}\n${keys.map((each) => `key ${each}\n`).join('')}`;
  for (const threshold of ['0', '-1', '', '1.5', '2', 'NaN']) {
    assert.throws(() => parseKeys(list(threshold, line)), ArtifactError, threshold);
  }
  assert.throws(() => parseKeys(list('2', line, line)), ArtifactError);
  assert.throws(
    () => formatKeys({ number: 1, threshold: 2, keys: [line, formatVerifierKey('b', key.publicKey)] }),
    ArtifactError,
  );
  // Signed twice by one of two keys that must both sign.
  const second = generateEd25519();
  const keys = { number: 1, threshold: 2, keys: [...builds.keys.keys, formatVerifierKey('second', second.publicKey)] };
  const { note } = await builds.build('1.1.0');
  const expected = { kind: 'agent', name: 'holdfast-agent', platform: 'linux-x64' } as const;
  const again = `${note}${note.slice(note.lastIndexOf('\n\n') + 2)}`;
  for (const each of [note, again]) {
    assert.throws(() => verifyManifest(each, keys, expected, builtAt), { code: 'too_few_signers' });
  }
  const sign = async (message: Uint8Array) => signEd25519(second.privateKey, message);
  const both = await addNoteSignature(note, 'second', { publicKey: second.publicKey, sign });
  assert.equal(verifyManifest(both, keys, expected, builtAt).version, '1.1.0');
});

test('incident 44: an older policy whose signatures all verify is refused, and so is one that has expired', () => {
  const fleet = createAgentFleet();
  const { trust } = fleet;
  const older = fleet.publish([], { number: 1 });
  const newer = fleet.publish([], { number: 2, previous: older.digest });
  const now = fleet.now();
  const held = { number: newer.number, digest: newer.digest };
  assert.equal(verifyRelease({ ...older, trust, now }).manifest.number, 1);
  const replayed = () => verifyRelease({ ...older, trust, now, held });
  assert.throws(replayed, PolicyError);
  const { expires } = verifyRelease({ ...newer, trust, now, held }).manifest;
  assert.throws(() => verifyRelease({ ...newer, trust, now: expires, held }), PolicyError);
});

test('incident 45: with its state wiped, the agent still refuses what is older than its own signed builds', async () => {
  const installation = await updated();
  installation.disk.files.delete(installation.layout.stateFile);
  await assert.rejects(stage(installation, await builds.build('1.1.9')), { code: 'older' });
  // The build in the slot runs on, and is its own floor, if everything beside it is gone.
  const bare = createInstallation(builds.keys, '1.2.0');
  await assert.rejects(stage(bare, await builds.build('1.1.9')), { code: 'older' });
  assert.equal(bare.version, parseVersion('1.2.0'));
});

test('incident 48: killed at every change of the disk, it runs old or new; a build that can not check in is undone', async () => {
  for (let change = 1; ; change += 1) {
    const installation = await updated();
    installation.disk.changes = 0;
    installation.disk.dieAt = { change, stands: change % 2 === 0 };
    const offered = await builds.build('1.3.0', { rollout: 2 });
    const died = await stage(installation, offered)
      .then(() => launch(installation, healthy, logger))
      .then(
        () => false,
        (error: unknown) => error instanceof Died || Promise.reject(error),
      );
    installation.disk.restart('power');
    assert.ok(['a', 'b'].includes(await launch(installation, healthy, logger)), `change ${change}`);
    if (!died) break;
  }
  const installation = await updated();
  await stage(installation, await builds.build('1.3.0', { rollout: 2 }));
  let boots = 0;
  const crashing = {
    async tryBuild() {
      boots += 1;
      return 'exited' as const;
    },
  };
  assert.equal(await launch(installation, crashing, logger), 'a');
  assert.equal(boots, maxBoots);
  assert.equal((await knownState(installation)).outcome?.result, 'rolled_back');
  await writeUpdateState(installation.disk, installation.layout, await knownState(installation));
  await assert.rejects(stage(installation, await builds.build('1.3.0', { rollout: 2 })), UpdateError);
});
