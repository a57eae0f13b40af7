/** Logs of ours for the verifiers of others: good ones, and bad ones of each kind, in directories. */
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openPublicationDirectory } from '../../lib/audit/publication-directory.ts';
import { decodeBundle, encodeBundle } from '../../lib/audit/tiles.ts';
import { createMemoryStore } from '../../lib/store/memory.ts';
import { createTestLog, createTestSigner, testEvent } from '../fakes/audit-log.ts';

export type InteropLog = Awaited<ReturnType<typeof makeLog>>;

/** Entries and checkpoints of three sizes, in `<root>/good`. */
export async function makeLog(root: string, signer = createTestSigner(), name = 'good', differs = false) {
  const directory = join(root, name);
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
  const publication = await openPublicationDirectory(directory);
  const log = await createTestLog({ signer, store: createMemoryStore(), sealer: { publication } });
  const checkpoints: { size: number; root: Uint8Array; note: string }[] = [];
  let made = 0;
  for (const count of [50, 300, 420]) {
    for (let i = 0; i < count; i++) {
      const object = { kind: 'token', id: `t${made++}` };
      await log.writer.append({ ...testEvent, object, ...(differs && made === 5 && { outcome: 'failure' }) });
    }
    const { size, root: hash } = (await log.sealer.sealOnce())!;
    checkpoints.push({ size, root: hash, note: await readFile(join(directory, 'checkpoint'), 'utf8') });
  }
  return { directory, publication, checkpoints, signer, key: log.verifierKey, verifiers: log.verifiers, now: log.now };
}

const secondBundle = 'tile/entries/001';
const flip = (at: number) => (bytes: Buffer) => {
  bytes[at]! ^= 1;
  return bytes;
};

type Tampering = { readonly name: string; readonly path: string; readonly change: (bytes: Buffer) => Uint8Array };

const inEntries = (change: (entries: Uint8Array[]) => Uint8Array[]) => (bytes: Buffer) =>
  encodeBundle(change(decodeBundle(bytes, 256, true)));

const tamperings: readonly Tampering[] = [
  { name: 'a byte of an entry is flipped', path: secondBundle, change: flip(700) },
  {
    name: 'two entries are swapped',
    path: secondBundle,
    change: inEntries((e) => e.map((entry, i) => (i === 3 ? e[4]! : i === 4 ? e[3]! : entry))),
  },
  {
    name: 'an entry is doubled',
    path: secondBundle,
    change: inEntries((e) => [...e.slice(0, 9), e[8]!, ...e.slice(10)]),
  },
  { name: 'a bundle is cut', path: secondBundle, change: (bytes) => bytes.subarray(0, -9) },
  { name: 'a leaf hash is flipped', path: 'tile/0/001', change: flip(32 * 8) },
  { name: 'a node hash is flipped', path: 'tile/1/000.p/3', change: flip(40) },
  {
    name: 'the size is raised',
    path: 'checkpoint',
    change: (bytes) => Buffer.from(bytes.toString().replace(/\n\d+\n/, '\n9999\n')),
  },
  {
    name: 'the root is replaced',
    path: 'checkpoint',
    change: (bytes) => Buffer.from(bytes.toString().replace(/\n[^\n]{44}\n\n/, `\n${'A'.repeat(43)}=\n\n`)),
  },
  {
    name: 'the signature is another one',
    path: 'checkpoint',
    change: (bytes) => Buffer.from(bytes.toString().replace(/.{12}\n$/, 'AAAAAAAAAAA=\n')),
  },
];

/** A directory for each way in which a log can be bad. */
export async function makeBadLogs(root: string, good: InteropLog): Promise<{ name: string; directory: string }[]> {
  const made: { name: string; directory: string }[] = [];
  for (const [i, { name, path, change }] of tamperings.entries()) {
    const directory = join(root, `bad-${i}`);
    await rm(directory, { recursive: true, force: true });
    await cp(good.directory, directory, { recursive: true });
    const file = join(directory, path);
    await writeFile(file, change(await readFile(file)));
    made.push({ name, directory });
  }
  const stranger = await makeLog(root, createTestSigner(), 'bad-key');
  made.push({ name: 'all is signed with another key', directory: stranger.directory });
  return made;
}
