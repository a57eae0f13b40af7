import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createOperator, day, noon, policyError } from '../../test/fakes/policy.ts';
import { alice, bob, file, release, setUp } from '../../test/fakes/publishing.ts';
import { sha256Hex } from '../crypto/digest.ts';
import { buildRollback } from './build.ts';
import { currentKey, currentRelease, getRelease, listReleases } from './history.ts';
import { parseManifest } from './model.ts';
import { publishRelease } from './publish.ts';

test('releases are published one after the other, with their entries', async () => {
  const set = setUp();
  const first = await release(set, 'one');
  const published = await set.publish(first);
  assert.deepEqual([published.number, published.digest, published.repeated], [1, sha256Hex(first), false]);
  const second = await release(set, 'two', { number: 2, previous: published.digest });
  await set.publish(second);
  assert.deepEqual(await currentRelease(set.store), { number: 2, digest: sha256Hex(second) });
  const stored = await getRelease(set.store, 1);
  assert.deepEqual(
    [Buffer.from(stored?.manifest ?? []), stored?.signatures.length, stored?.publishedAt],
    [Buffer.from(first), 2, noon],
  );
  const events = set.audit.of('policy.publish');
  assert.deepEqual(
    events.map((e) => [e.object.id, e.outcome, e.detail?.['crates']]),
    [
      ['1', 'success', ['motd']],
      ['2', 'success', ['motd']],
    ],
  );
  assert.deepEqual(
    (await listReleases(set.store, { limit: 10 })).releases.map((r) => [r.number, r.crates, r.signatures]),
    [
      [2, 1, 2],
      [1, 1, 2],
    ],
  );
  assert.deepEqual(
    (await listReleases(set.store, { limit: 10, before: 2 })).releases.map((r) => r.number),
    [1],
  );
  assert.equal(await getRelease(set.store, 3), undefined);
});

test('the same release again is answered, and changes nothing', async () => {
  const set = setUp();
  const manifest = await release(set, 'one');
  await set.publish(manifest);
  assert.equal((await set.publish(manifest)).repeated, true);
  assert.equal(set.audit.events.length, 1);
});

test('the first release is number 1', async () => {
  const set = setUp();
  await assert.rejects(
    set.publish(await release(set, 'x', { number: 2, previous: 'a'.repeat(64) })),
    policyError('number_gap'),
  );
});

test('a rollback is the old content under the next number, signed anew, and has its own entry', async () => {
  const set = setUp();
  const one = await release(set, 'one');
  const { digest: d1 } = await set.publish(one);
  const { digest: d2 } = await set.publish(await release(set, 'two', { number: 2, previous: d1 }));
  const next = { fleet: 'demo', number: 3, previous: d2, created: noon, expires: noon + day };
  const back = buildRollback({ ...next, to: parseManifest(one) });
  await set.publish(back, { rollbackTo: 1 });
  assert.equal((await currentRelease(set.store))?.number, 3);
  const [event] = set.audit.of('policy.rollback');
  assert.deepEqual([event?.object.id, event?.detail?.['to'], event?.detail?.['previous']], ['3', 1, d2]);
});

test('signatures of strangers are not stored', async () => {
  const set = setUp();
  const manifest = await release(set, 'one');
  const signatures = [createOperator().sign(manifest), alice.sign(manifest), alice.sign(manifest), bob.sign(manifest)];
  await set.publish(manifest, { signatures });
  assert.deepEqual((await getRelease(set.store, 1))?.signatures, [signatures[1], signatures[3]]);
});

test('of many publishers at once exactly one wins', async () => {
  const set = setUp();
  const manifests = await Promise.all(Array.from({ length: 20 }, (_, i) => release(set, `content ${i}`)));
  const results = await Promise.allSettled(manifests.map((manifest) => set.publish(manifest)));
  const won = results.filter((r) => r.status === 'fulfilled');
  assert.equal(won.length, 1);
  for (const result of results) {
    if (result.status === 'rejected')
      assert.ok(['conflict', 'equivocation'].includes(result.reason.code), result.reason.code);
  }
  assert.equal(set.audit.of('policy.publish').length, 1);
  assert.equal(set.audit.of('policy.refuse').length, 19);
  assert.equal((await listReleases(set.store, { limit: 10 })).releases.length, 1);
});

test('the same release by two publishers at once is one release and no refusal', async () => {
  const set = setUp();
  const manifest = await release(set, 'one');
  const results = await Promise.all([set.publish(manifest), set.publish(manifest)]);
  assert.deepEqual(results.map((r) => r.repeated).sort(), [false, true]);
  assert.equal(set.audit.events.length, 1);
});

test('without an audit log nothing is published', async () => {
  const set = setUp();
  const manifest = await release(set, 'one');
  set.audit.failing = true;
  await assert.rejects(set.publish(manifest), { name: 'AuditError', code: 'unavailable' });
  assert.equal(await currentRelease(set.store), undefined);
});

test('incident 42 a current release that can not be read back is no absent one', async () => {
  const set = setUp();
  await set.store.transact([{ kind: 'put', item: { ...currentKey, number: 'lost', digest: 'x' } }]);
  await assert.rejects(set.publish(await release(set, 'one')), policyError('malformed'));
});

test('a number that was ever taken is not written again, even if the current release was lost', async () => {
  const set = setUp();
  const { digest } = await set.publish(await release(set, 'one'));
  await set.store.transact([{ kind: 'delete', key: currentKey }]);
  await assert.rejects(set.publish(await release(set, 'other')), policyError('conflict'));
  assert.equal((await getRelease(set.store, 1))?.digest, digest);
});

test('R42 what a crate accepts is in the entry of the release, with its reason', async () => {
  const set = setUp();
  const accepts = { G0602: 'settings of the vendor' };
  const number = await set.publish(await release(set, 'x', {}, { resources: [file('x', { accepts })] }));
  assert.equal(number.number, 1);
  const [event] = set.audit.of('policy.publish');
  assert.deepEqual(event?.detail?.['accepted'], ['motd/file//a G0602: settings of the vendor']);
});

test('R42 with a threshold of one, what is accepted still needs two operators', async () => {
  const set = setUp();
  const trust = { ...set.deps.trust, operators: { ...set.deps.trust.operators, threshold: 1 } };
  const resources = [file('x', { accepts: { G0602: 'settings of the vendor' } })];
  const manifest = await release(set, 'x', {}, { resources });
  const publish = (signatures: readonly string[]) =>
    publishRelease({ ...set.deps, trust }, set.request(manifest, { signatures }));
  await assert.rejects(publish([alice.sign(manifest)]), policyError('too_few_signers'));
  await assert.rejects(publish([alice.sign(manifest), alice.sign(manifest)]), policyError('too_few_signers'));
  assert.equal((await publish([alice.sign(manifest), bob.sign(manifest)])).number, 1);
});
