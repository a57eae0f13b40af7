/**
 * Faults between the SDK and DynamoDB, injected as SDK middleware: requests that never arrive, answers that never come
 * back after the service did its work, throttling. The service itself is real as far as an emulator is.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { openAuditWriter } from '../../lib/audit/writer.ts';
import { fleetPin } from '../../lib/identity/descriptor.ts';
import { enroll } from '../../lib/identity/enroll.ts';
import { IdentityError } from '../../lib/identity/errors.ts';
import { nodeItems } from '../../lib/identity/nodes.ts';
import { createEnrollmentToken } from '../../lib/identity/tokens.ts';
import { openDynamoStore } from '../../lib/store/dynamodb.ts';
import type { DynamoClients } from '../../lib/store/dynamodb-clients.ts';
import type { Store, Write } from '../../lib/store/port.ts';
import { queryAll, rejectsWith } from '../conformance/store-cases.ts';
import { createMachine, createTestFleet, enrollBytes, operator } from '../fakes/fleet.ts';
import { createTable, dynamoClients, type Table } from './emulator.ts';
import { recorded } from './entries.ts';

/** `lost_answer`: done, and the answer never arrives. `lost_request`: not done, and the caller can't tell. */
type Fault = 'lost_answer' | 'lost_request' | 'throttled' | 'conflict' | undefined;

const healthy = dynamoClients('ministack');
const faulty: DynamoClients[] = [];
let made: Table;
before(async () => {
  made = await createTable(healthy.client);
});
after(async () => {
  await made.remove();
  for (const { client, streams } of [healthy, ...faulty]) {
    client.destroy();
    streams.destroy();
  }
});

function failure(name: string, fields: object = {}): Error {
  return Object.assign(new Error(`injected ${name}`), { name, ...fields });
}

/** Asks `plan` at every request that writes. */
function injectFaults(client: DynamoDBClient, plan: () => Fault): void {
  client.middlewareStack.add(
    (next, context) => async (args) => {
      const isWrite = /^(TransactWrite|Put|Update|Delete)/.test(String(context['commandName']));
      const fault = isWrite ? plan() : undefined;
      if (fault === 'throttled') throw failure('ThrottlingException', { $metadata: { httpStatusCode: 400 } });
      if (fault === 'lost_request') throw failure('TimeoutError');
      // Another transaction holds one of the items (API reference, TransactWriteItems, CancellationReasons).
      if (fault === 'conflict' && context['commandName'] === 'TransactWriteItemsCommand') {
        const { TransactItems = [] } = args.input as { TransactItems?: unknown[] };
        const CancellationReasons = TransactItems.map((_, i) => ({ Code: i === 0 ? 'TransactionConflict' : 'None' }));
        throw failure('TransactionCanceledException', { CancellationReasons, $metadata: { httpStatusCode: 400 } });
      }
      const answer = await next(args);
      if (fault === 'lost_answer') throw failure('TimeoutError');
      return answer;
    },
    { step: 'deserialize', name: 'injectFaults', priority: 'low' },
  );
}

function storeWith(plan: () => Fault): Store {
  const clients = dynamoClients('ministack');
  faulty.push(clients);
  injectFaults(clients.client, plan);
  return openDynamoStore({ ...clients, table: made.table, pause: async () => {} });
}

const inOrder = (...faults: Fault[]) => {
  const rest = [...faults];
  return () => rest.shift();
};

let run = 0;
const freshKey = () => ({ pk: 'faults', sk: `k${run++}` });
const observer = () => openDynamoStore({ ...healthy, table: made.table });
const count = async (sk: string) => (await observer().get({ pk: 'faults', sk }))?.['n'];

const addTwice = (key: { pk: string; sk: string }): readonly Write[] => [
  { kind: 'update', key, add: { n: 1 } },
  { kind: 'put', item: { pk: 'faults', sk: `beside ${key.sk}` } },
];

test('an answer that was lost is asked for again, and the transaction is done once', async () => {
  for (const faults of [
    ['lost_answer'],
    ['lost_answer', 'lost_answer'],
    ['lost_request', 'lost_answer', 'throttled'],
  ]) {
    const key = freshKey();
    assert.deepEqual(await storeWith(inOrder(...(faults as Fault[]))).transact(addTwice(key)), { ok: true });
    assert.equal(await count(key.sk), 1, faults.join());
  }
});

test('a claim whose answer was lost is not mistaken for a claim that failed', async () => {
  const key = freshKey();
  const claim: readonly Write[] = [
    { kind: 'put', item: { ...key, n: 1 }, when: { kind: 'absent' } },
    { kind: 'put', item: { pk: 'faults', sk: `beside ${key.sk}` } },
  ];
  assert.deepEqual(await storeWith(inOrder('lost_answer')).transact(claim), { ok: true });
  assert.deepEqual(await storeWith(inOrder()).transact(claim), { ok: false, failed: [0] });
});

test('when no answer comes at all the outcome is unknown, whether or not it was done', async () => {
  for (const fault of ['lost_answer', 'lost_request'] as const) {
    const key = freshKey();
    await rejectsWith('unknown_outcome', storeWith(() => fault).transact(addTwice(key)));
    assert.equal(await count(key.sk), fault === 'lost_answer' ? 1 : undefined);
  }
});

test('a single write is not sent again after a lost answer', async () => {
  const key = freshKey();
  await rejectsWith(
    'unknown_outcome',
    storeWith(() => 'lost_answer').transact([{ kind: 'update', key, add: { n: 1 } }]),
  );
  assert.equal(await count(key.sk), 1);
});

test('throttling is waited out, and then nothing was written', async () => {
  const key = freshKey();
  await rejectsWith('unavailable', storeWith(() => 'throttled').transact(addTwice(key)));
  assert.equal(await count(key.sk), undefined);
  const store = storeWith(inOrder('throttled', 'throttled', 'throttled'));
  assert.deepEqual(await store.transact(addTwice(key)), { ok: true });
});

test('a conflict with another transaction wrote nothing and is told as that; a condition that fails likewise', async () => {
  const key = freshKey();
  // The caller decides whether what it wants still holds; an entry of the audit log, say, goes into another slot.
  const store = storeWith(inOrder('throttled', 'conflict'));
  await rejectsWith('conflict', store.transact(addTwice(key)));
  assert.equal(await count(key.sk), undefined);
  assert.deepEqual(await store.transact(addTwice(key)), { ok: true });
  assert.equal(await count(key.sk), 1);
  const claim: readonly Write[] = [
    { kind: 'put', item: { pk: 'faults', sk: `new ${key.sk}` } },
    { kind: 'put', item: { ...key, n: 9 }, when: { kind: 'absent' } },
  ];
  for (const before of [[], ['throttled'], ['throttled', 'throttled']] as Fault[][])
    assert.deepEqual(await storeWith(inOrder(...before)).transact(claim), { ok: false, failed: [1] });
  assert.equal(await observer().get({ pk: 'faults', sk: `new ${key.sk}` }), undefined);
});

test('R06 R30 enrollments under faults of every kind: each node has its entry, and each entry its node', async () => {
  // A generator with a fixed seed, so that a failure comes again.
  let seed = 42;
  const random = () => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    return seed / 2 ** 32;
  };
  const faults: Fault[] = ['lost_answer', 'lost_request', 'throttled', 'conflict'];
  const injected = { count: 0 };
  const store = storeWith(() => {
    if (random() > 0.3) return undefined;
    injected.count += 1;
    return faults[Math.floor(random() * faults.length)];
  });
  const fleet = await createTestFleet({ store: observer(), startAt: Date.now() });
  const audit = await openAuditWriter({
    store,
    origin: 'holdfast.local/testfleet',
    writerId: 'faults',
    now: Date.now,
    lanes: 2,
  });
  const deps = { ...fleet.issuance, store, audit, now: Date.now };
  const minting = { store: observer(), audit, now: Date.now, pin: fleetPin(fleet.descriptor) };
  const outcomes: string[] = [];
  for (let index = 0; index < 40; index += 1) {
    try {
      const { token } = await createEnrollmentToken(minting, { actor: operator });
      const machine = await createMachine();
      await enroll(deps, enrollBytes(machine, token));
      outcomes.push(machine.uuid);
    } catch (error) {
      outcomes.push(error instanceof IdentityError ? error.code : (error as Error).name);
    }
  }
  await audit.close();
  const nodes: string[] = [];
  for await (const item of nodeItems(observer())) nodes.push(item.sk);
  const entries = await enrollmentEntries(observer());
  assert(injected.count > 20, 'faults were injected');
  assert.deepEqual(entries.toSorted(), nodes.toSorted(), 'one success entry for every node, and none without');
  const told = outcomes.filter((outcome) => outcome.length === 36);
  assert(told.length > 10, outcomes.join());
  for (const uuid of told) assert(nodes.includes(uuid), 'who was told so is enrolled');
});

/** UUIDs of the nodes whose enrollment was recorded, once for each entry. */
async function enrollmentEntries(store: Store): Promise<string[]> {
  const lanes = await queryAll(store, { pk: 'lanes' });
  const slots = await Promise.all(lanes.map(({ sk }) => queryAll(store, { pk: `lane#${sk}` })));
  return recorded(slots.flat(), 'node.enroll', 'success');
}
