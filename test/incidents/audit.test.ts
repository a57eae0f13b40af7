/** Incidents of audit logs: what a chain of hashes by itself can't show. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isSound } from '../../lib/audit/verdicts.ts';
import { verifyLog } from '../../lib/audit/verify.ts';
import { createMemoryStore } from '../../lib/store/memory.ts';
import { createTestLog, createTestSigner, testEvent } from '../fakes/audit-log.ts';

type Made = Awaited<ReturnType<typeof createTestLog>>;

const entries = 40;
const eventOf = (i: number) => ({ ...testEvent, object: { kind: 'token', id: `t${i}` } });

/** A log whose keeper has everything: the store, the files and the log's key. `order` is what it holds. */
async function keep(signer: ReturnType<typeof createTestSigner>, order: readonly number[]): Promise<Made> {
  const log = await createTestLog({ signer, store: createMemoryStore() });
  for (const i of order) await log.writer.append(eventOf(i));
  await log.sealer.sealOnce();
  return log;
}

test('incident 37: a cut tail, a rewrite, an insertion, a swap and a fork are sound in themselves, and caught by one anchor', async () => {
  const signer = createTestSigner();
  const all = Array.from({ length: entries }, (_, i) => i);
  const honest = await keep(signer, all);
  const anchors = [Buffer.from(honest.publication.files.get('checkpoint') ?? '').toString('utf8')];
  const verify = ({ publication, verifiers, now }: Made, kept: readonly string[]) =>
    verifyLog({ source: publication, verifiers, now, anchors: kept });
  assert.ok(isSound(await verify(honest, anchors)));
  const forgeries: { readonly [name: string]: readonly number[] } = {
    'the last five are gone': all.slice(0, -5),
    'the last one is gone': all.slice(0, -1),
    'everything from the twentieth is another': [...all.slice(0, 20), ...all.slice(20).map((i) => i + 1000)],
    'one is put in between': [...all.slice(0, 10), 999, ...all.slice(10)],
    'two have changed places': [...all.slice(0, 5), 6, 5, ...all.slice(7)],
    'another history altogether, and longer': all.map((i) => i + 500).concat(all),
  };
  for (const [what, order] of Object.entries(forgeries)) {
    const forged = await keep(signer, order);
    assert.ok(isSound(await verify(forged, [])), `${what}: every hash was made anew, so it is sound in itself`);
    const verdicts = await verify(forged, anchors);
    assert.equal(verdicts.anchoring.verdict, 'fail', what);
    assert.ok(!isSound(verdicts), what);
  }
});

test('incident 37: without the key, the same are caught by the log itself', async () => {
  const all = Array.from({ length: entries }, (_, i) => i);
  const { publication, verifiers, now } = await keep(createTestSigner(), all);
  const forged = await keep(createTestSigner(), all.with(7, 7000));
  let tried = 0;
  for (const [path, bytes] of forged.publication.files) {
    if (!publication.files.has(path)) continue;
    tried += 1;
    const files = new Map([...publication.files, [path, bytes] as const]);
    const source = { read: async (name: string) => files.get(name) };
    const caught = await verifyLog({ source, verifiers, now }).then(
      (verdicts) => !isSound(verdicts),
      () => true,
    );
    assert.ok(caught, `${path} of another log`);
  }
  assert.ok(tried >= 3, `${tried} files`);
});
