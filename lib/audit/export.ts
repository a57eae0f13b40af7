/** Writes an evidence folder: the log, the key it is signed with, and how a stranger checks it without us. */
import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { utf8 } from '../crypto/encoding.ts';
import { parseVerifierKey } from '../crypto/note.ts';
import { type Checkpoint, openCheckpoint } from './checkpoint.ts';
import { AuditError } from './port.ts';
import type { LogSource } from './publication.ts';
import { openPublicationDirectory } from './publication-directory.ts';
import { bundlePath, levelSize, tilePath, tileWidth } from './tiles.ts';

export type ExportOptions = {
  readonly source: LogSource;
  /** The log's public key, as `name+hash+base64`. */
  readonly verifierKey: string;
  /** Must not exist or be empty. */
  readonly directory: string;
  /** The fleet's descriptor, which names the key. */
  readonly descriptor?: Uint8Array;
  readonly onProgress?: (progress: { readonly done: number; readonly size: number }) => void;
};

/** Copies exactly what the published checkpoint covers. Throws `AuditError` `missing` or `not_authentic`. */
export async function exportLog(options: ExportOptions): Promise<Checkpoint> {
  const { source, verifierKey, directory, descriptor } = options;
  const verifier = parseVerifierKey(verifierKey);
  const note = await source.read('checkpoint');
  if (note === undefined) throw new AuditError('missing', 'nothing is published yet');
  const checkpoint = openCheckpoint(note, { origin: verifier.name, verifiers: [verifier] });
  await mkdir(directory, { recursive: true });
  const target = await openPublicationDirectory(directory);
  const files = [...filesOf(checkpoint.size)];
  for (const [done, { path, full, slice }] of files.entries()) {
    const exact = await source.read(path);
    const bytes = exact ?? slice(await source.read(full));
    if (bytes === undefined) throw new AuditError('missing', `${path} is not in the publication`);
    await target.write(path, bytes);
    options.onProgress?.({ done: done + 1, size: files.length });
  }
  await writeNew(join(directory, 'key.txt'), utf8(`${verifierKey}\n`));
  if (descriptor !== undefined) await writeNew(join(directory, 'fleet.json'), descriptor);
  await writeNew(join(directory, 'README.md'), utf8(readme(checkpoint, verifierKey)));
  await target.publishCheckpoint(note, checkpoint.size);
  return checkpoint;
}

type ExportFile = {
  readonly path: string;
  readonly full: string;
  /** What a partial file holds, from the full one that has replaced it. */
  readonly slice: (bytes: Uint8Array | undefined) => Uint8Array | undefined;
};

function* filesOf(size: number): Generator<ExportFile> {
  for (let level = 0; levelSize(size, level) > 0; level++) {
    for (const { index, width } of widths(levelSize(size, level))) {
      const full = tilePath({ level, index, width: tileWidth });
      yield { path: tilePath({ level, index, width }), full, slice: (bytes) => bytes?.subarray(0, width * 32) };
    }
  }
  for (const { index, width } of widths(size)) {
    const full = bundlePath({ index, width: tileWidth });
    yield { path: bundlePath({ index, width }), full, slice: (bytes) => bytes && firstEntries(bytes, width) };
  }
}

function* widths(count: number): Generator<{ index: number; width: number }> {
  for (let index = 0; index * tileWidth < count; index++) {
    yield { index, width: Math.min(tileWidth, count - index * tileWidth) };
  }
}

function firstEntries(bytes: Uint8Array, width: number): Uint8Array {
  let at = 0;
  for (let i = 0; i < width; i++) at += 2 + (bytes[at] ?? 0) * 256 + (bytes[at + 1] ?? 0);
  return bytes.subarray(0, at);
}

async function writeNew(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(path, 'wx', 0o644);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
}

function readme({ origin, size }: Checkpoint, verifierKey: string): string {
  return `# Audit log of ${origin}

${size} entries under one signed checkpoint. Nothing here has to be believed: everything can be computed again.

| file | what it is |
|---|---|
| \`checkpoint\` | origin, number of entries and root of the Merkle tree, signed (C2SP tlog-checkpoint, signed-note) |
| \`tile/entries/…\` | the entries, 256 a file, each after its length in two bytes, big-endian (C2SP tlog-tiles) |
| \`tile/<L>/…\` | the hashes of the tree (C2SP tlog-tiles, RFC 6962) |
| \`key.txt\` | the public key of the log; compare it with one that you got elsewhere |

The key: \`${verifierKey}\`

## Check with Holdfast

    holdfast audit verify . --log-key KEY

## Check without Holdfast

1. Open \`checkpoint\` with the key: Go's \`golang.org/x/mod/sumdb/note\` does it, and any C2SP signed-note tool.
2. Hash each entry as a leaf, SHA-256(0x00 ‖ entry), build the tree of RFC 6962 and compare its root with the
   checkpoint's third line: Go's \`golang.org/x/mod/sumdb/tlog\` or transparency-dev's \`merkle\`.
3. Every entry is canonical JSON (RFC 8785). Within one \`lane\`, \`n\` counts from 0, and \`prev\` of entry n is
   hex A(n−1), where A(n) = SHA-256("holdfast/lane/v1|" origin "|" lane "|" n "|" B "|" hex A(n−1)), B is the hex
   SHA-256 of the entry and A(−1) is SHA-256("holdfast/lane/v1|" origin "|" lane).
4. Each \`log.checkpoint\` entry names the last number of every open lane: no entry may be missing.

That the log was not cut and replaced as a whole shows only beside something kept elsewhere: compare the checkpoint
with one that a node, a log store or a colleague remembers.
`;
}
