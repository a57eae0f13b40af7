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
