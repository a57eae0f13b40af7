import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { it } from 'node:test';
import { openAuditWriter } from '../../lib/audit/writer.ts';
import { createMemoryStore } from '../../lib/store/memory.ts';
import { countingStore } from '../../test/fakes/counting-store.ts';
import { denyRequest } from './denials.ts';

it('R04 a flood of 10,000 refused requests leaves few entries, whoever it claims to be', async () => {
  const store = countingStore(createMemoryStore());
  const audit = await openAuditWriter({ store, origin: 'holdfast.local/test', writerId: 'gateway', now: Date.now });
  const before = store.counts.writes;
  for (let request = 0; request < 10_000; request++) {
    denyRequest(audit, { reason: 'bad_signature', method: '/m', claimed: randomUUID() });
  }
  await audit.close();
  const written = store.counts.writes - before;
  assert.ok(written >= 1 && written <= 100, `${written} writes`);
  await store.close();
});
