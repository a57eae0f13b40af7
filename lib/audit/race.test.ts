/** Writers and sealers race on one store, in every order that a seed can find: one order, one root for each size. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createTestLog, createTestSigner, testEvent, testOrigin } from '../../test/fakes/audit-log.ts';
import { createFakePublication } from '../../test/fakes/publication.ts';
import { noteVerifier } from '../crypto/note.ts';
import { createMemoryStore } from '../store/memory.ts';
import type { Store } from '../store/port.ts';
import { parseCheckpoint } from './checkpoint.ts';
import { listEntries } from './list.ts';
import type { Publication } from './publication.ts';
import { isSound } from './verdicts.ts';
import { verifyLog } from './verify.ts';

/** Holds every call back until the scheduler lets it go. */
function scheduled(inner: Store, scheduler: fc.Scheduler): Store {
  return {
    ...inner,
    get: scheduler.scheduleFunction((key) => inner.get(key)),
    query: scheduler.scheduleFunction((query) => inner.query(query)),
    transact: scheduler.scheduleFunction((writes) => inner.transact(writes)),
  };
}

function scheduledPublication(inner: Publication, scheduler: fc.Scheduler): Publication {
  return {
    read: scheduler.scheduleFunction((path) => inner.read(path)),
    write: scheduler.scheduleFunction((path, bytes) => inner.write(path, bytes)),
    publishCheckpoint: scheduler.scheduleFunction((note, size) => inner.publishCheckpoint(note, size)),
    dropPartials: inner.dropPartials,
  };
}

test('R30 writers and sealers race: every operation has one entry, every size one root', async () => {
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), async (scheduler) => {
      const signer = createTestSigner();
      const published = createFakePublication();
      const store = createMemoryStore();
      const raced = scheduled(store, scheduler);
      const roots = new Map<number, string>();
      const publication = scheduledPublication(published, scheduler);
      const sign = async (message: Uint8Array) => {
        const { size, root } = parseCheckpoint(Buffer.from(message).toString());
        const hex = Buffer.from(root).toString('hex');
        assert.equal(roots.get(size) ?? hex, hex, `two roots of size ${size}`);
        roots.set(size, hex);
        return signer.sign(message);
      };
      // Two of the three writers have the same name, as when an old process is not dead yet.
      const opening = ['w', 'w', 'x'].map((writerId) =>
        createTestLog({ store: raced, signer: { ...signer, sign }, writer: { writerId }, sealer: { publication } }),
      );
      const work = Promise.all(
        opening.map(async (made, who) => {
          const { writer, sealer } = await made;
          const seal = async () => {
            // A publication that another sealer has moved on meanwhile is no loss: the next call goes on.
            for (let i = 0; i < 3; i++) await sealer.sealOnce().catch(() => undefined);
          };
          const append = async () => {
            for (let i = 0; i < 4; i++) {
              const id = `${who}-${i}`;
              const event = { ...testEvent, object: { kind: 'token', id } };
              const { ok } = await writer.append(event, [{ kind: 'put', item: { pk: 'things', sk: id } }]);
              assert.ok(ok);
            }
          };
          await Promise.all([seal(), append()]);
        }),
      );
      await scheduler.waitFor(work);
      const last = await createTestLog({ store, signer: { ...signer, sign }, sealer: { publication: published } });
      await last.sealer.sealOnce();
      const verifiers = [noteVerifier(testOrigin, signer.raw)];
      const verdicts = await verifyLog({ source: published, verifiers, now: last.now });
      assert.ok(isSound(verdicts), JSON.stringify(verdicts));
      const { entries } = await listEntries(
        { store, origin: testOrigin },
        { order: 'oldest', limit: 1000, type: 'token.cancel' },
      );
      const recorded = entries.map(({ entry }) => entry.object.id).sort();
      assert.deepEqual(
        recorded,
        [0, 1, 2].flatMap((who) => [0, 1, 2, 3].map((i) => `${who}-${i}`)),
      );
    }),
    { numRuns: 25, seed: 7 },
  );
});
