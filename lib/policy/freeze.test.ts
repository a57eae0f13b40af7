import assert from 'node:assert/strict';
import { test } from 'node:test';
import { noon, policyError } from '../../test/fakes/policy.ts';
import { release, setUp } from '../../test/fakes/publishing.ts';
import { sha256Hex } from '../crypto/digest.ts';
import { buildRollback } from './build.ts';
import { currentFreeze, freeze, thaw } from './freeze.ts';
import { currentRelease } from './history.ts';
import { parseManifest } from './model.ts';

const actor = { id: 'alice', kind: 'user', role: 'admin', auth: 'basic' } as const;

test('while publishing is frozen nothing new is published, but an earlier release is restored', async () => {
  const set = setUp();
  const first = await release(set, 'one');
  await set.publish(first);
  const second = await release(set, 'two', { number: 2, previous: sha256Hex(first) });
  await set.publish(second);
  await freeze(set.deps, actor, 'end of the year');
  const third = await release(set, 'three', { number: 3, previous: sha256Hex(second) });
  await assert.rejects(set.publish(third), policyError('frozen'));
  assert.equal((await currentRelease(set.store))?.number, 2);
  assert.equal(set.audit.of('policy.refuse')[0]?.detail?.['reason'], 'frozen');
  const place = { fleet: 'demo', number: 3, previous: sha256Hex(second), created: noon, expires: noon + 86_400_000 };
  await set.publish(buildRollback({ to: parseManifest(first), ...place }), { rollbackTo: 1 });
  assert.equal((await currentRelease(set.store))?.number, 3);
});

test('a freeze leaves one entry, and so does its end; neither happens twice', async () => {
  const set = setUp();
  await freeze(set.deps, actor, 'audit');
  assert.deepEqual(await currentFreeze(set.store), { reason: 'audit', by: 'alice', since: noon });
  await assert.rejects(freeze(set.deps, actor, 'again'), policyError('frozen'));
  assert.equal(set.audit.of('policy.freeze').length, 1);
  await thaw(set.deps, actor);
  assert.equal(await currentFreeze(set.store), undefined);
  await assert.rejects(thaw(set.deps, actor), policyError('not_frozen'));
  assert.equal(set.audit.of('policy.thaw').length, 1);
  await set.publish(await release(set, 'one'));
});

test('a freeze between the look and the write stops the release', async () => {
  const set = setUp();
  const manifest = await release(set, 'one');
  const { append } = set.audit;
  set.audit.append = async (event, writes) => {
    set.audit.append = append;
    await freeze(set.deps, actor, 'just now');
    return append(event, writes);
  };
  await assert.rejects(set.publish(manifest), policyError('frozen'));
  assert.equal(await currentRelease(set.store), undefined);
});
