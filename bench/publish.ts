/**
 * How soon a publish reaches connected nodes: a whole control plane on loopback, and agents that joined it, each with the
 * daemon's own loop, a held mTLS session and a state directory. Prints one line of JSON: the time from the publish
 * request to when a node has verified the release and holds it on disk, and to when it has applied it. At the end each
 * node must hold each release that was published, by its digest, and have heard of it long before its next check-in.
 *
 *   node bench/publish.ts [sessions] [publishes]
 *
 * All agents run in one process beside the server, on its cores and its disk, and apply one after the other.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { pino } from 'pino';
import { openAgent } from '../agent/compose.ts';
import { runDaemon } from '../agent/daemon.ts';
import { join as joinFleet } from '../agent/join.ts';
import { type Client, openClient } from '../cli/client.ts';
import { readOwn } from '../cli/fleet.ts';
import { buildNext, uploadBlobs } from '../cli/release.ts';
import { signWithKeys } from '../cli/sign.ts';
import type { NodeView } from '../functions/admin/routes/nodes.ts';
import type { PublishedView } from '../functions/admin/routes/releases.ts';
import type { MintedToken } from '../functions/admin/routes/tokens.ts';
import { defaultLimits } from '../functions/gateway/limits.ts';
import { startStandalone } from '../functions/standalone/compose.ts';
import { generateEd25519 } from '../lib/crypto/ed25519.ts';
import { formatSshPrivateKey, formatSshPublicKey, sshPublicKeyOf } from '../lib/crypto/ssh-key.ts';

type Order = { readonly server: string; readonly directory: string; readonly tokens: readonly string[] };
/** From the agents; `at` by the clock that both processes share. */
type Told = {
  readonly what: 'held' | 'applied';
  readonly number: number;
  readonly digest: string;
  readonly at: number;
};

const logger = pino({ level: 'silent' });

if (process.send) process.once('message', (order: Order) => void runAgents(order));
else await runServer(Number(process.argv[2] ?? 50), Number(process.argv[3] ?? 20));

async function runServer(sessions: number, publishes: number): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-publish-'));
  const keyFile = join(directory, 'operator');
  const { privateKey, publicKey } = generateEd25519();
  await writeFile(keyFile, formatSshPrivateKey({ privateKey }), { mode: 0o600 });
  const state = join(directory, 'state');
  const server = await startStandalone({
    stateDirectory: state,
    version: '0.0.0',
    logger,
    founding: { name: 'bench', operatorKeys: [formatSshPublicKey(sshPublicKeyOf(publicKey))], threshold: 1 },
  });
  const client = await openClient(state);
  const tokens: string[] = [];
  for (let index = 0; index < sessions; index += 1) {
    tokens.push((await client.post<MintedToken>('/v1/tokens', { labels: { role: 'bench' } })).token);
  }
  const agents = fork(new URL(import.meta.url));
  const told: Told[] = [];
  agents.on('message', (message: Told) => told.push(message));
  agents.send({ server: server.url, directory, tokens } satisfies Order);
  await until(
    async () => (await nodesOf(client)).filter(({ connected, seen }) => connected && seen).length === sessions,
  );

  const own = await readOwn(server.paths.operatorFleet);
  const [heldMs, appliedMs, answeredMs]: [number[], number[], number[]] = [[], [], []];
  for (let publish = 1; publish <= publishes; publish += 1) {
    const built = await buildNext(client, own, await writePolicy(directory, publish));
    await uploadBlobs(client, built.blobs);
    const body = {
      manifest: Buffer.from(built.manifest).toString('base64url'),
      signatures: await signWithKeys(built.manifest, [keyFile]),
    };
    const began = clock();
    const { number, digest } = await client.post<PublishedView>('/v1/releases', body);
    answeredMs.push(clock() - began);
    const of = (what: Told['what']) => told.filter((one) => one.what === what && one.number === number);
    await until(async () => of('applied').length >= sessions);
    if (of('held').length !== sessions || of('held').some((one) => one.digest !== digest))
      throw new Error(`${of('held').length} of ${sessions} nodes hold release ${number} as it was published`);
    heldMs.push(...of('held').map(({ at }) => at - began));
    appliedMs.push(...of('applied').map(({ at }) => at - began));
  }
  if (Math.max(...heldMs) > defaultLimits.checkInIntervalMs / 4)
    throw new Error('A node waited so long that it may have asked by itself: the push was not measured');
  agents.disconnect();
  await once(agents, 'exit');
  client.close();
  await server.close();
  await rm(directory, { recursive: true, force: true });
  const line = {
    bench: 'publish',
    machine: `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}`,
    node: process.version,
    sessions,
    publishes,
    spreadMs: defaultLimits.pushSpreadMs,
    publishAnsweredMs: quantiles(answeredMs),
    heldByNodeMs: quantiles(heldMs),
    appliedByNodeMs: quantiles(appliedMs),
  };
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

/** A crate that differs from publish to publish, and finds each machine as it should be. */
async function writePolicy(directory: string, publish: number): Promise<string> {
  const policy = join(directory, 'policy');
  await mkdir(join(policy, 'crates'), { recursive: true });
  await writeFile(
    join(policy, 'holdfast.yaml'),
    'bindings:\n  - match: { labels: { role: bench } }\n    crates: [base]\n',
  );
  const absent = `  - file: { path: ${join(directory, `absent-${publish}`)}, state: absent }\n`;
  await writeFile(join(policy, 'crates', 'base.yaml'), `crate: base\nresources:\n${absent}`);
  return policy;
}

async function nodesOf(client: Client): Promise<readonly NodeView[]> {
  return (await client.get<{ items: readonly NodeView[] }>('/v1/nodes', { limit: 500 })).items;
}

/** In the other process: agents that join, hold their sessions and follow releases. */
async function runAgents({ server, directory, tokens }: Order): Promise<void> {
  const stop = new AbortController();
  await Promise.all(
    tokens.map(async (token, index) => {
      const stateDirectory = join(directory, `node-${index}`);
      const hostname = `node-${index}`;
      await joinFleet({ server, token, stateDir: stateDirectory, hostname, version: '0.0.0', now: Date.now });
      const agent = await openAgent({ stateDirectory, agentVersion: '0.0.0', logger });
      const tell = (what: Told['what'], number: number, digest: string) =>
        process.send?.({ what, number, digest, at: clock() } satisfies Told);
      void runDaemon(
        {
          ...agent,
          held: {
            ...agent.held,
            async adopt(fetched, options) {
              const release = await agent.held.adopt(fetched, options);
              tell('held', release.manifest.number, release.digest);
              return release;
            },
          },
          async converge(run) {
            const done = await agent.converge({ dryRun: false, ...run });
            const { releaseNumber, releaseDigest } = done.report;
            tell('applied', releaseNumber, Buffer.from(releaseDigest).toString('hex'));
            return done;
          },
          async sleep(ms, signal) {
            await delay(ms, undefined, { signal }).catch(() => undefined);
          },
          random: Math.random,
        },
        { stop: stop.signal, convergeIntervalMs: 24 * 3_600_000 },
      );
    }),
  );
  await once(process, 'disconnect');
  stop.abort();
  process.exit(0);
}

/** Milliseconds of the wall, finer than a date: both processes read the same. */
function clock(): number {
  return performance.timeOrigin + performance.now();
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await delay(50);
}

function quantiles(values: readonly number[]) {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (q: number) =>
    Math.round(sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN);
  return { p50: at(0.5), p99: at(0.99), max: at(1) };
}
