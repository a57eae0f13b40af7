import assert from 'node:assert/strict';
import { test } from 'node:test';
import { day, manifestBytes, noon, policyError } from '../../test/fakes/policy.ts';
import { alice, file, release, setUp } from '../../test/fakes/publishing.ts';
import { sha256Hex } from '../crypto/digest.ts';
import { utf8 } from '../crypto/encoding.ts';
import { currentRelease, getRelease } from './history.ts';
import { formatCrate } from './model.ts';

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
