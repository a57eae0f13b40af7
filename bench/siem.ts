/**
 * Delivery of the audit log to HTTPS sinks in another process, from a SQLite store through the real dispatcher, mapping,
 * checks of the network and TLS: events a second of one destination that catches up, in batches of 500; how long after
 * its append an entry is at the receiver at 100 entries a second; both once more beside two dead destinations; and what
 * an operation of the product, one durable append after the other, takes with and without those. Prints one line of JSON. `node bench/siem.ts [entries] [seconds]`
 */
import { type ChildProcess, fork } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { openPublicationDirectory } from '../lib/audit/publication-directory.ts';
import { createSealer } from '../lib/audit/sealer.ts';
import { openAuditWriter } from '../lib/audit/writer.ts';
import { ed25519ToSpki, generateEd25519, signEd25519 } from '../lib/crypto/ed25519.ts';
import { destinationConfig } from '../lib/siem/config.ts';
import { openDestination } from '../lib/siem/destinations/open.ts';
import { createDispatcher } from '../lib/siem/dispatcher.ts';
import { addDestination } from '../lib/siem/manage.ts';
import { createSealedReader } from '../lib/siem/sealed-reader.ts';
import { openSqliteStore } from '../lib/store/sqlite.ts';
import { createLoopbackTls, type LoopbackTls } from '../test/fakes/loopback-tls.ts';
import { createMemorySecrets } from '../test/fakes/secrets.ts';

const origin = 'holdfast.local/bench';
const perSecond = 100;
const event = {
  type: 'node.renew',
  actor: { id: '0b8f4a56-6a0e-4b43-8f5e-0d6f4d7f2a11', kind: 'node', auth: 'node-signature' },
  object: { kind: 'node', id: '0b8f4a56-6a0e-4b43-8f5e-0d6f4d7f2a11' },
  outcome: 'success',
  detail: { serial: '4f2a9be0c3d1', expires: '2026-01-02T00:00:00.000Z' },
} as const;

type SinkReport = {
  /** Distinct entries, and the highest sequence. */
  readonly entries: number;
  readonly last: number;
  readonly requests: number;
  /** From an entry's own time to its arrival, ms. */
  readonly lags: readonly number[];
};

if (process.argv[2] === 'sink') sink();
else await measure(Number(process.argv[2] ?? 40_000), Number(process.argv[3] ?? 15));

async function measure(entries: number, seconds: number): Promise<void> {
  const tls = await createLoopbackTls();
  const results: Record<string, object> = {};
  for (const mapping of ['raw', 'ocsf'] as const)
    results[`catchUp_${mapping}`] = await catchUp(tls, entries, mapping, []);
  results['catchUp_raw_besideDead'] = await catchUp(tls, entries, 'raw', ['hangs', 'refuses']);
  const alone = await follow(tls, seconds, []);
  const besideDead = await follow(tls, seconds, ['hangs', 'refuses']);
  const operation = await operateByTurns(tls, seconds);
  const p99Change = Math.round((besideDead.p99Ms / alone.p99Ms - 1) * 1000) / 10;
  process.stdout.write(
    `${JSON.stringify({
      bench: 'siem',
      machine: { cpu: cpus()[0]?.model, cores: availableParallelism(), node: process.version },
      ...{ entries, seconds, batch: 500, entriesPerSecondWhileFollowing: perSecond },
      ...{ ...results, lagAlone: alone, lagBesideDead: besideDead, lagP99ChangePercent: p99Change, operation },
    })}\n`,
  );
}

/** A log that is there already, to one sink. */
async function catchUp(tls: LoopbackTls, entries: number, mapping: string, dead: readonly string[]) {
  const world = await openWorld(tls);
  try {
    for (let done = 0; done < entries; done += 2_000) {
      await Promise.all(Array.from({ length: Math.min(2_000, entries - done) }, () => world.writer.append(event)));
    }
    await world.sealer.sealOnce();
    await world.add('sink', mapping, world.port('sink'));
    for (const name of dead) await world.add(name, 'raw', world.port(name));
    const { size } = await world.reader.head();
    const cpuBefore = process.cpuUsage();
    const from = performance.now();
    const stop = world.deliver();
    const report = await world.arrived(size);
    const ms = performance.now() - from;
    const cpu = process.cpuUsage(cpuBefore);
    await stop();
    // The real thing was measured: every entry, once at least, and none missing.
    if (report.entries !== size || report.last !== size - 1) throw new Error(`${report.entries} of ${size} arrived`);
    return {
      eventsPerSecond: Math.round((size / ms) * 1000),
      requests: report.requests,
      dispatcherCpuMicrosPerEvent: Math.round(((cpu.user + cpu.system) / size) * 10) / 10,
    };
  } finally {
    await world.close();
  }
}

/** 100 entries a second, sealed once a second as the product does, and delivered as they are sealed. */
async function follow(tls: LoopbackTls, seconds: number, dead: readonly string[]) {
  const world = await openWorld(tls);
  const stopSealing = new AbortController();
  const sealing = world.sealer.run(stopSealing.signal);
  try {
    await world.add('sink', 'raw', world.port('sink'));
    for (const name of dead) await world.add(name, 'raw', world.port(name));
    const stop = world.deliver();
    const begin = performance.now();
    const appends: Promise<unknown>[] = [];
    for (let i = 0; i < seconds * perSecond; i++) {
      await sleep(Math.max(0, begin + (i * 1000) / perSecond - performance.now()));
      appends.push(world.writer.append(event));
    }
    await Promise.all(appends);
    const { lags } = await world.arrived(seconds * perSecond);
    await stop();
    const sorted = lags.toSorted((a, b) => a - b);
    const at = (q: number) => Math.round(sorted[Math.floor((sorted.length - 1) * q)] ?? 0);
    return { p50Ms: at(0.5), p99Ms: at(0.99), entries: sorted.length };
  } finally {
    stopSealing.abort();
    await sealing;
    await world.close();
  }
}

/** By turns, so that what else the machine does falls on both alike. */
async function operateByTurns(tls: LoopbackTls, seconds: number) {
  const alone: number[] = [];
  const besideDead: number[] = [];
  for (let round = 0; round < 4; round++) {
    alone.push(...(await operate(tls, seconds / 4, [])));
    besideDead.push(...(await operate(tls, seconds / 4, ['hangs', 'refuses'])));
  }
  return { alone: summary(alone), besideDead: summary(besideDead) };
}

function summary(times: readonly number[]) {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (q: number) => Math.round((sorted[Math.floor((sorted.length - 1) * q)] ?? 0) * 100) / 100;
  return { operations: sorted.length, p50Ms: at(0.5), p99Ms: at(0.99) };
}

/** One operation after the other, each durable with its entry, while destinations hang and refuse. */
async function operate(tls: LoopbackTls, seconds: number, dead: readonly string[]): Promise<readonly number[]> {
  const world = await openWorld(tls);
  const stopSealing = new AbortController();
  const sealing = world.sealer.run(stopSealing.signal);
  try {
    for (const name of dead) await world.add(name, 'raw', world.port(name));
    const stop = world.deliver();
    const times: number[] = [];
    const end = performance.now() + seconds * 1000;
    while (performance.now() < end) {
      const from = performance.now();
      await world.writer.append(event);
      times.push(performance.now() - from);
    }
    await stop();
    return times;
  } finally {
    stopSealing.abort();
    await sealing;
    await world.close();
  }
}

async function openWorld(tls: LoopbackTls) {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-bench-'));
  const store = openSqliteStore(join(directory, 'store.db'), { now: Date.now });
  const now = Date.now;
  const audit = await openAuditWriter({ store, origin, writerId: 'bench', now });
  const { publicKey, privateKey } = generateEd25519();
  const signer = {
    algorithm: 'ed25519' as const,
    publicKey: ed25519ToSpki(publicKey),
    sign: async (message: Uint8Array) => signEd25519(privateKey, message),
  };
  const publication = await openPublicationDirectory(join(directory, 'log'));
  const sealer = createSealer({ store, origin, signer, publication, now });
  const reader = createSealedReader({ store, origin });
  const secrets = createMemorySecrets({ 'siem/hook': `whsec_${Buffer.alloc(32, 7).toString('base64')}` });
  const child = fork(import.meta.filename, ['sink'], { stdio: 'inherit' });
  child.send(tls);
  const ports = (await next(child)) as { readonly [name: string]: number };
  const manage = { store, audit, origin, reader, now };
  const logger = { warn: () => undefined, error: (fields: object) => console.error(fields) };
  return {
    ...{ writer: audit, sealer, reader },
    port: (name: string) => ports[name] ?? 0,
    async add(name: string, mapping: string, port: number) {
      const config = destinationConfig.parse({
        ...{ kind: 'webhook', name, mapping, url: `https://127.0.0.1:${port}/`, secret: 'secret:siem/hook' },
        network: { allow: ['127.0.0.0/8'], pins: [], ca: tls.ca },
      });
      await addDestination(manage, { config, start: 'oldest', actor: { id: 'bench', kind: 'system', auth: 'none' } });
    },
    deliver() {
      const stop = new AbortController();
      const running = createDispatcher({ ...manage, secrets, open: openDestination, owner: 'bench', logger }).run(
        stop.signal,
      );
      return async () => {
        stop.abort();
        await running;
      };
    },
    async arrived(count: number): Promise<SinkReport> {
      child.send({ count });
      return (await next(child)) as SinkReport;
    },
    async close() {
      child.kill();
      await audit.close();
      await store.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** Two servers: one takes everything, one answers nothing. A third port refuses. */
function sink(): void {
  const seen = new Set<number>();
  const lags: number[] = [];
  let requests = 0;
  let wanted = Number.POSITIVE_INFINITY;
  const look = () => {
    if (seen.size < wanted) return;
    wanted = Number.POSITIVE_INFINITY;
    const report: SinkReport = { entries: seen.size, last: Math.max(...[...seen].slice(-1000)), requests, lags };
    process.send?.(report);
  };
  process.on('message', (message: LoopbackTls | { readonly count: number }) => {
    if ('count' in message) {
      wanted = message.count;
      look();
      return;
    }
    const options = { key: message.key, cert: message.cert };
    const taking = createServer(options, (request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk) => chunks.push(chunk));
      request.on('end', () => {
        response.writeHead(200).end('{}');
        requests += 1;
        const at = Date.now();
        // Cheap on purpose: the sink must not be what is measured.
        const body = Buffer.concat(chunks).toString('utf8');
        for (const [, seq] of body.matchAll(/"seq":(\d+)/g)) seen.add(Number(seq));
        for (const [, ts] of body.matchAll(/\\"ts\\":\\"([0-9TZ:.-]+)\\"/g)) lags.push(at - Date.parse(ts as string));
        look();
      });
    }).listen(0, '127.0.0.1', () => {
      const hanging = createServer(options, () => undefined).listen(0, '127.0.0.1', () => {
        const port = (server: typeof taking) => (server.address() as AddressInfo).port;
        // Nobody listens on port 1.
        process.send?.({ sink: port(taking), hangs: port(hanging), refuses: 1 });
      });
    });
  });
}

function next(child: ChildProcess): Promise<unknown> {
  return new Promise((resolve, reject) => {
    child.once('message', resolve);
    child.once('exit', (code) => reject(new Error(`the sink ended with ${code}`)));
  });
}
