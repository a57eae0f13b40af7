/**
 * The audit log on SQLite: durable appends one by one and in groups, and offline verification with and without looking
 * into the entries. Prints one line of JSON; before it does, everything that was appended has been sealed and verified.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { openPublicationDirectory } from '../lib/audit/publication-directory.ts';
import { createSealer } from '../lib/audit/sealer.ts';
import { openDirectorySource } from '../lib/audit/source-directory.ts';
import { isSound } from '../lib/audit/verdicts.ts';
import { verifyLog } from '../lib/audit/verify.ts';
import { openAuditWriter } from '../lib/audit/writer.ts';
import { ed25519ToSpki, generateEd25519, signEd25519 } from '../lib/crypto/ed25519.ts';
import { noteVerifier } from '../lib/crypto/note.ts';
import { openSqliteStore } from '../lib/store/sqlite.ts';

const origin = 'holdfast.local/bench';
const singles = 1_000;
const grouped = 20_000;
const rounds = 3;
const event = {
  type: 'node.renew',
  actor: { id: '0b8f4a56-6a0e-4b43-8f5e-0d6f4d7f2a11', kind: 'node', auth: 'node-signature' },
  object: { kind: 'node', id: '0b8f4a56-6a0e-4b43-8f5e-0d6f4d7f2a11' },
  outcome: 'success',
  detail: { serial: '4f2a9be0c3d1', expires: '2026-01-02T00:00:00.000Z' },
} as const;

const directory = await mkdtemp(join(tmpdir(), 'holdfast-bench-'));
try {
  const { publicKey, privateKey } = generateEd25519();
  const sign = async (message: Uint8Array) => signEd25519(privateKey, message);
  const signer = { algorithm: 'ed25519' as const, publicKey: ed25519ToSpki(publicKey), sign };
  const store = openSqliteStore(join(directory, 'store.db'));
  const publication = await openPublicationDirectory(join(directory, 'log'));
  const now = Date.now;
  const sealer = createSealer({ store, origin, signer, publication, now });
  const writer = await openAuditWriter({ store, origin, writerId: 'bench', now });
  await sealer.sealOnce();

  const single: Sample[] = [];
  const group: Sample[] = [];
  const seal: Sample[] = [];
  for (let round = 0; round < rounds; round++) {
    single.push(
      await rate(singles, async () => {
        for (let i = 0; i < singles; i++) await writer.append(event);
      }),
    );
    await sealer.sealOnce();
    group.push(
      await rate(grouped, async () => {
        for (let done = 0; done < grouped; done += 2000) {
          await Promise.all(Array.from({ length: 2000 }, () => writer.append(event)));
        }
      }),
    );
    seal.push(await rate(grouped, () => sealer.sealOnce()));
  }

  const source = openDirectorySource(join(directory, 'log'));
  const verifiers = [noteVerifier(origin, publicKey)];
  const total = rounds * (singles + grouped);
  const verify: Sample[] = [];
  const hashOnly: Sample[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const parseEntries of [true, false]) {
      const rates = parseEntries ? verify : hashOnly;
      rates.push(
        await rate(total, async () => {
          const verdicts = await verifyLog({ source, verifiers, now, parseEntries });
          if (!isSound(verdicts) || (verdicts.size ?? 0) < total) throw new Error(JSON.stringify(verdicts));
        }),
      );
    }
  }
  await writer.close();
  await store.close();
  const figures = {
    singleAppends: median(single),
    groupedAppends: median(group),
    sealed: median(seal),
    verified: median(verify),
    verifiedWithoutContent: median(hashOnly),
  };
  const machine = { cpu: cpus()[0]?.model, cores: cpus().length, node: process.version };
  process.stdout.write(`${JSON.stringify({ bench: 'audit', ...machine, ...figures })}\n`);
} finally {
  await rm(directory, { recursive: true, force: true });
}

/** CPU time is what a busy machine can still compare. */
type Sample = { readonly perSecond: number; readonly cpuMicros: number };

async function rate(count: number, work: () => Promise<unknown>): Promise<Sample> {
  const cpu = process.cpuUsage();
  const began = process.hrtime.bigint();
  await work();
  const seconds = Number(process.hrtime.bigint() - began) / 1e9;
  const { user, system } = process.cpuUsage(cpu);
  return { perSecond: Math.round(count / seconds), cpuMicros: Math.round(((user + system) / count) * 10) / 10 };
}

function median(samples: readonly Sample[]): Sample {
  const middle = (values: number[]) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)] as number;
  return {
    perSecond: middle(samples.map(({ perSecond }) => perSecond)),
    cpuMicros: middle(samples.map(({ cpuMicros }) => cpuMicros)),
  };
}
