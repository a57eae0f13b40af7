import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeAudit } from '../../test/fakes/audit.ts';
import type { Actor } from '../audit/port.ts';
import { sha256Hex } from '../crypto/digest.ts';
import { utf8 } from '../crypto/encoding.ts';
import { createMemoryBlobs } from '../store/blobs-memory.ts';
import { createMemoryStore } from '../store/memory.ts';
import { buildRollback } from './build.ts';
import { currentKey, currentRelease, getRelease, listReleases } from './history.ts';
import { type Crate, type CrateResource, formatCrate, type Manifest, parseManifest } from './model.ts';
import { type PublishRequest, publishRelease } from './publish.ts';
import { createOperator, day, manifestBytes, noon, policyError } from './test-support.ts';

const [alice, bob] = [createOperator(), createOperator()];
const actor: Actor = { id: 'local-admin', kind: 'local-admin', role: 'admin', auth: 'local-admin' };

function setUp() {
  const store = createMemoryStore();
  const audit = createFakeAudit(store);
  const blobs = createMemoryBlobs();
  const trust = { fleet: 'demo', operators: { threshold: 2, keys: [alice.line, bob.line] } };
  const deps = { store, blobs, audit, now: () => noon, trust };
  const request = (manifest: Uint8Array, more: Partial<PublishRequest> = {}): PublishRequest => ({
    manifest,
    signatures: [alice.sign(manifest), bob.sign(manifest)],
    actor,
    ...more,
  });
  const publish = (manifest: Uint8Array, more?: Partial<PublishRequest>) =>
    publishRelease(deps, request(manifest, more));
  return { deps, store, audit, blobs, request, publish };
}

const file = (content: string, more: Partial<CrateResource> = {}): CrateResource => ({
  type: 'file',
  id: '/a',
  desired: { path: '/a', content: { sha256: sha256Hex(content), bytes: content.length } },
  ...more,
});

/** A manifest of one crate "motd", and uploads what it names. */
async function release(
  set: ReturnType<typeof setUp>,
  content: string,
  change: Partial<Manifest> = {},
  crate: Partial<Crate> = {},
) {
  const bytes = formatCrate({ crate: 'motd', resources: [file(content)], ...crate });
  await set.blobs.put(bytes);
  await set.blobs.put(utf8(content));
  return manifestBytes({
    bindings: [{ match: { name: '*' }, crates: ['motd'] }],
    crates: [{ name: 'motd', sha256: sha256Hex(bytes), blobs: [sha256Hex(content)] }],
    ...change,
  });
}

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
    (await listReleases(set.store, { limit: 10 })).map((r) => [r.number, r.crates, r.signatures]),
    [
      [2, 1, 2],
      [1, 1, 2],
    ],
  );
  assert.deepEqual(
    (await listReleases(set.store, { limit: 10, before: 2 })).map((r) => r.number),
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

/** Each gets a set with release 1 in place, and must not change what is current. */
const refusals: readonly (readonly [
  string,
  Parameters<typeof policyError>[0],
  (set: ReturnType<typeof setUp>, previous: string) => Promise<unknown>,
])[] = [
  [
    'without signatures',
    'unsigned',
    async (set, previous) => set.publish(await release(set, 'x', { number: 2, previous }), { signatures: [] }),
  ],
  [
    'with one signature',
    'too_few_signers',
    async (set, previous) => {
      const manifest = await release(set, 'x', { number: 2, previous });
      return set.publish(manifest, { signatures: [alice.sign(manifest)] });
    },
  ],
  [
    'for another fleet',
    'wrong_fleet',
    async (set, previous) => set.publish(await release(set, 'x', { number: 2, previous, fleet: 'other' })),
  ],
  ['of the same number', 'equivocation', async (set) => set.publish(await release(set, 'x'))],
  [
    'beside the chain',
    'broken_chain',
    async (set) => set.publish(await release(set, 'x', { number: 2, previous: 'a'.repeat(64) })),
  ],
  [
    'with a gap',
    'number_gap',
    async (set) => set.publish(await release(set, 'x', { number: 3, previous: 'a'.repeat(64) })),
  ],
  [
    'that expired',
    'expired',
    async (set, previous) =>
      set.publish(await release(set, 'x', { number: 2, previous, created: noon - 2 * day, expires: noon })),
  ],
  [
    'without its crate',
    'missing_blob',
    async (set, previous) =>
      set.publish(
        manifestBytes({ number: 2, previous, crates: [{ name: 'motd', sha256: 'e'.repeat(64), blobs: [] }] }),
      ),
  ],
  [
    'without a content',
    'missing_blob',
    async (set, previous) => {
      const bytes = formatCrate({ crate: 'motd', resources: [file('never uploaded')] });
      await set.blobs.put(bytes);
      return set.publish(
        manifestBytes({
          number: 2,
          previous,
          crates: [{ name: 'motd', sha256: sha256Hex(bytes), blobs: [sha256Hex('never uploaded')] }],
        }),
      );
    },
  ],
  [
    'with a blob that is no crate',
    'malformed',
    async (set, previous) => {
      await set.blobs.put(utf8('{}'));
      return set.publish(
        manifestBytes({ number: 2, previous, crates: [{ name: 'motd', sha256: sha256Hex('{}'), blobs: [] }] }),
      );
    },
  ],
  [
    'with another crate under the name',
    'malformed',
    async (set, previous) => set.publish(await release(set, 'x', { number: 2, previous }, { crate: 'other' })),
  ],
  [
    'with a content that is not listed',
    'malformed',
    async (set, previous) =>
      set.publish(
        await release(set, 'x', { number: 2, previous }, { resources: [file('x'), file('one', { id: '/b' })] }),
      ),
  ],
  [
    'with a listed content that nothing refers to',
    'malformed',
    async (set, previous) => set.publish(await release(set, 'x', { number: 2, previous }, { resources: [] })),
  ],
  [
    'with a wrong size',
    'malformed',
    async (set, previous) =>
      set.publish(
        await release(
          set,
          'x',
          { number: 2, previous },
          { resources: [file('x', { desired: { content: { sha256: sha256Hex('x'), bytes: 2 } } })] },
        ),
      ),
  ],
  [
    'with a circle',
    'cycle',
    async (set, previous) =>
      set.publish(
        await release(set, 'x', { number: 2, previous }, { resources: [file('x', { requires: ['file//a'] })] }),
      ),
  ],
  [
    'with a dangling reference',
    'malformed',
    async (set, previous) =>
      set.publish(
        await release(set, 'x', { number: 2, previous }, { resources: [file('x', { requires: ['other:file//b'] })] }),
      ),
  ],
  [
    'with a resource twice',
    'malformed',
    async (set, previous) =>
      set.publish(await release(set, 'x', { number: 2, previous }, { resources: [file('x'), file('x')] })),
  ],
  [
    'as a rollback to no release',
    'unknown_release',
    async (set, previous) => set.publish(await release(set, 'one', { number: 2, previous }), { rollbackTo: 7 }),
  ],
  [
    'as a rollback to itself',
    'unknown_release',
    async (set, previous) => set.publish(await release(set, 'one', { number: 2, previous }), { rollbackTo: 2 }),
  ],
  [
    'as a rollback with other content',
    'not_a_rollback',
    async (set, previous) => set.publish(await release(set, 'x', { number: 2, previous }), { rollbackTo: 1 }),
  ],
];
for (const [what, code, attempt] of refusals) {
  test(`a release ${what} is refused as ${code}, audited, and leaves no trace`, async () => {
    const set = setUp();
    const { digest } = await set.publish(await release(set, 'one'));
    await assert.rejects(attempt(set, digest), policyError(code));
    assert.deepEqual(await currentRelease(set.store), { number: 1, digest });
    assert.equal(await getRelease(set.store, 2), undefined);
    assert.deepEqual(
      set.audit.of('policy.refuse').map((e) => [e.outcome, e.detail]),
      [['denied', { reason: code }]],
    );
  });
}

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
  assert.equal((await listReleases(set.store, { limit: 10 })).length, 1);
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
