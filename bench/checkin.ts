/**
 * The hot path: signed check-ins over held mTLS connections, "no change". Prints one line of JSON: CPU of the server
 * process per check-in, and beside it that of a bare TLS echo of the same messages in the same run. It first proves
 * that signatures are verified, and at the end that the server served exactly what was asked. Then latencies at half of
 * that rate, and the server's memory for each connected node.
 *
 *   node bench/checkin.ts [connections] [check-ins per connection]
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { cpus } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, createSecureContext, createServer, type TLSSocket } from 'node:tls';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { openSession, type Session } from '../agent/session.ts';
import { generateEd25519 } from '../lib/crypto/ed25519.ts';
import { pemEncode } from '../lib/crypto/x509.ts';
import { createGatewayFleet, type GatewayFleet, issueGateway, type TestNode } from '../test/fakes/gateway-fleet.ts';
import { handlerSpy } from '../test/fakes/handler-spy.ts';

/** A node, as the client process needs it; bytes are base64. */
type Client = { uuid: string; identityPem: string; keyPem: string; certDer: string };
type Order = { port: number; echoPort: number; authorityDer: string; clients: Client[]; rounds: number };

if (process.send) process.once('message', (order: Order) => void runClient(order));
else await runServer(Number(process.argv[2] ?? 1000), Number(process.argv[3] ?? 20));

async function runServer(connections: number, rounds: number): Promise<void> {
  const spy = handlerSpy();
  const fleet = await createGatewayFleet({ instrument: spy.instrument });
  const nodes: TestNode[] = [];
  for (let index = 0; index < connections; index++) nodes.push(await fleet.addNode());
  await proveThatSignaturesAreVerified(fleet, nodes[0]!);
  const echo = await startEcho(fleet);

  const child = fork(new URL(import.meta.url));
  const order: Order = {
    port: fleet.gateway.address.port,
    echoPort: echo.port,
    authorityDer: Buffer.from(fleet.authority.der).toString('base64'),
    clients: nodes.map(forClient),
    rounds,
  };
  collect();
  const rssBefore = process.memoryUsage.rss();
  child.send(order);
  await phase(child, 'connected');
  collect();
  const rssPerNode = (process.memoryUsage.rss() - rssBefore) / connections;
  const servedBefore = spy.handled;
  const checkIns = await measure(child, 'check-ins');
  const served = spy.handled - servedBefore;
  if (served !== connections * rounds) throw new Error(`${served} served of ${connections * rounds}`);
  const perSecond = Math.round((served / checkIns.wallMs) * 1000);
  child.send({ go: 'half load', perSecond: perSecond / 2 });
  const { latenciesMs } = await phase(child, 'half load');
  const paced = spy.handled - servedBefore - served;
  if (paced !== latenciesMs?.length) throw new Error(`${paced} served of ${latenciesMs?.length}`);
  const floor = await measure(child, 'echo');
  child.disconnect();
  echo.close();
  await fleet.close();

  const perCheckIn = checkIns.cpuUs / served;
  const perEcho = floor.cpuUs / served;
  const line = {
    bench: 'checkin',
    machine: `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}`,
    node: process.version,
    connections,
    checkIns: served,
    cpuUsPerCheckIn: round(perCheckIn),
    checkInsPerSecond: perSecond,
    atHalfLoad: {
      perSecond: Math.round(perSecond / 2),
      p50Ms: round(quantile(latenciesMs, 0.5)),
      p99Ms: round(quantile(latenciesMs, 0.99)),
    },
    rssKbPerNode: Math.round(rssPerNode / 1024),
    cpuUsPerTlsEcho: round(perEcho),
    ratioToFloor: round(perCheckIn / perEcho),
  };
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

async function proveThatSignaturesAreVerified(fleet: GatewayFleet, node: TestNode): Promise<void> {
  const forged = await openSession(fleet.sessionOptions({ ...node, identity: generateEd25519() }));
  const outcome = await forged.checkIn({ agentVersion: '1.0.0' }).catch((error: { code?: string }) => error.code);
  if (outcome !== 'unauthenticated') throw new Error('A forged signature was accepted: nothing was measured');
}

/** CPU of this process from the go-ahead to the end of a phase that the client drives. */
async function measure(child: ChildProcess, name: string): Promise<{ cpuUs: number; wallMs: number }> {
  const started = process.cpuUsage();
  const startedAt = performance.now();
  child.send({ go: name });
  await phase(child, name);
  const { user, system } = process.cpuUsage(started);
  return { cpuUs: user + system, wallMs: performance.now() - startedAt };
}

type Done = { readonly done: string; readonly latenciesMs?: readonly number[] };

async function phase(child: ChildProcess, name: string): Promise<Done> {
  const [message] = (await once(child, 'message')) as [Done];
  if (message.done !== name) throw new Error(`The client is at ${message.done}, not at ${name}`);
  return message;
}

/** So that memory is what is held, and not what was left behind. */
function collect(): void {
  setFlagsFromString('--expose-gc');
  runInNewContext('gc')();
}

async function startEcho({ authority }: GatewayFleet): Promise<{ port: number; close(): void }> {
  const { keyPem, certDer } = await issueGateway(authority);
  const options = { key: keyPem, cert: pemEncode('CERTIFICATE', certDer), minVersion: 'TLSv1.3' } as const;
  const server = createServer(options, (socket) => {
    socket.setNoDelay(true);
    socket.on('data', (data) => socket.write(data));
    socket.on('error', () => socket.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { port: (server.address() as { port: number }).port, close: () => server.close() };
}

async function runClient(order: Order): Promise<void> {
  const { privateKeyFromPem } = await import('../lib/crypto/ed25519.ts');
  const authorityDer = Buffer.from(order.authorityDer, 'base64');
  const sessions: Session[] = [];
  for (const { uuid, identityPem, keyPem, certDer } of order.clients) {
    const options = {
      gateway: `127.0.0.1:${order.port}`,
      fleet: 'test-fleet',
      identity: { uuid, privateKey: privateKeyFromPem(identityPem) },
      tls: { keyPem, certDer: Buffer.from(certDer, 'base64'), authorityDer },
    };
    const session = await openSession(options);
    await session.checkIn({ agentVersion: '1.0.0' });
    sessions.push(session);
  }
  process.send?.({ done: 'connected' });
  await once(process, 'message');
  await Promise.all(
    sessions.map(async (session) => {
      for (let round = 0; round < order.rounds; round++) await session.checkIn({ agentVersion: '1.0.0' });
    }),
  );
  process.send?.({ done: 'check-ins' });
  const [{ perSecond }] = (await once(process, 'message')) as [{ perSecond: number }];
  process.send?.({ done: 'half load', latenciesMs: await pacedCheckIns(sessions, perSecond) });
  for (const session of sessions) session.close();
  await once(process, 'message');
  const sockets = await Promise.all(order.clients.map(() => openEcho(order.echoPort, authorityDer)));
  await Promise.all(sockets.map((socket) => echoRounds(socket, order.rounds)));
  for (const socket of sockets) socket.destroy();
  process.send?.({ done: 'echo' });
  process.once('disconnect', () => process.exit(0));
}

/** Check-ins of all sessions in turn at a rate, for three seconds; counted from when each was due, so that no queue hides. */
async function pacedCheckIns(sessions: readonly Session[], perSecond: number): Promise<number[]> {
  const total = Math.round(3 * perSecond);
  const startedAt = performance.now();
  const latenciesMs: number[] = [];
  const pending: Promise<void>[] = [];
  for (let sent = 0; sent < total; ) {
    const due = Math.min(total, Math.floor(((performance.now() - startedAt) / 1000) * perSecond));
    for (; sent < due; sent++) {
      const dueAt = startedAt + (sent / perSecond) * 1000;
      const session = sessions[sent % sessions.length]!;
      const done = session.checkIn({ agentVersion: '1.0.0' });
      pending.push(done.then(() => void latenciesMs.push(performance.now() - dueAt)));
    }
    await sleep(1);
  }
  await Promise.all(pending);
  return latenciesMs;
}

async function openEcho(port: number, authorityDer: Uint8Array): Promise<TLSSocket> {
  const secureContext = createSecureContext({ ca: pemEncode('CERTIFICATE', authorityDer), minVersion: 'TLSv1.3' });
  const socket = connect({ host: '127.0.0.1', port, secureContext, checkServerIdentity: () => undefined });
  await once(socket, 'secureConnect');
  return socket;
}

async function echoRounds(socket: TLSSocket, rounds: number): Promise<void> {
  const message = Buffer.alloc(100, 1);
  for (let round = 0; round < rounds; round++) {
    const answer = once(socket, 'data');
    socket.write(message);
    await answer;
  }
}

function forClient({ uuid, identity, keyPem, certDer }: TestNode): Client {
  const identityPem = identity.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
  return { uuid, identityPem, keyPem, certDer: Buffer.from(certDer).toString('base64') };
}

function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
