/**
 * R52: the herd. Agents, each with the daemon's own loop and a held mTLS session, lose their gateway, back off to the full
 * while it is away, and come back. Prints one line of JSON: how long until all are back, how often they tried, what the
 * gateway's CPU and event loop did, and whether any certificate was refused.
 *
 *   node bench/herd.ts [agents] [speed] [outage in minutes]
 *
 * Clocks of the agents run `speed` times as fast, so that a few thousand connections and a minute of a bench load the
 * gateway as `agents` × `speed` agents would in as many minutes: 1,000 at 10 are the arrivals of 10,000. The gateway's own
 * clock, its handshakes and its signature checks are real.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { create } from '@bufbuild/protobuf';
import { type DaemonDeps, runDaemon } from '../agent/daemon.ts';
import { openHeldRelease } from '../agent/held-release.ts';
import { openSession } from '../agent/session.ts';
import { openStateDirectory } from '../agent/state.ts';
import { privateKeyFromPem } from '../lib/crypto/ed25519.ts';
import { RunReportSchema } from '../lib/wire/gen/holdfast/agent/v1/gateway_pb.ts';
import { createAgentFleet, factsSource, node as identityOfNode, logger } from '../test/fakes/agent.ts';
import { createGatewayFleet, type TestNode } from '../test/fakes/gateway-fleet.ts';
import { handlerSpy } from '../test/fakes/handler-spy.ts';

type Client = { uuid: string; identityPem: string; keyPem: string; certDer: string };
type Order = { port: number; authorityDer: string; speed: number; clients: Client[] };
/** From the herd: who is connected, and every attempt to connect. */
type Tally = { connected: number; attempts: number; checkedIn: number; renewals: number };

if (process.send) process.once('message', (order: Order) => void runHerd(order));
else await runGateway(Number(process.argv[2] ?? 1000), Number(process.argv[3] ?? 10), Number(process.argv[4] ?? 6));

async function runGateway(agents: number, speed: number, outageMinutes: number): Promise<void> {
  const spy = handlerSpy();
  // All come from one address here; on a network, none does.
  const fleet = await createGatewayFleet({ instrument: spy.instrument });
  const nodes: TestNode[] = [];
  for (let index = 0; index < agents; index += 1) nodes.push(await fleet.addNode());
  const herd = fork(new URL(import.meta.url));
  herd.send({
    port: fleet.gateway.address.port,
    authorityDer: Buffer.from(fleet.authority.der).toString('base64'),
    speed,
    clients: nodes.map(forClient),
  } satisfies Order);
  const rssBefore = process.memoryUsage.rss();
  await until(herd, ({ checkedIn }) => checkedIn === agents);
  const rssKb = Math.round((process.memoryUsage.rss() - rssBefore) / agents / 1024);

  await fleet.gateway.close();
  await sleep((outageMinutes * 60_000) / speed);
  const away = await tally(herd);
  if (away.connected !== 0) throw new Error(`${away.connected} sessions outlived the outage`);

  const second = await fleet.secondGateway();
  const delay = monitorEventLoopDelay({ resolution: 10 });
  delay.enable();
  const servedBefore = spy.handled;
  const cpu = process.cpuUsage();
  const load = watchCpu();
  const startedAt = performance.now();
  herd.send({ port: second.gateway.address.port });
  const back = await until(herd, ({ checkedIn }) => checkedIn === agents);
  const seconds = (performance.now() - startedAt) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  const busiest = load.stop();
  delay.disable();
  if (second.gateway.connections !== agents)
    throw new Error(`${second.gateway.connections} of ${agents} are connected`);
  if (spy.handled - servedBefore < agents) throw new Error('The gateway did not serve what the herd says it got');
  herd.disconnect();
  await once(herd, 'exit');
  await second.close();
  await fleet.directory.close();
  await fleet.store.close();
  const line = {
    bench: 'herd',
    machine: `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}`,
    node: process.version,
    agents,
    speed,
    arrivalsOf: agents * speed,
    outageMinutes,
    allBackAfterMinutes: round((seconds * speed) / 60),
    arrivalsPerSecond: round(agents / seconds),
    attemptsPerAgent: round((back.attempts - away.attempts) / agents),
    certificatesRefused: back.renewals,
    gatewayCpuShare: round((user + system) / 1e6 / seconds),
    gatewayCpuShareBusiestSecond: round(busiest),
    eventLoopDelayP99Ms: round(delay.percentile(99) / 1e6),
    rssKbPerSession: rssKb,
  };
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

function watchCpu(): { stop(): number } {
  let busiest = 0;
  let [used, at] = [process.cpuUsage(), performance.now()];
  const timer = setInterval(() => {
    const { user, system } = process.cpuUsage(used);
    busiest = Math.max(busiest, (user + system) / 1000 / (performance.now() - at));
    [used, at] = [process.cpuUsage(), performance.now()];
  }, 1000);
  return {
    stop() {
      clearInterval(timer);
      return busiest;
    },
  };
}

async function tally(herd: ChildProcess): Promise<Tally> {
  herd.send({ tally: true });
  const [answer] = (await once(herd, 'message')) as [Tally];
  return answer;
}

async function until(herd: ChildProcess, holds: (tally: Tally) => boolean): Promise<Tally> {
  for (;;) {
    const now = await tally(herd);
    if (holds(now)) return now;
    await sleep(50);
  }
}

/** The other process: every agent with its own daemon, connection and key. */
async function runHerd({ port: first, authorityDer, speed, clients }: Order): Promise<void> {
  let port = first;
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-herd-'));
  const state = await openStateDirectory(join(directory, 'state'), { create: true });
  const fleet = createAgentFleet();
  const stop = new AbortController();
  const count = { attempts: 0, renewals: 0 };
  /** Those that were answered since the gateway last changed. */
  const checkedIn = new Set<string>();
  let connected = 0;
  const startedAt = Date.now();
  const now = () => startedAt + (Date.now() - startedAt) * speed;
  const report = create(RunReportSchema, {});

  const daemons = clients.map(({ uuid, identityPem, keyPem, certDer }) => {
    const deps: DaemonDeps = {
      held: openHeldRelease(state, fleet.trust, identityOfNode),
      // What runs report is another bench's; nothing waits here.
      queue: { add: async () => undefined, flush: async () => 0, size: async () => 0 },
      facts: factsSource(),
      agentVersion: '1.0.0',
      logger,
      now,
      runId: () => uuid,
      random: Math.random,
      async connect(onPush) {
        count.attempts += 1;
        const session = await openSession({
          gateway: `127.0.0.1:${port}`,
          fleet: 'test-fleet',
          identity: { uuid, privateKey: privateKeyFromPem(identityPem) },
          tls: { keyPem, certDer: Buffer.from(certDer, 'base64'), authorityDer: Buffer.from(authorityDer, 'base64') },
          onPush,
        });
        connected += 1;
        void session.ended.then(() => {
          connected -= 1;
          checkedIn.delete(uuid);
        });
        return {
          ...session,
          async checkIn(held) {
            const answer = await session.checkIn(held);
            checkedIn.add(uuid);
            return answer;
          },
        };
      },
      // Asked for when the gateway refuses a certificate; none should be.
      async renew() {
        count.renewals += 1;
        return 'unreachable';
      },
      converge: async () => ({ report, outcomes: [], error: '' }),
      async sleep(ms, signal) {
        await sleep(ms / speed, undefined, { signal }).catch(() => undefined);
      },
    };
    return runDaemon(deps, { stop: stop.signal, convergeIntervalMs: 86_400_000 });
  });
  process.on('message', (message: { port?: number; tally?: boolean }) => {
    if (message.port !== undefined) port = message.port;
    if (message.tally) process.send?.({ connected, checkedIn: checkedIn.size, ...count } satisfies Tally);
  });
  await once(process, 'disconnect');
  stop.abort();
  await Promise.allSettled(daemons);
  await rm(directory, { recursive: true, force: true });
  process.exit(0);
}

function forClient({ uuid, identity, keyPem, certDer }: TestNode): Client {
  const identityPem = identity.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  return { uuid, identityPem, keyPem, certDer: Buffer.from(certDer).toString('base64') };
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
