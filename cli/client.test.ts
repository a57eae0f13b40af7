import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { startHttpsReceiver } from '../test/fakes/https-receiver.ts';
import { createLoopbackTls } from '../test/fakes/loopback-tls.ts';
import type { Answer } from '../test/fakes/siem-receivers.ts';
import { connect } from './client.ts';
import { CliError } from './errors.ts';

async function startServer(t: TestContext, answers: readonly Answer[]) {
  const tls = await createLoopbackTls();
  let asked = 0;
  const server = await startHttpsReceiver(tls, () => answers[asked++] ?? { status: 200, body: { done: true } });
  const pauses: number[] = [];
  const client = connect({
    url: server.base,
    ca: tls.ca,
    token: 'x',
    remedy: '',
    pause: async (ms) => {
      pauses.push(ms);
    },
  });
  t.after(async () => {
    client.close();
    await server.close();
  });
  return { client, pauses, requests: server.requests };
}

const tooMany = (seconds: number | undefined): Answer => ({
  status: 429,
  headers: seconds === undefined ? {} : { 'retry-after': String(seconds) },
  body: { title: 'Too many requests', detail: 'slow down' },
});

test('a server that is asked too fast is asked again when it says, with the same request', async (t) => {
  const { client, pauses, requests } = await startServer(t, [tooMany(1), tooMany(2)]);
  assert.deepEqual(await client.post('/v1/x', { a: 1 }), { done: true });
  assert.deepEqual(pauses, [1000, 2000]);
  assert.deepEqual(
    requests.map(({ method, path, body }) => `${method} ${path} ${body}`),
    Array.from({ length: 3 }, () => 'POST /v1/x {"a":1}'),
  );
});

test('one that wants a long wait, names none, or never has enough, is a refusal', async (t) => {
  for (const [seconds, most] of [
    [60, 1],
    [undefined, 1],
    [1, 61],
  ] as const) {
    const { client, requests } = await startServer(
      t,
      Array.from({ length: 1000 }, () => tooMany(seconds)),
    );
    await assert.rejects(
      client.get('/v1/x'),
      (error) => error instanceof CliError && error.exit === 'refused' && error.message === 'slow down',
    );
    assert.equal(requests.length, most);
  }
});

test('live events are asked for from where the last ones ended; a sign of life is no event, and a reset is one', async (t) => {
  const { signal } = new AbortController();
  const stream = (body: string): Answer => ({ status: 200, headers: { 'content-type': 'text/event-stream' }, body });
  const { client, requests } = await startServer(t, [
    stream('retry: 1\nid: a\n: open\n\n: alive\nid: b\n\n'),
    stream('id: b\n: open\n\nevent: node\ndata: {}\n\nevent: run\nid: c\ndata: {}\n\n'),
    stream('id: c\n: open\n\nevent: reset\nid: d\ndata: {}\n\n'),
    // Cut before the id of what happened together: to be asked for again.
    stream('id: d\n: open\n\nevent: node\ndata: {}\n\n'),
    stream('id: d\n: open\n\nevent: node\nid: e\nda'),
    stream(''),
  ]);
  const told: boolean[] = [];
  for (let i = 0; i < 6; i++) told.push(await client.nextEvent(60_000, signal));
  assert.deepEqual(told, [false, true, true, true, false, false]);
  assert.deepEqual(
    requests.map(({ headers }) => headers['last-event-id']),
    [undefined, 'b', 'c', 'd', 'd', 'd'],
  );
});

test('a server without live events, or with no room for one more, is no failure: the time passes instead', async (t) => {
  const { signal } = new AbortController();
  const { client } = await startServer(t, [
    { status: 503, body: { title: 'x' } },
    tooMany(60),
    { status: 401, body: { title: 'x' } },
  ]);
  assert.equal(await client.nextEvent(1, signal), false);
  assert.equal(await client.nextEvent(1, signal), false);
  await assert.rejects(client.nextEvent(1, signal), CliError);
  const stopped = AbortSignal.abort();
  const { client: other } = await startServer(t, [{ status: 503, body: { title: 'x' } }]);
  assert.equal(await other.nextEvent(60_000, stopped), false);
});
