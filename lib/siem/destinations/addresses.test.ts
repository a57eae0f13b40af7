/** R32: no kind of destination sends a byte to an address that it may not have, however that is written. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { ZodError } from 'zod';
import { loopbackHosts, neverHosts, privateHosts } from '../../../test/fakes/forbidden-hosts.ts';
import { createLoopbackTls } from '../../../test/fakes/loopback-tls.ts';
import { batchOf, logins } from '../../../test/fakes/siem-events.ts';
import { type RunningKind, runningKinds } from '../../../test/fakes/siem-kinds.ts';
import { addressRule } from '../addresses.ts';
import type { SendResult } from '../destination.ts';

/** Both loopback addresses on one port, and how often anybody came. */
async function listeners(t: TestContext) {
  let connections = 0;
  const listen = (host: string, port: number) =>
    new Promise<AddressInfo>((done, fail) => {
      const server = createServer((socket) => {
        connections += 1;
        socket.destroy();
      });
      server.once('error', fail).listen(port, host, () => done(server.address() as AddressInfo));
      t.after(() => server.close());
    });
  const { port } = await listen('127.0.0.1', 0);
  // A machine without IPv6 has nothing there to come to.
  await listen('::1', port).catch(() => undefined);
  return { port, connections: () => connections };
}

/** What comes of one batch; undefined when the configuration is refused already. */
async function resultOf(kind: RunningKind, base: string, allow: readonly string[]): Promise<SendResult | undefined> {
  let destination: ReturnType<RunningKind['open']>;
  try {
    destination = kind.open(base, { allow, pins: [] });
  } catch (error) {
    assert.ok(error instanceof ZodError, `${base}: ${error}`);
    return undefined;
  }
  try {
    return await destination.send(batchOf(logins(1)), kind.credentials, AbortSignal.timeout(10_000));
  } finally {
    await destination.close();
  }
}

const everything = ['0.0.0.0/0', '::/0'];
const denied: SendResult = { kind: 'config', reason: 'address_denied' };

for (const [name, kind] of Object.entries(runningKinds)) {
  test(`R32 ${name}: every way to write this machine is refused before a connection`, async (t) => {
    const { port, connections } = await listeners(t);
    let tried = 0;
    for (const host of loopbackHosts) {
      const result = await resultOf(kind, `https://${host}:${port}`, []);
      if (result === undefined) continue;
      assert.deepEqual(result, denied, host);
      tried += 1;
    }
    assert.ok(tried > 10, `${tried} came past the configuration`);
    assert.equal(connections(), 0);
  });

  test(`incident 33: ${name}: private networks unless allowed, metadata and link-local even then`, async () => {
    for (const [hosts, allow] of [
      [privateHosts, []],
      [neverHosts, []],
      [neverHosts, everything],
    ] as const) {
      for (const host of hosts) {
        // Nothing is to go out, not even from a test that fails.
        assert.equal(addressRule(allow)(new URL(`https://${host}`).hostname.replace(/\.$/, '')), false, host);
        const result = await resultOf(kind, `https://${host}:443`, allow);
        if (result !== undefined) assert.deepEqual(result, denied, host);
      }
    }
  });
}

test('what is allowed may be reached, so the refusals are not for want of a way', async (t) => {
  const tls = await createLoopbackTls();
  for (const [name, kind] of Object.entries(runningKinds)) {
    const receiver = await kind.start(tls);
    t.after(receiver.close);
    const destination = kind.open(`https://127.0.0.1:${receiver.port}`, {
      allow: ['127.0.0.1/32'],
      ca: tls.ca,
      pins: [],
    });
    t.after(() => destination.close());
    const { kind: result } = await destination.send(batchOf(logins(1)), kind.credentials, AbortSignal.timeout(10_000));
    assert.ok(result === 'delivered' || result === 'pending', name);
  }
});

test('no destination has a way of its own to the network', () => {
  const own = /^import (?!type ).*from 'node:(?:net|tls|http|https|http2|dns|dgram|child_process|worker_threads)'/m;
  const folder = new URL('./', import.meta.url);
  const files = readdirSync(folder).filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'));
  assert.ok(files.length > 10);
  for (const file of files) {
    const text = readFileSync(new URL(file, folder), 'utf8').replaceAll(/\{ type (\w+) \}/g, 'type $1');
    assert.doesNotMatch(text, own, file);
    assert.doesNotMatch(text, /\bfetch\(|WebSocket|import\(/, file);
  }
});

test('R32 variables of the environment that name a proxy are not followed', async (t) => {
  const { port: proxy, connections } = await listeners(t);
  const tls = await createLoopbackTls();
  const kind = runningKinds['webhook']!;
  const receiver = await kind.start(tls);
  t.after(receiver.close);
  const script = `
    const { runningKinds } = await import(${JSON.stringify(new URL('../../../test/fakes/siem-kinds.ts', import.meta.url).href)});
    const { batchOf, logins } = await import(${JSON.stringify(new URL('../../../test/fakes/siem-events.ts', import.meta.url).href)});
    const { open, credentials } = runningKinds.webhook;
    const network = { allow: ['127.0.0.0/8'], ca: process.env.TEST_CA, pins: [] };
    const destination = open('https://127.0.0.1:${receiver.port}', network);
    console.log((await destination.send(batchOf(logins(1)), credentials, AbortSignal.timeout(10_000))).kind);
    await destination.close();
  `;
  const names = ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy', 'ALL_PROXY', 'all_proxy'];
  const env = {
    ...Object.fromEntries(names.map((name) => [name, `http://127.0.0.1:${proxy}`])),
    ...{ NODE_USE_ENV_PROXY: '1', NO_PROXY: '', TEST_CA: tls.ca, PATH: process.env['PATH'] },
  };
  const args = ['--input-type=module', '--eval', script];
  const { stdout } = await promisify(execFile)(process.execPath, args, { env, timeout: 30_000 });
  assert.equal(stdout.trim(), 'delivered');
  assert.equal(connections(), 0);
  assert.equal(receiver.taken().length, 1);
});
