/**
 * A build of this checkout, for running it: made when the sources changed, signed with a key that lives for this build
 * alone, and started through the same gate as any release. `npm start`, `holdfast up` and `holdfast-agent` come here.
 */
import { createHash, type KeyObject, randomBytes } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { manifestFile } from '../gate/config.ts';
import { verifyFiles } from '../lib/artifacts/files.ts';
import { openArtifactDirectory } from '../lib/artifacts/files-directory.ts';
import { formatKeys } from '../lib/artifacts/keys.ts';
import { parseManifest } from '../lib/artifacts/manifest.ts';
import {
  generateEd25519,
  privateKeyFromPem,
  privateKeyToPem,
  publicKeyOf,
  signEd25519,
} from '../lib/crypto/ed25519.ts';
import { formatVerifierKey, parseNote } from '../lib/crypto/note.ts';
import { manifestOf, type NamedSigner, signDirectory } from './manifest.ts';
import {
  agentProgram,
  buildProgram,
  type Program,
  serverProgram,
  sourceRoot,
  sourceVersion,
  thisPlatform,
} from './programs.ts';

/** Where a checkout keeps what can be made again; removed by `npm ci`, ignored by git. */
export const sharedCache = join(sourceRoot, 'node_modules/.cache/holdfast');

const dayMs = 86_400_000;
/** Renewed with a day to spare. */
const lifeDays = 30;
const keptBuilds = 3;

/**
 * The directory with `server/` and `agent/`. Several processes may ask at once: each builds, one wins. The name of a
 * build says what it was made from and when, so that nothing has to be trusted to reuse one; whether its files are still
 * those that were built, the gate says.
 */
export async function developmentBuild(cache: string, now: number): Promise<string> {
  const digest = sourceDigest();
  mkdirSync(cache, { recursive: true, mode: 0o700 });
  const builds = readdirSync(cache).filter((name) => /^[0-9a-f]{32}-[0-9]+$/.test(name));
  const today = Math.floor(now / dayMs);
  const found = builds.find((name) => {
    const [of, day] = name.split('-');
    return of === digest && Number(day) <= today && Number(day) > today - lifeDays + 1;
  });
  if (found !== undefined) return join(cache, found);
  const made = join(cache, `new-${randomBytes(8).toString('hex')}`);
  try {
    await buildInto(made, (today + lifeDays) * dayMs);
    const place = join(cache, `${digest}-${today}`);
    try {
      renameSync(made, place);
    } catch (error) {
      if (!existsSync(place)) throw error; // another process was first
    }
    removeOldest(cache, builds);
    return place;
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
}

/**
 * The loader is what nobody verifies before it runs; but this build's manifest names it, so an accident is found. Whoever
 * can change both changed this checkout's build, and could as well change the checkout. Throws `ArtifactError`.
 */
export function checkLoader(build: string, loader: string): void {
  const directory = join(build, dirname(loader));
  const note = join(directory, manifestFile);
  if (!existsSync(note)) return; // the gate says so
  const manifest = parseManifest(parseNote(readFileSync(note)).text);
  const files = manifest.files.filter(({ path }) => path === basename(loader));
  verifyFiles({ ...manifest, files }, { ...openArtifactDirectory(directory), list: () => [] });
}

async function buildInto(directory: string, notAfter: number): Promise<void> {
  const signer = developmentSigner();
  const programs = { server: serverProgram(thisPlatform), agent: agentProgram(thisPlatform) };
  await Promise.all(
    Object.entries(programs).map(([folder, program]) =>
      signedBuild(program, join(directory, folder), { ...signer, notAfter }),
    ),
  );
}

/**
 * A key for one build. It is never stored, so nobody can sign for that build a second time; unless `file` is given, so
 * that the next build of the same tree has the same bytes, which is what a deployment asks for.
 */
export function developmentSigner(file?: string): Pick<Signing, 'keys' | 'signers'> {
  const privateKey = file === undefined ? generateEd25519().privateKey : storedKey(file);
  const publicKey = publicKeyOf(privateKey);
  const name = 'development';
  const keys = formatKeys({ number: 1, threshold: 1, keys: [formatVerifierKey(name, publicKey)] });
  return { keys, signers: [{ name, publicKey, sign: async (message) => signEd25519(privateKey, message) }] };
}

function storedKey(file: string): KeyObject {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  try {
    writeFileSync(file, privateKeyToPem(generateEd25519().privateKey), { mode: 0o600, flag: 'wx' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  return privateKeyFromPem(readFileSync(file, 'utf8'));
}

export type Signing = {
  /** The text of the key list that the loaders trust. */
  readonly keys: string;
  readonly signers: readonly NamedSigner[];
  readonly notAfter: number;
  /** Files of the source tree that go in besides, by their names there. */
  readonly more?: Readonly<Record<string, string>>;
};

/** Fills `directory`, which is to be empty, with a program, its loaders and its signed manifest. */
export async function signedBuild(program: Program, directory: string, signing: Signing): Promise<void> {
  await buildProgram(program, directory, signing.keys);
  for (const [name, source] of Object.entries(signing.more ?? {})) copyFileSync(source, join(directory, name));
  await signDirectory(directory, manifestOf(program, directory, sourceVersion(), signing.notAfter), signing.signers);
}

/** Of everything that goes into a build; tests don't. */
function sourceDigest(): string {
  const hash = createHash('sha256').update(`${thisPlatform}\n`);
  for (const folder of ['agent', 'build', 'cli', 'functions', 'gate', 'lib']) {
    const names = readdirSync(join(sourceRoot, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && !/\.test\.ts$|\.md$/.test(entry.name))
      .map((entry) => join(entry.parentPath, entry.name))
      .sort();
    for (const name of names) hash.update(`${name.slice(sourceRoot.length)}\n`).update(readFileSync(name));
  }
  for (const name of ['package.json', 'package-lock.json']) hash.update(readFileSync(join(sourceRoot, name)));
  return hash.digest('hex').slice(0, 32);
}

/** A running program needs nothing from its directory any more. */
function removeOldest(cache: string, builds: readonly string[]): void {
  const dated = builds.toSorted((a, b) => Number(b.split('-')[1]) - Number(a.split('-')[1]));
  for (const name of dated.slice(keptBuilds - 1)) rmSync(join(cache, name), { recursive: true, force: true });
}
