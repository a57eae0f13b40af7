/**
 * The audit log on SQLite: durable appends one by one, in groups, and by 1, 4 and 16 writers at once; how long an entry
 * waits for its signature; offline verification with and without the entries' content, on one thread and on several; and
 * the size of proofs. Prints one line of JSON; before it does, everything that was appended has been sealed and verified.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatCheckpoint } from '../lib/audit/checkpoint.ts';
import { appendLeaf, emptyFrontier } from '../lib/audit/frontier.ts';
import { formatProof } from '../lib/audit/proof.ts';
import { openPublicationDirectory } from '../lib/audit/publication-directory.ts';
import { createSealer } from '../lib/audit/sealer.ts';
import { openDirectorySource } from '../lib/audit/source-directory.ts';
import { inclusionProof, type NodeReader, nodeHash, rootOf } from '../lib/audit/tree.ts';
import { isSound } from '../lib/audit/verdicts.ts';
import { verifyLog } from '../lib/audit/verify.ts';
import { openVerifyPool, type VerifyPool } from '../lib/audit/verify-pool.ts';
import { type AuditWriter, openAuditWriter } from '../lib/audit/writer.ts';
import { sha256 } from '../lib/crypto/digest.ts';
import { ed25519ToSpki, generateEd25519, signEd25519 } from '../lib/crypto/ed25519.ts';
import { noteVerifier, signNote } from '../lib/crypto/note.ts';
import { openSqliteStore } from '../lib/store/sqlite.ts';

const origin = 'holdfast.local/bench';
const rounds = 3;
const counts = { single: 1_000, grouped: 20_000, writers: 4_000, seals: 30 };
const event = {
  type: 'node.renew',
  actor: { id: '0b8f4a56-6a0e-4b43-8f5e-0d6f4d7f2a11', kind: 'node', auth: 'node-signature' },
  object: { kind: 'node', id: '0b8f4a56-6a0e-4b43-8f5e-0d6f4d7f2a11' },
  outcome: 'success',
  detail: { serial: '4f2a9be0c3d1', expires: '2026-01-02T00:00:00.000Z' },
} as const;

/** CPU time is what a busy machine can still compare. */
type Sample = { readonly perSecond: number; readonly cpuMicros: number };

const directory = await mkdtemp(join(tmpdir(), 'holdfast-bench-'));
const { publicKey, privateKey } = generateEd25519();
const sign = async (message: Uint8Array) => signEd25519(privateKey, message);
const signer = { algorithm: 'ed25519' as const, publicKey: ed25519ToSpki(publicKey), sign };
const store = openSqliteStore(join(directory, 'store.db'));
const publication = await openPublicationDirectory(join(directory, 'log'));
const now = Date.now;
const sealer = createSealer({ store, origin, signer, publication, now });
let appended = 0;
try {
  await sealer.sealOnce();
  const writer = await openAuditWriter({ store, origin, writerId: 'bench', now });
  const single = await rounded(async () => {
    for (let i = 0; i < counts.single; i++) await append(writer);
    return counts.single;
  });
  const grouped = await rounded(async () => {
    for (let done = 0; done < counts.grouped; done += 2000) await many(writer, 2000);
    return counts.grouped;
  });
  await writer.close();
  const byWriters: Record<string, Sample> = {};
  for (const writers of [1, 4, 16]) byWriters[writers] = await appendsBy(writers);
  const seal = await sealLatency();
  const verified = await verifications();
  await store.close();
  const figures = { single, grouped, byWriters, seal, ...verified, proofBytes: await proofSizes() };
  const machine = { cpu: cpus()[0]?.model, cores: cpus().length, node: process.version };
  process.stdout.write(`${JSON.stringify({ bench: 'audit', ...machine, ...figures })}\n`);
} finally {
  await rm(directory, { recursive: true, force: true });
}

async function append(writer: AuditWriter): Promise<void> {
  const { ok } = await writer.append(event);
  if (!ok) throw new Error('an append was refused');
  appended += 1;
}

async function many(writer: AuditWriter, count: number): Promise<void> {
  await Promise.all(Array.from({ length: count }, () => append(writer)));
}

/** Each has one append under way at a time, as requests of so many callers in so many processes would. */
async function appendsBy(writers: number): Promise<Sample> {
  const open = Array.from({ length: writers }, (_, i) =>
    openAuditWriter({ store, origin, writerId: `bench-${writers}-${i}`, now }),
  );
  const all = await Promise.all(open);
  const each = counts.writers / writers;
  const sample = await rounded(async () => {
    await Promise.all(
      all.map(async (writer) => {
        for (let i = 0; i < each; i++) await append(writer);
      }),
    );
    return counts.writers;
  });
  for (const writer of all) await writer.close();
  return sample;
}

/** From the call to the published signature over 100 new entries. */
async function sealLatency(): Promise<{ readonly p50Ms: number; readonly p99Ms: number }> {
  const writer = await openAuditWriter({ store, origin, writerId: 'bench-seal', now });
  const took: number[] = [];
  await sealer.sealOnce();
  for (let i = 0; i < counts.seals; i++) {
    await many(writer, 100);
    const began = performance.now();
    const checkpoint = await sealer.sealOnce();
    if (checkpoint === undefined) throw new Error('nothing was sealed');
    took.push(performance.now() - began);
  }
  await writer.close();
  took.sort((a, b) => a - b);
  const at = (share: number) => Math.round((took[Math.floor((took.length - 1) * share)] ?? 0) * 10) / 10;
  return { p50Ms: at(0.5), p99Ms: at(0.99) };
}

async function verifications() {
  const threads = availableParallelism();
  const pool = openVerifyPool(threads);
  try {
    return {
      verified: await verifyAll(true),
      verifiedWithoutContent: await verifyAll(false),
      threads,
      verifiedOnThreads: await verifyAll(true, pool),
      verifiedOnThreadsWithoutContent: await verifyAll(false, pool),
    };
  } finally {
    await pool.close();
  }
}

function verifyAll(parseEntries: boolean, pool?: VerifyPool): Promise<Sample> {
  const source = openDirectorySource(join(directory, 'log'));
  const verifiers = [noteVerifier(origin, publicKey)];
  return rounded(async () => {
    const verdicts = await verifyLog({ source, verifiers, now, parseEntries, ...(pool && { pool }) });
    const { size = 0 } = verdicts;
    if (!isSound(verdicts) || size < appended) throw new Error(JSON.stringify(verdicts));
    return size;
  });
}

/** Of the longest proof in a tree of that size, checkpoint and all, without the entry. */
async function proofSizes(): Promise<Record<string, number>> {
  const sizes: Record<string, number> = {};
  for (const size of [1_000, 1_000_000]) {
    const frontier = emptyFrontier();
    const leaf = sha256('entry');
    for (let i = 0; i < size; i++) appendLeaf(frontier, leaf, { tile: () => undefined });
    // All leaves are alike, so all nodes of a level are.
    const levels: Uint8Array[] = [leaf];
    const read: NodeReader = async (level) => {
      while (levels.length <= level) levels.push(nodeHash(levels.at(-1) as Uint8Array, levels.at(-1) as Uint8Array));
      return levels[level] as Uint8Array;
    };
    const text = formatCheckpoint({ origin, size, root: rootOf(frontier.range) });
    const checkpoint = await signNote(text, origin, { publicKey, sign });
    const index = Math.floor(size / 3);
    sizes[size] = formatProof({ index, hashes: await inclusionProof(read, index, size), checkpoint }).length;
  }
  return sizes;
}

/** The median of the rounds. */
async function rounded(work: () => Promise<number>): Promise<Sample> {
  const samples: Sample[] = [];
  for (let round = 0; round < rounds; round++) {
    const cpu = process.cpuUsage();
    const began = performance.now();
    const count = await work();
    const seconds = (performance.now() - began) / 1000;
    const { user, system } = process.cpuUsage(cpu);
    samples.push({
      perSecond: Math.round(count / seconds),
      cpuMicros: Math.round(((user + system) / count) * 10) / 10,
    });
  }
  const middle = (values: number[]) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)] as number;
  return {
    perSecond: middle(samples.map(({ perSecond }) => perSecond)),
    cpuMicros: middle(samples.map(({ cpuMicros }) => cpuMicros)),
  };
}
