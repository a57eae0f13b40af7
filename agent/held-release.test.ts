import assert from 'node:assert/strict';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { createAgentFleet, node, withState } from '../test/fakes/agent.ts';
import { createOperator, day, noon, policyError } from '../test/fakes/policy.ts';
import { AgentError } from './errors.ts';
import { openHeldRelease } from './held-release.ts';
import type { StateDirectory } from './state.ts';

const note = (text: string) => [{ type: 'line', id: '/etc/x#x', desired: { path: '/etc/x', line: text } }];
const isBadState = (error: unknown) => error instanceof AgentError && error.code === 'bad_state';

describe('held release', () => {
  test('what was adopted is held, verified anew at each load, with only the blobs it needs', async () => {
    await withState(async (state) => {
      const fleet = createAgentFleet();
      const held = openHeldRelease(state, fleet.trust, node);
      assert.equal(await held.load(fleet.now()), undefined);
      const content = fleet.put(Buffer.from('hello'));
      const resources = [{ type: 'file', id: '/etc/motd', desired: { path: '/etc/motd', content } }];
      const one = fleet.publish(resources);
      await held.adopt(one, fleetOptions(fleet));
      assert.equal((await held.load(fleet.now()))?.digest, one.digest);
      assert.equal(Buffer.from(await held.blob(content.sha256)).toString(), 'hello');

      const two = fleet.publish(note('y'), { number: 2, previous: one.digest });
      await held.adopt(two, fleetOptions(fleet));
      assert.deepEqual(await held.floor(), { number: 2, digest: two.digest });
      assert.equal((await readdir(join(state.path, 'release', 'blobs'))).length, 1);
      await assert.rejects(held.blob(content.sha256), isBadState);
    });
  });

  test('R50 forged, foreign, older, other and expired releases are refused, and the held one stays', async () => {
    await withState(async (state) => {
      const fleet = createAgentFleet();
      const held = openHeldRelease(state, fleet.trust, node);
      const previous = 'a'.repeat(64);
      const good = fleet.publish(note('x'), { number: 5, previous });
      await held.adopt(good, fleetOptions(fleet));
      const mallory = createOperator();
      const next = fleet.publish(note('evil'), { number: 6, previous: good.digest });
      const refusals = [
        [{ ...next, signatures: [mallory.sign(next.manifest)] }, 'unknown_signer'],
        [{ ...next, signatures: [] }, 'unsigned'],
        [{ ...next, signatures: good.signatures }, 'bad_signature'],
        [fleet.publish(note('old'), { number: 4, previous }), 'rollback'],
        [fleet.publish(note('other'), { number: 5, previous }), 'equivocation'],
        [fleet.publish(note('fork'), { number: 6, previous }), 'broken_chain'],
        [fleet.publish(note('late'), { number: 7, previous, created: noon - 9 * day, expires: noon - day }), 'expired'],
        [fleet.publish(note('foreign'), { number: 7, previous, fleet: 'other' }), 'wrong_fleet'],
      ] as const;
      for (const [release, code] of refusals) {
        await assert.rejects(held.adopt(release, fleetOptions(fleet)), policyError(code));
        assert.equal((await held.load(fleet.now()))?.digest, good.digest);
      }
    });
  });

  test('R50 a blob that is not the one that was named is refused, and the held release stays', async () => {
    await withState(async (state) => {
      const fleet = createAgentFleet();
      const held = openHeldRelease(state, fleet.trust, node);
      const release = fleet.publish(note('x'));
      const download = async () => Buffer.from('something else');
      await assert.rejects(held.adopt(release, { now: fleet.now(), download }), policyError('altered_blob'));
      assert.equal(await held.load(fleet.now()), undefined);
    });
  });

  test('incident 42: with the release lost but not its floor, older ones stay refused', async () => {
    await withState(async (state) => {
      const fleet = createAgentFleet();
      const held = openHeldRelease(state, fleet.trust, node);
      const previous = 'a'.repeat(64);
      await held.adopt(fleet.publish(note('x'), { number: 5, previous }), fleetOptions(fleet));
      await rm(join(state.path, 'release', 'current.json'));
      const older = fleet.publish(note('old'), { number: 4, previous });
      await assert.rejects(held.adopt(older, fleetOptions(fleet)), policyError('rollback'));
    });
  });

  test('incident 42: a damaged floor is not an absent one', async () => {
    await withState(async (state) => {
      const fleet = createAgentFleet();
      const held = openHeldRelease(state, fleet.trust, node);
      const release = fleet.publish(note('x'));
      await held.adopt(release, fleetOptions(fleet));
      for (const damage of ['', '{}', '{"v":1,"number":0,"digest":"x"}']) {
        await writeFile(join(state.path, 'release', 'floor.json'), damage);
        await assert.rejects(held.load(fleet.now()), isBadState);
        await assert.rejects(held.adopt(release, fleetOptions(fleet)), isBadState);
      }
    });
  });

  test('what was altered on disk is not followed', async () => {
    await withState(async (state) => {
      const fleet = createAgentFleet();
      const held = openHeldRelease(state, fleet.trust, node);
      const release = fleet.publish(note('x'));
      await held.adopt(release, fleetOptions(fleet));
      const current = join(state.path, 'release', 'current.json');
      const text = await readFile(current, 'utf8');
      const { manifest } = JSON.parse(text) as { manifest: string };
      const forged = Buffer.from(Buffer.from(manifest, 'base64').toString().replace('2030', '2031')).toString('base64');
      await writeFile(current, text.replace(manifest, forged));
      await assert.rejects(held.load(fleet.now()), policyError('bad_signature'));
      await writeFile(current, 'nonsense');
      await assert.rejects(held.load(fleet.now()), isBadState);
      await writeFile(current, text);

      const [blob] = await readdir(join(state.path, 'release', 'blobs'));
      await writeFile(join(state.path, 'release', 'blobs', blob ?? ''), 'altered');
      await assert.rejects(held.blob(blob ?? ''), policyError('altered_blob'));
      // The next adoption repairs it.
      await held.adopt(release, fleetOptions(fleet));
      assert.ok((await held.blob(blob ?? '')).length > 0);
    });
  });

  test('R17 killed at any write while a new release is adopted, the old or the new one is held', async () => {
    for (let writes = 0; ; writes += 1) {
      const wasKilled = await withState(async (state) => {
        const fleet = createAgentFleet();
        const one = fleet.publish(note('x'));
        await openHeldRelease(state, fleet.trust, node).adopt(one, fleetOptions(fleet));
        const two = fleet.publish(note('y'), { number: 2, previous: one.digest });
        const dying = openHeldRelease(diesAfter(state, writes), fleet.trust, node);
        const isWhole = await dying.adopt(two, fleetOptions(fleet)).then(
          () => true,
          () => false,
        );
        const held = openHeldRelease(state, fleet.trust, node);
        const release = await held.load(fleet.now());
        assert.ok(release?.digest === one.digest || release?.digest === two.digest);
        for (const crate of release.manifest.crates) {
          await held.blob(crate.sha256);
        }
        await held.adopt(two, fleetOptions(fleet));
        assert.equal((await held.load(fleet.now()))?.digest, two.digest);
        return !isWhole;
      });
      if (!wasKilled) {
        assert.equal(writes, 3, 'a blob, the release, its floor');
        return;
      }
    }
  });
});

function fleetOptions(fleet: ReturnType<typeof createAgentFleet>) {
  return { now: fleet.now(), download: fleet.download };
}

/** A state directory whose process dies before the write of this number. */
function diesAfter(state: StateDirectory, writes: number): StateDirectory {
  let left = writes;
  return {
    ...state,
    async write(name, bytes) {
      left -= 1;
      if (left < 0) {
        throw new Error('killed');
      }
      await state.write(name, bytes);
    },
  };
}
