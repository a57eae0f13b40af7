/** The races of identities and of the audit log on DynamoDB: the ones that memory and SQLite run, in fewer rounds. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { isSound } from '../../lib/audit/verdicts.ts';
import { verifyLog } from '../../lib/audit/verify.ts';
import { noteVerifier } from '../../lib/crypto/note.ts';
import { openDynamoStore } from '../../lib/store/dynamodb.ts';
import type { Store } from '../../lib/store/port.ts';
import { raceIdentities } from '../conformance/identity-races.ts';
import { queryAll } from '../conformance/store-cases.ts';
import { createTestLog, createTestSigner, testEvent, testOrigin } from '../fakes/audit-log.ts';
import { createFakePublication } from '../fakes/publication.ts';
import { createTable, dynamoClients, type Table } from './emulator.ts';
import { recorded } from './entries.ts';

const clients = dynamoClients('ministack');
let made: Table;
const opened: Store[] = [];
before(async () => {
  made = await createTable(clients.client);
});
after(async () => {
  for (const store of opened) await store.close();
  await made.remove();
  clients.client.destroy();
  clients.streams.destroy();
});

function open(): Store {
  const store = openDynamoStore({ ...clients, table: made.table, streamArn: made.streamArn, pollMs: 20 });
  opened.push(store);
  return store;
}

test('R09 200 seeded interleavings of enroll, retry, renew and revoke on DynamoDB: a revoked UUID never comes back', async (t) => {
  const revoked = await raceIdentities(open(), { races: 200 });
  t.diagnostic(`${revoked} of 200 ended revoked`);
  assert(revoked > 70 && revoked < 200, 'both outcomes must occur, or nothing was interleaved');
});

test('R30 writers and sealers race on DynamoDB: every operation has one entry, every size one root', async () => {
  const signer = createTestSigner();
  const publication = createFakePublication();
  // Two of the four have the same name, as when an old process is not dead yet.
  const logs = await Promise.all(
    ['w', 'w', 'x', 'y'].map((writerId) =>
      createTestLog({ store: open(), signer, writer: { writerId }, sealer: { publication } }),
    ),
  );
  const ids: string[] = [];
  await Promise.all(
    logs.flatMap(({ writer, sealer }, who) => [
      // A publication that another sealer has moved on meanwhile is no loss: the next call goes on.
      (async () => {
        for (let i = 0; i < 6; i += 1) await sealer.sealOnce().catch(() => undefined);
      })(),
      ...Array.from({ length: 10 }, async (_, i) => {
        const id = `${who}-${i}`;
        ids.push(id);
        const event = { ...testEvent, object: { kind: 'token', id } };
        const { ok } = await writer.append(event, [{ kind: 'put', item: { pk: 'things', sk: id } }]);
        assert(ok);
      }),
    ]),
  );
  const last = await createTestLog({ store: open(), signer, sealer: { publication } });
  await last.sealer.sealOnce();
  const verdicts = await verifyLog({
    source: publication,
    verifiers: [noteVerifier(testOrigin, signer.raw)],
    now: last.now,
  });
  assert(isSound(verdicts), JSON.stringify(verdicts));
  const store = open();
  const lanes = await queryAll(store, { pk: 'lanes' });
  const slots = await Promise.all(lanes.map(({ sk }) => queryAll(store, { pk: `lane#${sk}` })));
  assert.deepEqual(recorded(slots.flat(), testEvent.type, testEvent.outcome).sort(), ids.sort());
  assert.equal((await queryAll(store, { pk: 'things' })).length, ids.length);
});
