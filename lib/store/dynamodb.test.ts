import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { put, rejectsWith } from '../../test/conformance/store-cases.ts';
import { type DynamoStoreOptions, openDynamoStore } from './dynamodb.ts';
import type { StoreErrorCode, Write } from './port.ts';

type Answer = Error | object;

/** A client that gives one answer after the other, and keeps what it was asked. */
function scripted(...answers: Answer[]) {
  const asked: { name: string; input: Record<string, unknown> }[] = [];
  const client = {
    async send(command: { constructor: { name: string }; input: Record<string, unknown> }) {
      asked.push({ name: command.constructor.name, input: command.input });
      const answer = answers.shift();
      if (answer === undefined) throw new assert.AssertionError({ message: 'asked once too often' });
      if (answer instanceof Error) throw answer;
      return answer;
    },
  } as unknown as DynamoStoreOptions['client'];
  const streams = client as unknown as DynamoStoreOptions['streams'];
  return { asked, store: openDynamoStore({ client, streams, table: 't', pause: async () => {} }), answers };
}

function failure(name: string, fields: object = {}): Error {
  return Object.assign(new Error(name), { name, ...fields });
}
const refusedWith = (status: number) => ({ $metadata: { httpStatusCode: status } });
const cancelled = (...codes: string[]) =>
  failure('TransactionCanceledException', {
    ...refusedWith(400),
    CancellationReasons: codes.map((Code) => ({ Code })),
  });

const pair: readonly Write[] = [
  { kind: 'put', item: { pk: 'p', sk: 'a' }, when: { kind: 'absent' } },
  { kind: 'put', item: { pk: 'p', sk: 'b' }, when: { kind: 'absent' } },
];

test('a time-out is repeated with the same token, and an answer then is certain', async () => {
  const { store, asked } = scripted(failure('TimeoutError'), {});
  assert.deepEqual(await store.transact(pair), { ok: true });
  assert.equal(asked.length, 2);
  assert.equal(asked[0]!.input['ClientRequestToken'], asked[1]!.input['ClientRequestToken']);
  assert.equal(typeof asked[0]!.input['ClientRequestToken'], 'string');
});

test('after an attempt without an answer, no later failure reads as "nothing was written"', async () => {
  for (const later of [
    cancelled('ConditionalCheckFailed', 'None'),
    cancelled('TransactionConflict', 'None'),
    failure('ValidationException', refusedWith(400)),
    failure('AccessDeniedException', refusedWith(400)),
    failure('ThrottlingException', refusedWith(400)),
    failure('Error', { code: 'ECONNREFUSED' }),
  ]) {
    const { store } = scripted(failure('Error', { code: 'ECONNRESET' }), later, later, later);
    await rejectsWith('unknown_outcome', store.transact(pair));
  }
});

test('a write of one item is not repeated after a time-out: nothing tells the service that it is the same', async () => {
  for (const write of [
    put('p', 's'),
    { kind: 'delete', key: { pk: 'p', sk: 's' } },
    { kind: 'update', key: { pk: 'p', sk: 's' }, add: { n: 1 } },
  ] as const) {
    const { store, asked } = scripted(failure('TimeoutError', { message: 'request timed out' }));
    await rejectsWith('unknown_outcome', store.transact([write]));
    assert.equal(asked.length, 1);
  }
});

test('each failure of a transaction gets its code', async () => {
  const cases: readonly (readonly [Error, StoreErrorCode])[] = [
    [cancelled('TransactionConflict', 'ConditionalCheckFailed'), 'conflict'],
    [failure('TransactionConflictException', refusedWith(400)), 'conflict'],
    [cancelled('ValidationError', 'ConditionalCheckFailed'), 'invalid'],
    [cancelled('ThrottlingError', 'ConditionalCheckFailed'), 'unavailable'],
    [cancelled('ProvisionedThroughputExceeded', 'None'), 'unavailable'],
    [cancelled('SomethingNew', 'None'), 'unavailable'],
    [failure('RequestLimitExceeded', refusedWith(400)), 'unavailable'],
    [failure('ResourceNotFoundException', refusedWith(400)), 'unavailable'],
    [failure('AccessDeniedException', refusedWith(400)), 'unavailable'],
    [failure('Error', { code: 'ECONNREFUSED' }), 'unavailable'],
    [failure('CredentialsProviderError'), 'unavailable'],
    [failure('TimeoutError', { message: 'the socket did not establish a connection' }), 'unavailable'],
    [failure('ItemCollectionSizeLimitExceededException', refusedWith(400)), 'invalid'],
    [failure('TransactionInProgressException', refusedWith(400)), 'unknown_outcome'],
    [failure('InternalServerError', refusedWith(500)), 'unknown_outcome'],
    [failure('ServiceUnavailable', refusedWith(503)), 'unknown_outcome'],
    [failure('Error', { code: 'EPIPE' }), 'unknown_outcome'],
    [failure('SyntaxError'), 'unknown_outcome'],
  ];
  for (const [error, code] of cases) {
    const { store } = scripted(error, error, error, error);
    await rejectsWith(code, store.transact(pair));
  }
});

test('failed conditions are named, and only they', async () => {
  const { store } = scripted(cancelled('None', 'ConditionalCheckFailed'));
  assert.deepEqual(await store.transact(pair), { ok: false, failed: [1] });
});

test('throttling is waited out a few times, then reported', async () => {
  const throttle = () => failure('ThrottlingException', refusedWith(400));
  const { store } = scripted(throttle(), throttle(), throttle(), {});
  assert.deepEqual(await store.transact(pair), { ok: true });
  const reading = scripted(throttle(), throttle(), throttle(), throttle());
  await rejectsWith('unavailable', reading.store.get({ pk: 'p', sk: 's' }));
  assert.equal(reading.answers.length, 0);
});

test('an addition that would leave the safe integers is the caller’s bug, not a failed condition', async () => {
  const key = { pk: 'p', sk: 's' };
  const write = { kind: 'update', key, add: { n: 1 }, when: { kind: 'present' } } as const;
  const stored = (n: object) => ({ pk: { S: 'p' }, sk: { S: 's' }, n });
  for (const n of [{ N: String(Number.MAX_SAFE_INTEGER) }, { S: 'text' }]) {
    const { store } = scripted(failure('ConditionalCheckFailedException', { Item: stored(n), ...refusedWith(400) }));
    await rejectsWith('invalid', store.transact([write]));
  }
  const { store, asked } = scripted(failure('ConditionalCheckFailedException', refusedWith(400)));
  assert.deepEqual(await store.transact([write]), { ok: false, failed: [0] });
  const input = asked[0]!.input;
  assert.equal(input['ReturnValuesOnConditionCheckFailure'], 'ALL_OLD');
  assert.deepEqual(
    Object.values(input['ExpressionAttributeValues'] as object)
      .map(({ N }) => N)
      .slice(0, 2),
    [String(Number.MIN_SAFE_INTEGER), String(Number.MAX_SAFE_INTEGER - 1)],
  );
});

test('no name or value is part of an expression, so no word is reserved and nothing is injected', async () => {
  const { store, asked } = scripted({}, {});
  const name = 'size = :0 OR attribute_exists(pk)';
  await store.transact([
    {
      kind: 'update',
      key: { pk: 'p', sk: 's' },
      set: { [name]: 'v', name: 1 },
      unset: ['status'],
      add: { count: 1 },
      when: {
        kind: 'all',
        of: [
          { kind: 'equals', name, value: ':x' },
          { kind: 'missing', name: 'status' },
        ],
      },
    },
  ]);
  const { UpdateExpression, ConditionExpression } = asked[0]!.input as Record<string, string>;
  for (const expression of [UpdateExpression, ConditionExpression]) {
    assert.match(expression!, /^(?:[#:][0-9]+|[A-Z_]+|attribute_(?:not_)?exists|[ =(),<>])+$/);
  }
});

test('what another program put into the table is corrupt, not a value', async () => {
  const keys = { pk: { S: 'p' }, sk: { S: 's' } };
  for (const a of [
    { NULL: true },
    { SS: ['x'] },
    { N: '0.5' },
    { N: '9007199254740993' },
    { M: { ['__proto__']: { S: '' } } },
  ]) {
    const { store } = scripted({ Item: { ...keys, a } });
    await rejectsWith('corrupt', store.get({ pk: 'p', sk: 's' }));
  }
});

test('closing waits for a write under way', async () => {
  const { promise, resolve } = Promise.withResolvers<object>();
  const client = { send: () => promise } as unknown as DynamoStoreOptions['client'];
  const store = openDynamoStore({ client, streams: client as unknown as DynamoStoreOptions['streams'], table: 't' });
  const order: string[] = [];
  const writing = store.transact(pair);
  const closing = store.close().then(() => order.push('closed'));
  await nextTurn();
  order.push('answered');
  resolve({});
  assert.deepEqual(await writing, { ok: true });
  await closing;
  assert.deepEqual(order, ['answered', 'closed']);
});

test('without a stream there is no feed', async () => {
  const { store } = scripted();
  await rejectsWith('unavailable', store.feed.now());
});
