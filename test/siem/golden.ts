/**
 * The golden files of what goes out: of the mappings one for each operation and each other kind of event, and of the
 * destinations one for each kind, with its requests. `node test/siem/golden.ts` writes them anew; what changed is then to
 * be read, as somebody's rules depend on it.
 */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { argv } from 'node:process';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { mappings } from '../../lib/siem/config.ts';
import type { EntryEvent, FeedEvent, TestEvent } from '../../lib/siem/event.ts';
import { mapToText } from '../../lib/siem/mappings/map.ts';
import type { Context } from '../../lib/siem/mappings/place.ts';
import { createLoopbackTls } from '../fakes/loopback-tls.ts';
import { batchOf, heartbeat, logins, specimens, stubOf, testLog } from '../fakes/siem-events.ts';
import { type RunningKind, runningKinds } from '../fakes/siem-kinds.ts';
import type { Received } from '../fakes/siem-receivers.ts';

const folder = (path: string) => fileURLToPath(new URL(`../../lib/siem/${path}/golden/`, import.meta.url));
export const mappingFolder = folder('mappings');
export const wireFolder = folder('destinations');

const nonce: TestEvent = {
  kind: 'test',
  id: `${testLog}:test:test:${'0'.repeat(32)}`,
  time: '2026-01-02T03:04:05.678Z',
  destination: 'test',
  nonce: '0'.repeat(32),
};
const checkpoint = { size: 12, note: `${testLog}\n12\nAAAA\n\n— ${testLog} AAAA\n` };

/** By file name. Where an entry stands is the same in all of them, so that a new operation changes no other's file. */
export function mappingFiles(): ReadonlyMap<string, string> {
  const entries = specimens().map((event) => [`${event.entry.op.type}.txt`, inEach(alike(event))] as const);
  const [login] = logins(1);
  return new Map([
    ...entries,
    ['stub.txt', inEach(stubOf(alike(login!)))],
    ['heartbeat.txt', inEach(heartbeat)],
    ['test.txt', inEach(nonce)],
    ['checkpoint.txt', inEach(alike(login!), { log: testLog, checkpoint })],
  ]);
}

function alike(event: EntryEvent): EntryEvent {
  const place = { id: `${testLog}:7`, seq: 7, dseq: 5, chain: 'c'.repeat(64), previous: 'b'.repeat(64) };
  return { ...event, ...place };
}

function inEach(event: FeedEvent, context: Context = { log: testLog }): string {
  return mappings.map((mapping) => `${mapping}\n${mapToText(mapping, event, context)}\n`).join('');
}

/** By file name: what each kind sends of one batch, which has an entry, a stub and a heartbeat with a checkpoint. */
export async function wireFiles(): Promise<ReadonlyMap<string, string>> {
  const tls = await createLoopbackTls();
  const [first, second] = logins(2);
  const batch = batchOf([first!, stubOf(second!), heartbeat], { checkpoint });
  const files = new Map<string, string>();
  for (const [name, kind] of Object.entries(runningKinds))
    files.set(`${name.replaceAll(' ', '-')}.txt`, await sentBy(kind, tls, batch));
  return files;
}

async function sentBy(
  kind: RunningKind,
  tls: Parameters<RunningKind['start']>[0],
  batch: ReturnType<typeof batchOf>,
): Promise<string> {
  const receiver = await kind.start(tls);
  const network = { allow: ['127.0.0.0/8'], ca: tls.ca, pins: [] };
  const destination = kind.open(`https://127.0.0.1:${receiver.port}`, network);
  try {
    const signal = AbortSignal.timeout(10_000);
    const result = await destination.send(batch, kind.credentials, signal);
    if (result.kind === 'pending') await destination.confirm?.(result.token, kind.credentials, signal);
    return receiver.http?.server.requests.map(formatRequest).join('\n') ?? receiver.sent().join('\n');
  } finally {
    await destination.close();
    await receiver.close();
  }
}

/** What a library compresses or a port changes is left out: hashes, lengths and signatures over it. */
const varying = /^(host|connection|content-length|x-amz-content-sha256|x-amz-checksum-sha256)$/;

function formatRequest({ method, path, headers, body }: Received): string {
  const text = headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body;
  const lines = Object.entries(headers)
    .filter(([name]) => !varying.test(name))
    .map(([name, value]) => `${name}: ${`${value}`.replace(/Signature=[0-9a-f]{64}$/, 'Signature=…')}`);
  return `${method} ${path}\n${lines.join('\n')}\n\n${text}\n`;
}

function write(into: string, files: ReadonlyMap<string, string>): void {
  mkdirSync(into, { recursive: true });
  for (const name of readdirSync(into)) rmSync(`${into}${name}`);
  for (const [name, text] of files) writeFileSync(`${into}${name}`, text);
}

if (argv[1] === fileURLToPath(import.meta.url)) {
  write(mappingFolder, mappingFiles());
  write(wireFolder, await wireFiles());
}
