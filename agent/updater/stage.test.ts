import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { generateEd25519 } from '../../lib/crypto/ed25519.ts';
import { builtAt, createBuilds, createInstallation, type OfferedBuild, sourceOf } from '../../test/fakes/builds.ts';
import { UpdateError, type UpdateErrorCode } from './errors.ts';
import { knownState } from './installed.ts';
import { type BuildSource, maxBuildBytes, stageBuild } from './stage.ts';
import { writeUpdateState } from './state.ts';

const builds = createBuilds();

/** Stages and expects a refusal after which the next start knows nothing of the build. */
async function refused(
  code: UpdateErrorCode,
  offered: OfferedBuild,
  options: { installation?: ReturnType<typeof createInstallation>; source?: BuildSource; now?: number } = {},
): Promise<void> {
  const { installation = createInstallation(builds.keys), source = offered.source, now = builtAt } = options;
  await assert.rejects(stageBuild(installation, offered.wanted, source, now), (error) => {
    assert.ok(error instanceof UpdateError, String(error));
    assert.equal(error.code, code, error.message);
    return true;
  });
  assert.equal((await knownState(installation)).trial, undefined);
  for (const path of installation.disk.files.keys()) assert.doesNotMatch(path, /\.new$/);
}

const describedAs = (note: string, { source }: OfferedBuild): BuildSource => ({
  ...source,
  describe: async () => ({ ...(await source.describe()), manifest: new TextEncoder().encode(note) }),
});

describe('staging a build', () => {
  test('R37 a signed, newer build of this platform is put on trial, its bytes whole', async () => {
    const installation = createInstallation(builds.keys);
    const offered = await builds.build('1.1.0', { rollout: 7 });
    await stageBuild(installation, offered.wanted, offered.source, builtAt);
    const { trial, active } = await knownState(installation);
    assert.equal(active, 'own');
    assert.deepEqual(trial, { slot: 'a', ...offered.wanted, boots: 0 });
    assert.deepEqual(
      installation.disk.files.get(installation.layout.program('a'))?.bytes,
      Buffer.from(offered.program),
    );
  });

  test('R37 unsigned', async () => {
    const offered = await builds.build('1.1.0');
    const text = offered.note.slice(0, offered.note.lastIndexOf('\n\n') + 1);
    await refused('malformed', offered, { source: describedAs(text, offered) });
    await refused('missing', offered, { source: describedAs('', offered) });
  });

  test('R37 signed with another key', async () => {
    // The same key name: a key that only calls itself like ours.
    await refused('wrong_key', await builds.build('1.1.0', { key: generateEd25519() }));
  });

  test('R37 a tampered manifest', async () => {
    const offered = await builds.build('1.1.0');
    await refused('altered', offered, { source: describedAs(offered.note.replace('1.1.0', '1.2.0'), offered) });
  });

  test('R37 a tampered program: every byte of it counts', async () => {
    const offered = await builds.build('1.1.0');
    for (let at = 0; at < offered.program.length; at += 1) {
      const program = Uint8Array.from(offered.program, (byte, index) => (index === at ? byte ^ 1 : byte));
      await refused('tampered', offered, { source: sourceOf(offered.note, program) });
    }
  });

  test('R37 wrong platform, and an artifact that is no agent', async () => {
    await refused('wrong_platform', await builds.build('1.1.0', { platform: 'darwin-arm64' }));
    await refused('wrong_artifact', await builds.build('1.1.0', { kind: 'server' }));
  });

  test('R37 a lower version than the program that runs', async () => {
    await refused('older', await builds.build('0.9.9'));
    await refused('older', await builds.build('1.0.0-rc.1'));
  });

  test('R37 a lower version than one that ever ran here, also when that one was rolled back', async () => {
    const installation = createInstallation(builds.keys);
    const { wanted } = await builds.build('2.0.0');
    const floor = { version: installation.version, sha256: wanted.sha256 };
    await writeUpdateState(installation.disk, installation.layout, {
      v: 1,
      active: 'own',
      floor: { ...floor, version: '2.0.0' as typeof floor.version },
      failed: [],
    });
    await refused('older', await builds.build('1.5.0'), { installation });
  });

  test('R37 the same version with other bytes', async () => {
    await refused('same_version', await builds.build('1.0.0', { program: new Uint8Array(40) }));
  });

  test('R37 expired, from the very second on', async () => {
    const offered = await builds.build('1.1.0', { notAfter: builtAt + 1000 });
    await refused('expired', offered, { now: builtAt + 1000 });
  });

  test('R37 another build than the one that was announced', async () => {
    const [announced, other] = [await builds.build('1.1.0'), await builds.build('1.2.0')];
    await refused('not_offered', announced, { source: other.source });
  });

  test('R37 too large: refused by what was signed, before a byte is fetched', async () => {
    const offered = await builds.build('1.1.0', { size: maxBuildBytes + 1 });
    const part = () => assert.fail('a part was fetched');
    await refused('too_large', offered, { source: { ...offered.source, part } });
  });

  test('R37 a source that never ends is cut at the size that was signed', async () => {
    const offered = await builds.build('1.1.0');
    const installation = createInstallation(builds.keys);
    const parts = Array.from({ length: 1000 }, () => '0'.repeat(64));
    const endless = {
      describe: async () => ({ ...(await offered.source.describe()), parts }),
      part: async () => new Uint8Array(16),
    };
    await refused('tampered', offered, { installation, source: endless });
  });

  test('R37 a truncated download', async () => {
    const offered = await builds.build('1.1.0');
    for (const length of [0, 1, 16, offered.program.length - 1]) {
      const source = sourceOf(offered.note, offered.program.subarray(0, length));
      await refused('truncated', offered, { source });
    }
  });

  test('R37 a full disk', async () => {
    const installation = createInstallation(builds.keys);
    installation.disk.room = 20;
    await refused('no_space', await builds.build('1.1.0'), { installation });
  });

  test('a build that failed is not tried again until another rollout asks for it', async () => {
    const installation = createInstallation(builds.keys);
    const offered = await builds.build('1.1.0');
    const failed = [{ sha256: offered.wanted.sha256, rollout: 1 }];
    await writeUpdateState(installation.disk, installation.layout, { v: 1, active: 'own', failed });
    await refused('failed_before', offered, { installation });
    await stageBuild(installation, { ...offered.wanted, rollout: 2 }, offered.source, builtAt);
    assert.equal((await knownState(installation)).trial?.rollout, 2);
  });
});
