/**
 * `npm run release`: builds everything twice, at two paths, refuses when one byte differs, writes the bill of materials,
 * signs, verifies what it signed as a stranger would, and packs. See docs/hardening.md.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { noteFile as agentNoteFile } from '../agent/updater/layout.ts';
import { verifyFiles } from '../lib/artifacts/files.ts';
import { openArtifactDirectory } from '../lib/artifacts/files-directory.ts';
import { parseKeys } from '../lib/artifacts/keys.ts';
import { parseManifest } from '../lib/artifacts/manifest.ts';
import { verifyManifest } from '../lib/artifacts/verify.ts';
import { sha256Hex } from '../lib/crypto/digest.ts';
import { archiveOf } from './archive.ts';
import { firstDifference } from './compare.ts';
import { copySources } from './copy-sources.ts';
import { filesOf, signDirectory } from './manifest.ts';
import { debOf, oneFilePlatform } from './one-file.ts';
import { sourceRoot, sourceVersion, thisPlatform } from './programs.ts';
import { buildRelease, releaseParts } from './release-tree.ts';
import { isIn, named, openSigners, signerHelp, signerOptions } from './signers.ts';

const help = `usage: npm run release -- --keys FILE [options]

  --keys FILE        the list of artifact keys that the release trusts (lib/artifacts/keys.ts)
${signerHelp}  --previous-keys F  also for agents that trust this older list: its threshold signs too; repeatable
  --out DIR          where to (default dist/release)
  --version V        default: that of package.json
  --days N           from today until nothing accepts the release any more (default 365)

Example: npm run release -- --keys artifact-keys --key release-a.pem --ssh-agent ~/.ssh/release-b.pub
`;

const { values } = parseArgs({
  options: {
    ...signerOptions,
    keys: { type: 'string' },
    'previous-keys': { type: 'string', multiple: true, default: [] },
    out: { type: 'string', default: join(sourceRoot, 'dist/release') },
    version: { type: 'string', default: sourceVersion() },
    days: { type: 'string', default: '365' },
    help: { type: 'boolean', default: false },
  },
});

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`error: nothing was released: ${(error as Error).message}\n`);
  process.exitCode = 1;
}

async function main(): Promise<number> {
  if (values.help || values.keys === undefined) {
    process.stdout.write(help);
    return values.help ? 0 : 2;
  }
  const keysFile = resolve(values.keys);
  const keys = readFileSync(keysFile, 'utf8');
  const lists = [keys, ...values['previous-keys'].map((path) => readFileSync(path, 'utf8'))].map(parseKeys);
  const opened = await openSigners(values, process.env['SSH_AUTH_SOCK']);
  const signers = opened.flatMap((signer) => named(signer, ...lists));
  for (const list of lists) {
    const count = opened.filter((signer) => isIn(list, signer)).length;
    if (count < list.threshold) {
      throw new Error(`list ${list.number} asks for ${list.threshold} signatures, and ${count} of its keys were given`);
    }
  }
  const out = resolve(values.out);
  const notAfter = (Math.floor(Date.now() / 86_400_000) + Number(values.days)) * 86_400_000;
  if (existsSync(out) && readdirSync(out).length > 0 && !existsSync(join(out, 'SHA256SUMS'))) {
    throw new Error(`${out} holds something that is no release`);
  }
  rmSync(out, { recursive: true, force: true });
  const texts = await buildRelease(out, { version: values.version, notAfter, keys });
  rmSync(join(out, 'manifests.json'));
  compareWithRebuild(texts, notAfter, keysFile);

  const digests: string[] = [];
  const write = (name: string, bytes: Uint8Array) => {
    writeFileSync(join(out, name), bytes);
    digests.push(`${sha256Hex(bytes)}  ${name}\n`);
  };
  for (const { folder, artifact, noteFile } of releaseParts()) {
    const directory = join(out, folder);
    const note = await signDirectory(directory, texts.get(folder) ?? '', signers, noteFile);
    // As its own gate will, and as the launchers of older agents do.
    for (const list of lists) {
      const manifest = verifyManifest(note, list, artifact, Date.now());
      verifyFiles(manifest, openArtifactDirectory(directory, [noteFile]));
    }
    const paths = [...filesOf(directory, noteFile).map(({ path }) => path), noteFile];
    write(`${folder}-${values.version}.tar.gz`, archiveOf(directory, `${folder}-${values.version}`, paths));
    if (noteFile === agentNoteFile) {
      const { name, bytes } = debOf(directory, artifact.platform, values.version);
      write(name, bytes);
    }
  }
  write('artifact-keys', Buffer.from(keys));
  digests.push(`${sha256Hex(readFileSync(join(out, 'sbom.cdx.json')))}  sbom.cdx.json\n`);
  writeFileSync(join(out, 'SHA256SUMS'), digests.sort().join(''));
  process.stdout.write(
    `${out}: version ${values.version}, ${releaseParts().length} artifacts, built twice alike, signed by ${signers.map(({ name }) => name).join(', ')}\n`,
  );
  if (oneFilePlatform() === undefined) {
    process.stderr.write(`the agent as one file is not in it: that is not built on ${thisPlatform}\n`);
  }
  return 0;
}

/** Incident 47: what is published is what the sources make, wherever they lie. Throws with the first file that differs. */
function compareWithRebuild(texts: ReadonlyMap<string, string>, notAfter: number, keysFile: string): void {
  mkdirSync(join(sourceRoot, '.cache'), { recursive: true });
  const elsewhere = mkdtempSync(join(sourceRoot, '.cache/release-'));
  try {
    copySources(elsewhere);
    const out = join(elsewhere, 'out');
    const args = [join(elsewhere, 'build/release-tree.ts'), out, values.version, String(notAfter), keysFile];
    const ran = spawnSync(process.execPath, args, { cwd: '/', encoding: 'utf8' });
    if (ran.status !== 0) throw new Error(`the second build failed: ${ran.stderr}`);
    const second = new Map(Object.entries(JSON.parse(readFileSync(join(out, 'manifests.json'), 'utf8')) as object));
    for (const [folder, text] of texts) {
      const difference = firstDifference(parseManifest(text), parseManifest(second.get(folder) as string));
      if (difference !== undefined)
        throw new Error(`${folder}/${difference} differs between two builds of the same sources`);
    }
  } finally {
    rmSync(elsewhere, { recursive: true, force: true });
  }
}
