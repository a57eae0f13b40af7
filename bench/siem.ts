/**
 * Delivery of the audit log to HTTPS sinks in another process, from a SQLite store through the real dispatcher, mapping,
 * checks of the network and TLS: events a second of one destination that catches up, in batches of 500; how long after
 * its append an entry is at the receiver at 100 entries a second, and how much of that is from its seal on; all of it once
 * more beside dead destinations, one of each kind that accepts and never answers and one that refuses; and what an
 * operation of the product, one durable append after the other, takes with and without those. Prints one line of JSON. `node bench/siem.ts [entries] [seconds]`
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

/** Dead ones: their fields for a port at which nobody ever answers. Sentinel's log-in has an address of its own. */
const key = 'secret:siem/hook';
const hanging = (port: number): Readonly<Record<string, object>> => {
  const url = `https://127.0.0.1:${port}/`;
  const aws = { url, region: 'eu-central-1', accessKeyId: 'AKIDEXAMPLE00000', secretAccessKey: key };
  return {
    'splunk-hec': { url, token: key },
    elastic: { url, index: 'audit', apiKey: key },
    syslog: { host: '127.0.0.1', port },
    webhook: { url, secret: key },
    datadog: { url, apiKey: key },
    otlp: { url },
    s3: { ...aws, bucket: 'audit' },
    eventbridge: { ...aws, bus: 'audit' },
  };
};

type SinkReport = {
  /** Distinct entries, and the highest sequence. */
  readonly entries: number;
  readonly last: number;
  readonly requests: number;
  /** From an entry's own time to its arrival, ms; those that close a block are made when it is sealed. */
  readonly lags: readonly number[];
  readonly lagsFromSeal: readonly number[];
};

if (process.argv[2] === 'sink') sink();
else await measure(Number(process.argv[2] ?? 40_000), Number(process.argv[3] ?? 15));

async function measure(entries: number, seconds: number): Promise<void> {
  const tls = await createLoopbackTls();
  const results: Record<string, object> = {};
  for (const mapping of ['raw', 'ocsf'] as const)
    results[`catchUp_${mapping}`] = await catchUp(tls, entries, mapping, false);
  results['catchUp_raw_besideDead'] = await catchUp(tls, entries, 'raw', true);
  const alone = await follow(tls, seconds, false);
  const besideDead = await follow(tls, seconds, true);
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
async function catchUp(tls: LoopbackTls, entries: number, mapping: string, withDead: boolean) {
  const world = await openWorld(tls);
  try {
    for (let done = 0; done < entries; done += 2_000) {
      await Promise.all(Array.from({ length: Math.min(2_000, entries - done) }, () => world.writer.append(event)));
    }
    await world.sealer.sealOnce();
    await world.addSink(mapping);
    if (withDead) await world.addDead();
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
async function follow(tls: LoopbackTls, seconds: number, withDead: boolean) {
  const world = await openWorld(tls);
  const stopSealing = new AbortController();
  const sealing = world.sealer.run(stopSealing.signal);
  try {
    await world.addSink('raw');
    if (withDead) await world.addDead();
    const stop = world.deliver();
    const begin = performance.now();
    const appends: Promise<unknown>[] = [];
    for (let i = 0; i < seconds * perSecond; i++) {
      await sleep(Math.max(0, begin + (i * 1000) / perSecond - performance.now()));
      appends.push(world.writer.append(event));
    }
    await Promise.all(appends);
    const { lags, lagsFromSeal } = await world.arrived(seconds * perSecond);
    await stop();
    const { p50Ms, p99Ms } = quantiles(lags, 1);
    return { p50Ms, p99Ms, entries: lags.length, fromSeal: quantiles(lagsFromSeal, 1) };
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
    alone.push(...(await operate(tls, seconds / 4, false)));
    besideDead.push(...(await operate(tls, seconds / 4, true)));
  }
  return { alone: summary(alone), besideDead: summary(besideDead) };
}

function summary(times: readonly number[]) {
  return { operations: times.length, ...quantiles(times, 100) };
}

/** `parts`: how fine, of a millisecond. */
function quantiles(times: readonly number[], parts: number) {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (q: number) => Math.round((sorted[Math.floor((sorted.length - 1) * q)] ?? 0) * parts) / parts;
  return { p50Ms: at(0.5), p99Ms: at(0.99) };
}

/** One operation after the other, each durable with its entry, while destinations hang and refuse. */
async function operate(tls: LoopbackTls, seconds: number, withDead: boolean): Promise<readonly number[]> {
  const world = await openWorld(tls);
  const stopSealing = new AbortController();
  const sealing = world.sealer.run(stopSealing.signal);
  try {
    if (withDead) await world.addDead();
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
  const webhook = (port: number) => ({ url: `https://127.0.0.1:${port}/`, secret: key });
  const add = async (kind: string, name: string, fields: object) => {
    const network = { allow: ['127.0.0.0/8'], pins: [], ca: tls.ca };
    const config = destinationConfig.parse({ kind, name, network, ...fields });
    await addDestination(manage, { config, start: 'oldest', actor: { id: 'bench', kind: 'system', auth: 'none' } });
  };
  return {
    ...{ writer: audit, sealer, reader },
    addSink: (mapping: string) => add('webhook', 'sink', { mapping, ...webhook(ports['sink'] ?? 0) }),
    async addDead(): Promise<void> {
      for (const [kind, fields] of Object.entries(hanging(ports['hangs'] ?? 0)))
        await add(kind, `${kind}-hangs`, fields);
      // Nobody listens on port 1.
      await add('webhook', 'refuses', webhook(1));
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

/** Two servers: one takes everything, one answers nothing. */
function sink(): void {
  const seen = new Set<number>();
  const lags: number[] = [];
  const lagsFromSeal: number[] = [];
  let requests = 0;
  let wanted = Number.POSITIVE_INFINITY;
  const look = () => {
    if (seen.size < wanted) return;
    wanted = Number.POSITIVE_INFINITY;
    const report: SinkReport = {
      entries: seen.size,
      last: Math.max(...[...seen].slice(-1000)),
      requests,
      lags,
      lagsFromSeal,
    };
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
        for (const [, type, ts] of body.matchAll(/\\"type\\":\\"([a-z.-]+)\\"\}.*?\\"ts\\":\\"([0-9TZ:.-]+)\\"/g))
          (type === 'log.checkpoint' ? lagsFromSeal : lags).push(at - Date.parse(ts as string));
        look();
      });
    }).listen(0, '127.0.0.1', () => {
      const hanging = createServer(options, () => undefined).listen(0, '127.0.0.1', () => {
        const port = (server: typeof taking) => (server.address() as AddressInfo).port;
        process.send?.({ sink: port(taking), hangs: port(hanging) });
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
