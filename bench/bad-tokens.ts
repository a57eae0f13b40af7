/**
 * A flood of bad API tokens: 10,000 a second from one process over HTTPS, while another one measures good calls.
 * `node bench/bad-tokens.ts [seconds]`; three processes, so that each has its own event loop.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { Agent, request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type TLSSocket } from 'node:tls';
import { pino } from 'pino';
import { createAdminApp } from '../functions/admin/app.ts';
import { createGate, refusalOf } from '../functions/admin/bad-credentials.ts';
import { adminRoutes } from '../functions/admin/routes.ts';
import { serveHttps } from '../functions/identity/https.ts';
import { createApiToken } from '../lib/access/api-tokens.ts';
import { createAuthenticate } from '../lib/access/authenticate.ts';
import { localAdminCaller } from '../lib/access/caller.ts';
import { formatApiToken } from '../lib/access/token-format.ts';
import { createUser } from '../lib/access/users.ts';
import { openAuditWriter } from '../lib/audit/writer.ts';
import { openSqliteStore } from '../lib/store/sqlite.ts';
import { createFakeSealer } from '../test/fakes/access.ts';
import { createLoopbackTls } from '../test/fakes/loopback-tls.ts';

const perSecond = 10_000;
/** Sent ahead on few connections; `patient` waits for each answer, on many. */
const connections = { malformed: 16, unknown: 16, patient: 400 } as const;
const tickMs = 2;

type Ready = { readonly port: number; readonly token: string; readonly ca: string };
type Kind = keyof typeof connections;

const [role, ...rest] = process.argv.slice(2);
if (role === 'server') await serve();
else if (role === 'flood') await flood(JSON.parse(rest[0] ?? '{}'));
else await measure(Number(role ?? 30));

async function measure(seconds: number): Promise<void> {
  const server = fork(import.meta.filename, ['server'], { stdio: 'inherit' });
  const ready = (await next(server)) as Ready;
  const good = createCaller(ready);
  await timeCalls(good, 2_000);
  const quiet = await timeCalls(good, seconds * 1000);
  const floods: Record<string, object> = {};
  for (const kind of ['malformed', 'unknown', 'patient'] as const) {
    server.send('reset');
    await next(server);
    const flooder = fork(import.meta.filename, ['flood', JSON.stringify({ ...ready, kind, seconds })], {
      stdio: 'inherit',
    });
    // Its start-up is no part of the flood; its connections are.
    await next(flooder);
    const flooded = next(flooder);
    const during = await timeCalls(good, seconds * 1000);
    const { answered, sent, handshakes } = (await flooded) as { answered: number; sent: number; handshakes: number };
    server.send('counts');
    const counts = (await next(server)) as { reads: number; loopDelayP99Ms: number; cpuMs: number };
    floods[kind] = {
      sentPerSecond: Math.round(sent / seconds),
      answeredPerSecond: Math.round(answered / seconds),
      handshakesPerSecond: Math.round(handshakes / seconds),
      goodP50Ms: during.p50,
      goodP99Ms: during.p99,
      p99Ratio: round(during.p99 / quiet.p99),
      // The good calls read the token and its owner.
      readsPerSentToken: round(Math.max(0, counts.reads - 2 * during.calls) / sent),
      serverLoopDelayP99Ms: counts.loopDelayP99Ms,
      // Of one core: what does not depend on who else uses the machine.
      serverCpu: round(counts.cpuMs / 1000 / seconds),
    };
  }
  process.stdout.write(
    `${JSON.stringify({ bench: 'bad-tokens', seconds, quietP50Ms: quiet.p50, quietP99Ms: quiet.p99, ...floods })}\n`,
  );
  good.close();
  server.kill();
}

async function serve(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-bench-'));
  process.on('SIGTERM', () => rm(directory, { recursive: true, force: true }).then(() => process.exit(0)));
  const now = Date.now;
  const store = openSqliteStore(join(directory, 'store.sqlite'), { now });
  const audit = await openAuditWriter({ store, origin: 'holdfast.local/bench', writerId: 'bench', now });
  let reads = 0;
  const counting = {
    ...store,
    get: (key: Parameters<typeof store.get>[0]) => {
      reads += 1;
      return store.get(key);
    },
  };
  const owner = await createUser(
    { store, audit, now },
    { name: 'bench', role: 'viewer', actor: localAdminCaller.principal },
  );
  const { token } = await createApiToken({ store, audit, now }, { name: 'b', owner, caller: localAdminCaller });
  const routes = adminRoutes({
    ...{ store: counting, audit, now, version: '0', startedAt: 0, pin: new Uint8Array(32), url: () => '' },
    release: () => undefined,
    descriptor: { fleet: 'bench', log: { origin: 'holdfast.local/bench', key: '' } },
    publication: { read: async () => undefined },
  } as unknown as Parameters<typeof adminRoutes>[0]);
  const app = createAdminApp(
    {
      ...{ store: counting, audit, now, sealer: createFakeSealer(), logger: pino({ level: 'silent' }) },
      authenticate: createAuthenticate({ store: counting, now, method: 'basic' }),
    },
    routes,
  );
  const tls = await createLoopbackTls();
  const listener = await serveHttps({
    app,
    tls,
    host: '127.0.0.1',
    port: 0,
    gate: createGate({ audit }, await refusalOf(app)),
  });
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  let cpu = process.cpuUsage();
  process.on('message', (message) => {
    if (message === 'reset') {
      reads = 0;
      delay.reset();
      cpu = process.cpuUsage();
      process.send?.({});
    } else {
      const { user, system } = process.cpuUsage(cpu);
      process.send?.({ reads, loopDelayP99Ms: round(delay.percentile(99) / 1e6), cpuMs: (user + system) / 1000 });
    }
  });
  process.send?.({ port: listener.port, token, ca: tls.ca } satisfies Ready);
}

/** Requests without waiting for answers, so that a slow server is not spared; or patiently, on many connections. */
async function flood({ port, ca, kind, seconds }: Ready & { kind: Kind; seconds: number }): Promise<void> {
  const counts = { answered: 0, sent: 0, handshakes: 0 };
  let isOver = false;
  const sockets: TLSSocket[] = [];
  const isWaiting: boolean[] = [];
  const open = (at: number) => {
    const socket = connect({ host: '127.0.0.1', port, ca, minVersion: 'TLSv1.3' });
    sockets[at] = socket;
    counts.handshakes += 1;
    isWaiting[at] = false;
    socket.on('data', (chunk: Buffer) => {
      isWaiting[at] = false;
      counts.answered += chunk.toString('latin1').split('HTTP/1.1 401').length - 1;
    });
    // The server closes connections that bring nothing but bad credentials; the flood goes on with new ones.
    socket.on('error', () => undefined);
    socket.on('close', () => !isOver && open(at));
  };
  process.send?.('ready');
  for (let at = 0; at < connections[kind]; at++) open(at);
  let turn = 0;
  const end = performance.now() + seconds * 1000;
  for (let due = performance.now(); performance.now() < end; due += tickMs) {
    for (let i = 0; i < (perSecond * tickMs) / 1000; i++) {
      turn = (turn + 1) % connections[kind];
      const socket = sockets[turn];
      if (kind === 'patient' && (isWaiting[turn] || socket?.getProtocol() === null)) continue;
      counts.sent += 1;
      isWaiting[turn] = true;
      if (socket?.writable) socket.write(badRequest(kind));
    }
    await sleep(Math.max(0, due + tickMs - performance.now()));
  }
  isOver = true;
  process.send?.(counts);
  for (const socket of sockets) socket.destroy();
  process.disconnect();
}

function badRequest(kind: Kind): string {
  const token = formatApiToken(randomBytes(32));
  const sent = kind !== 'malformed' ? token : `${token.slice(0, -6)}000000`;
  return `GET /v1/whoami HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer ${sent}\r\n\r\n`;
}

function createCaller({ port, token, ca }: Ready) {
  const agent = new Agent({ keepAlive: true, ca, minVersion: 'TLSv1.3' });
  const headers = { authorization: `Bearer ${token}` };
  return {
    call: () =>
      new Promise<number>((resolve, reject) => {
        const started = performance.now();
        request({ host: '127.0.0.1', port, path: '/v1/whoami', agent, headers }, (response) => {
          if (response.statusCode !== 200) reject(new Error(`a good call got ${response.statusCode}`));
          response.resume().on('end', () => resolve(performance.now() - started));
        })
          .on('error', reject)
          .end();
      }),
    close: () => agent.destroy(),
  };
}

async function timeCalls(good: ReturnType<typeof createCaller>, ms: number) {
  const times: number[] = [];
  for (const end = performance.now() + ms; performance.now() < end; await sleep(10)) times.push(await good.call());
  times.sort((a, b) => a - b);
  const at = (share: number) => round(times[Math.floor(times.length * share)] ?? 0);
  return { calls: times.length, p50: at(0.5), p99: at(0.99) };
}

function next(child: ChildProcess): Promise<unknown> {
  return new Promise((resolve) => child.once('message', resolve));
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
