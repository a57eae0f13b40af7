import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pauseDestination } from '../../lib/siem/manage.ts';
import { createSiemWorld, sequencesOf, upTo } from '../../test/fakes/siem.ts';
import { readSiemEnvironment } from './environment.ts';
import { openQueue } from './queue.ts';
import { answerRing, formatRing, parseRing, ringWhereNeeded } from './rings.ts';

async function rung() {
  const world = await createSiemWorld();
  const sent: [string, number][] = [];
  const ring = async (name: string, delay: number) => void sent.push([name, delay]);
  const limits = { until: Number.POSITIVE_INFINITY, signal: new AbortController().signal };
  return { world, sent, ring, limits };
}

test('the router rings where there is something to do, and nowhere else', async () => {
  const { world, sent, ring } = await rung();
  await world.append(3);
  for (const name of ['behind', 'done', 'paused', 'waits']) await world.add(name);
  await world.sealer.sealOnce();
  await world.run('done');
  await pauseDestination(world.manage, { name: 'paused', actor: world.actor });
  world.fakeOf('waits').answers.push({ kind: 'transient', reason: '503' });
  await world.run('waits');
  // The pause and what it left in the log are sealed later.
  assert.deepEqual(await ringWhereNeeded(world.workerDeps(), ring), ['behind']);
  assert.deepEqual(sent, [['behind', 0]]);
  await world.pass(60_000);
  assert.deepEqual(await ringWhereNeeded(world.workerDeps(), ring), ['behind', 'done', 'waits']);
});

test('R32 a ring delivers until the time is over, and rings for the rest; nothing is lost between', async () => {
  const { world, sent, ring, limits } = await rung();
  await world.append(20);
  await world.add('a');
  const deps = {
    ...world.workerDeps({ owner: 'lambda-1' }),
    destinationOf: () => ({ ...world.fakeOf('a'), limits: { maxEvents: 5, maxBytes: 1e6 } }),
  };
  // Each look at the clock takes a second.
  const slow = { ...deps, now: () => (world.clock.time += 1_000) };
  const outcome = await answerRing(slow, 'a', { ...limits, until: world.clock.time + 12_000 }, ring);
  assert.equal(outcome.kind, 'more');
  assert.deepEqual(sent, [['a', 0]]);
  assert.equal((await answerRing({ ...deps, owner: 'lambda-2' }, 'a', limits, ring)).kind, 'idle');
  assert.equal(sent.length, 1);
  assert.deepEqual(sequencesOf(world.fakeOf('a').events), upTo((await world.manage.reader.head()).size));
});

test('a short wait is a late ring, a long one is left to the router, and doubled rings do not multiply', async () => {
  const { world, sent, ring, limits } = await rung();
  await world.append(1);
  await world.add('a');
  const fake = world.fakeOf('a');
  fake.answers.push({ kind: 'transient', reason: '503', retryAfterMs: 7_500 }, { kind: 'auth', reason: '401' });
  await answerRing(world.workerDeps(), 'a', limits, ring);
  assert.deepEqual(sent, [['a', 8]]);
  await world.pass(8_000);
  await answerRing(world.workerDeps(), 'a', limits, ring);
  assert.deepEqual(sent.length, 1, 'five minutes are left to the router');
  await world.pass(300_000);
  const { promise: held, resolve: goOn } = Promise.withResolvers<void>();
  const { promise: began, resolve: begin } = Promise.withResolvers<void>();
  fake.answers.push(async () => {
    begin();
    await held;
    return { kind: 'delivered' };
  });
  const first = answerRing(world.workerDeps({ owner: 'lambda-1' }), 'a', limits, ring);
  await began;
  assert.equal((await answerRing(world.workerDeps({ owner: 'lambda-2' }), 'a', limits, ring)).kind, 'held');
  goOn();
  await first;
  assert.equal(sent.length, 1);
});

test('a message that is no ring is refused', () => {
  assert.equal(parseRing(formatRing('splunk')), 'splunk');
  for (const text of [
    '',
    '{}',
    '{"v":2,"destination":"a"}',
    '{"v":1,"destination":"../a"}',
    '{"v":1,"destination":"a","x":1}',
  ])
    assert.throws(() => parseRing(text), TypeError, text);
});

test('a ring is one signed SendMessage; a queue that does not take it fails the caller', async () => {
  const calls: [string, RequestInit][] = [];
  let status = 200;
  const ring = openQueue({
    url: 'https://sqs.eu-central-1.amazonaws.com/111122223333/rings',
    region: 'eu-central-1',
    credentials: () => ({ accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'x', sessionToken: 's' }),
    now: () => Date.parse('2026-01-01T00:00:00Z'),
    fetch: async (url, init) => {
      calls.push([String(url), init ?? {}]);
      return new Response('{}', { status });
    },
  });
  await ring('a', 10_000);
  const [url, init] = calls[0] as [string, RequestInit];
  assert.equal(url, 'https://sqs.eu-central-1.amazonaws.com/');
  const headers = init.headers as Record<string, string>;
  assert.equal(headers['x-amz-target'], 'AmazonSQS.SendMessage');
  assert.match(
    headers['authorization'] ?? '',
    /^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\/20260101\/eu-central-1\/sqs\/aws4_request, /,
  );
  assert.equal(init.redirect, 'error');
  assert.deepEqual(JSON.parse(String(init.body)), {
    QueueUrl: 'https://sqs.eu-central-1.amazonaws.com/111122223333/rings',
    MessageBody: formatRing('a'),
    DelaySeconds: 900,
  });
  status = 403;
  await assert.rejects(ring('a', 0), /answered 403/);
});

test('the environment is exactly what is known', () => {
  const good = {
    AWS_REGION: 'eu-central-1',
    AWS_ACCESS_KEY_ID: 'a',
    AWS_SECRET_ACCESS_KEY: 'b',
    HOLDFAST_TABLE: 'holdfast',
    HOLDFAST_DATA_KEY_ARN: 'arn:aws:kms:eu-central-1:111122223333:key/x',
    HOLDFAST_SECRETS_PREFIX: 'holdfast/prod/',
    HOLDFAST_SIEM_QUEUE_URL: 'https://sqs.eu-central-1.amazonaws.com/111122223333/rings',
  };
  assert.equal(readSiemEnvironment(good).HOLDFAST_TABLE, 'holdfast');
  assert.throws(() => readSiemEnvironment({ ...good, HOLDFAST_INSECURE: '1' }), /HOLDFAST_INSECURE/);
  assert.throws(
    () => readSiemEnvironment({ ...good, HOLDFAST_SIEM_QUEUE_URL: 'http://x/1/y' }),
    /HOLDFAST_SIEM_QUEUE_URL/,
  );
  for (const name of Object.keys(good))
    assert.throws(() => readSiemEnvironment({ ...good, [name]: undefined }), TypeError);
});
