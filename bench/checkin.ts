/**
 * The hot path: signed check-ins over held mTLS connections, "no change". Prints one line of JSON: CPU of the server
 * process per check-in, and beside it that of a bare TLS echo of the same messages in the same run. It first proves
 * that signatures are verified, and at the end that the server served exactly what was asked.
 *
 *   node bench/checkin.ts [connections] [check-ins per connection]
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { cpus } from 'node:os';
import { connect, createSecureContext, createServer, type TLSSocket } from 'node:tls';
import { openSession, type Session } from '../agent/session.ts';
import { generateEd25519 } from '../lib/crypto/ed25519.ts';
import { pemEncode } from '../lib/crypto/x509.ts';
import { createGatewayFleet, type GatewayFleet, issueGateway, type TestNode } from '../test/fakes/gateway-fleet.ts';
import { handlerSpy } from '../test/fakes/handler-spy.ts';

/** A node, as the client process needs it; bytes are base64. */
type Client = { uuid: string; identityPem: string; keyPem: string; certDer: string };
type Order = { port: number; echoPort: number; authorityDer: string; clients: Client[]; rounds: number };

if (process.send) process.once('message', (order: Order) => void runClient(order));
else await runServer(Number(process.argv[2] ?? 200), Number(process.argv[3] ?? 50));

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
  child.send(order);
  await phase(child, 'connected');
  const servedBefore = spy.handled;
  const checkIns = await measure(child, 'check-ins');
  const served = spy.handled - servedBefore;
  if (served !== connections * rounds) throw new Error(`${served} served of ${connections * rounds}`);
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
    checkInsPerSecond: Math.round((served / checkIns.wallMs) * 1000),
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

async function phase(child: ChildProcess, name: string): Promise<void> {
  const [message] = (await once(child, 'message')) as [{ done: string }];
  if (message.done !== name) throw new Error(`The client is at ${message.done}, not at ${name}`);
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
  for (const session of sessions) session.close();
  await once(process, 'message');
  const sockets = await Promise.all(order.clients.map(() => openEcho(order.echoPort, authorityDer)));
  await Promise.all(sockets.map((socket) => echoRounds(socket, order.rounds)));
  for (const socket of sockets) socket.destroy();
  process.send?.({ done: 'echo' });
  process.once('disconnect', () => process.exit(0));
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

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
