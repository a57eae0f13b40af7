/** Delivery over DynamoDB and SQS: rings go through a queue, two workers meet at one destination, the cursor is one item. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openQueue } from '../../functions/siem/queue.ts';
import { answerRing, parseRing, ringWhereNeeded } from '../../functions/siem/rings.ts';
import { createSiemWorld, sequencesOf, upTo } from '../fakes/siem.ts';
import { endpointOf, makeDynamoStore, region } from './emulator.ts';

const endpoint = endpointOf('ministack');

async function sqs<T>(action: string, body: object): Promise<T> {
  const answer = await fetch(endpoint, {
    method: 'POST',
    headers: {
      'content-type': 'application/x-amz-json-1.0',
      'x-amz-target': `AmazonSQS.${action}`,
      authorization: `AWS4-HMAC-SHA256 Credential=test/20260101/${region}/sqs/aws4_request, SignedHeaders=host, Signature=0`,
    },
    body: JSON.stringify(body),
  });
  assert.equal(answer.status, 200);
  return (await answer.json()) as T;
}

test('R32 a ring through SQS, two workers on DynamoDB: every entry arrives in order, and the cursor moves once', async (t) => {
  const made = await makeDynamoStore('ministack');
  t.after(() => made.dispose());
  const world = await createSiemWorld({ store: made.store });
  await world.append(40);
  await world.add('a');
  const { QueueUrl } = await sqs<{ QueueUrl: string }>('CreateQueue', { QueueName: 'rings' });
  const credentials = () => ({ accessKeyId: 'test', secretAccessKey: 'test' });
  const ring = openQueue({
    url: new URL(new URL(QueueUrl).pathname, endpoint).href,
    region,
    credentials,
    now: Date.now,
  });
  assert.deepEqual(await ringWhereNeeded(world.workerDeps(), ring), ['a']);
  const { Messages = [] } = await sqs<{ Messages?: { Body: string }[] }>('ReceiveMessage', {
    QueueUrl,
    WaitTimeSeconds: 5,
  });
  const [name] = Messages.map(({ Body }) => parseRing(Body));
  assert.equal(name, 'a');
  const fake = world.fakeOf('a');
  const limited = () => ({ ...fake, limits: { maxEvents: 7, maxBytes: 1e6 } });
  const limits = { until: Number.POSITIVE_INFINITY, signal: new AbortController().signal };
  const outcomes = await Promise.all(
    ['lambda-1', 'lambda-2'].map((owner) =>
      answerRing(world.workerDeps({ owner, destinationOf: limited }), 'a', limits, ring),
    ),
  );
  const kinds = outcomes.map(({ kind }) => kind);
  assert.ok(kinds.includes('idle') && kinds.every((kind) => kind === 'idle' || kind === 'held'), kinds.join());
  const { size } = await world.manage.reader.head();
  assert.deepEqual(sequencesOf(fake.events), upTo(size));
  assert.equal(fake.events.length, size, 'nothing twice when nothing failed');
  assert.deepEqual(await ringWhereNeeded(world.workerDeps(), ring), []);
});
