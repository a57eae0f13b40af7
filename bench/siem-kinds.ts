/**
 * Events a second by kind of destination: from mapped events to the receiver's answer, over TLS on loopback, in the
 * batches of each kind, to a receiver in another process that reads the protocol and counts what it has. No store and no
 * dispatcher: those are measured by bench/siem.ts. Prints one line of JSON. `node bench/siem-kinds.ts [events]`
 */
import { type ChildProcess, fork } from 'node:child_process';
import { availableParallelism, cpus } from 'node:os';
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import type { EntryEvent } from '../lib/siem/event.ts';
import { createLoopbackTls, type LoopbackTls } from '../test/fakes/loopback-tls.ts';
import { batchOf, logins } from '../test/fakes/siem-events.ts';
import { runningKinds } from '../test/fakes/siem-kinds.ts';

const batchSize = 500;

if (process.argv[2] === 'sink') await sink();
else await measure(Number(process.argv[2] ?? 10_000));

async function measure(count: number): Promise<void> {
  const tls = await createLoopbackTls();
  const events = logins(count);
  const results: Record<string, object> = {};
  for (const name of Object.keys(runningKinds)) results[name] = await measureKind(name, tls, events);
  const machine = { cpu: cpus()[0]?.model, cores: availableParallelism(), node: process.version };
  const bytesAnEntry = events[0]?.raw?.length;
  process.stdout.write(`${JSON.stringify({ bench: 'siem-kinds', machine, events: count, bytesAnEntry, results })}\n`);
}

async function measureKind(name: string, tls: LoopbackTls, events: readonly EntryEvent[]): Promise<object> {
  const child = fork(fileURLToPath(import.meta.url), ['sink'], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  try {
    const port = await ask<number>(child, { name, tls });
    const { open, credentials } = runningKinds[name]!;
    const destination = open(`https://127.0.0.1:${port}`, { allow: ['127.0.0.0/8'], ca: tls.ca, pins: [] });
    const size = Math.min(batchSize, destination.limits.maxEvents);
    const send = async (from: number, id: number) => {
      const batch = batchOf(events.slice(from, from + size), { id: `${id}`.padStart(32, '0') });
      const result = await destination.send(batch, credentials, AbortSignal.timeout(60_000));
      const done =
        result.kind === 'pending'
          ? await destination.confirm!(result.token, credentials, AbortSignal.timeout(60_000))
          : result;
      if (done.kind !== 'delivered') throw new Error(`${name}: ${JSON.stringify(done)}`);
    };
    // The first batch makes the connection and warms the code up; it is sent again, and counted, below.
    await send(0, 0);
    const began = performance.now();
    const cpu = process.cpuUsage();
    for (let from = 0; from < events.length; from += size) await send(from, from + 1);
    const ms = performance.now() - began;
    const { user, system } = process.cpuUsage(cpu);
    await destination.close();
    const received = await ask<number>(child, 'count');
    if (received < events.length) throw new Error(`${name}: sent ${events.length}, received ${received}`);
    return {
      batch: size,
      eventsPerSecond: Math.round((events.length / ms) * 1000),
      senderCpuMicrosecondsAnEvent: Math.round((user + system) / events.length),
      received,
    };
  } finally {
    child.kill();
  }
}

function ask<T>(child: ChildProcess, message: object | string): Promise<T> {
  return new Promise((done, fail) => {
    child.once('message', (answer) => done(answer as T));
    child.once('exit', (code) => fail(new Error(`the receiver ended with ${code}`)));
    child.send(message);
  });
}

async function sink(): Promise<void> {
  let count = () => 0;
  process.on('message', async (message: 'count' | { name: string; tls: LoopbackTls }) => {
    if (message === 'count') return process.send?.(count());
    const receiver = await runningKinds[message.name]!.start(message.tls);
    count = () => receiver.taken().length;
    return process.send?.(receiver.port);
  });
}
