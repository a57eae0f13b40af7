/**
 * The agent as one file: Node's single executable application, with the Node binary that the lockfile pins, stripped,
 * and the program inside. The same tree gives the same bytes, wherever it lies.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { inject } from 'postject';
import { formatDeb } from '../agent/install/deb.ts';
import { fileName, noteFile } from '../agent/updater/layout.ts';
import { stripElf } from './elf.ts';
import { sourceRoot, thisPlatform } from './programs.ts';

export type OneFileOptions = {
  readonly version: string;
  /** The text of the key list that is compiled in: who may sign the builds that this one gives way to. */
  readonly keys: string;
  /** Another program than the agent's, for tests of builds that are no good. */
  readonly entry?: string | undefined;
  /** How long a new build has to prove itself. */
  readonly trialSeconds?: number | undefined;
};

/** Node's own, see its documentation of single executable applications. */
const fuse = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';

/**
 * Young objects get 1 MiB of memory each way instead of 16: what an agent keeps while it has nothing to do, and a run of a
 * thousand resources takes no longer for it (docs/performance.md).
 */
const nodeFlags = ['--max-semi-space-size=1'];

/** The platforms whose Node the lockfile pins, as Debian names them. */
const debianNames: { readonly [platform: string]: string } = { 'linux-x64': 'amd64', 'linux-arm64': 'arm64' };

/** The platform that the one file can be built for here: this machine's, or none. */
export function oneFilePlatform(): string | undefined {
  return debianNames[thisPlatform] !== undefined && existsSync(pinnedNode()) ? thisPlatform : undefined;
}

/** The Debian package of the program and the signed manifest that lie in `directory`: its name, and its bytes. */
export function debOf(directory: string, platform: string, version: string): { name: string; bytes: Uint8Array } {
  const architecture = debianNames[platform];
  if (architecture === undefined) throw new TypeError(`${platform} is no platform of Debian packages`);
  const bytes = formatDeb({
    version,
    architecture,
    program: readFileSync(join(directory, fileName)),
    manifest: readFileSync(join(directory, noteFile)),
    license: readFileSync(join(sourceRoot, 'LICENSE')),
  });
  return { name: `holdfast-agent_${version}_${architecture}.deb`, bytes };
}

/** Writes the program into `directory`, which is to be empty. */
export async function buildOneFile(directory: string, options: OneFileOptions): Promise<void> {
  const scratch = mkdtempSync(join(tmpdir(), 'holdfast-agent-build-'));
  try {
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, fileName), await programOf(scratch, options), { mode: 0o755 });
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

async function programOf(scratch: string, options: OneFileOptions): Promise<Uint8Array> {
  const { version, keys, entry = 'agent/single/main.ts', trialSeconds = 300 } = options;
  await build({
    absWorkingDir: sourceRoot,
    entryPoints: [entry],
    outfile: join(scratch, 'main.cjs'),
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'cjs',
    mainFields: ['module', 'main'],
    define: {
      HOLDFAST_VERSION: JSON.stringify(version),
      HOLDFAST_ARTIFACT_KEYS: JSON.stringify(keys),
      HOLDFAST_TRIAL_SECONDS: String(trialSeconds),
      // There is no file around it: nothing is ever looked for beside the program.
      'import.meta.url': 'undefined',
    },
    legalComments: 'none',
    logLevel: 'warning',
  });
  const program = join(scratch, 'main.cjs');
  writeFileSync(program, asciiOf(readFileSync(program, 'utf8')));
  // Names only, relative to the working directory: no path of this machine gets into the file.
  const config = {
    main: 'main.cjs',
    output: 'blob',
    disableExperimentalSEAWarning: true,
    // Snapshots and code caches hold what the building machine was like.
    useSnapshot: false,
    useCodeCache: false,
    // Neither NODE_OPTIONS nor a flag on the command line gets to the Node inside.
    execArgvExtension: 'none',
    execArgv: nodeFlags,
  };
  writeFileSync(join(scratch, 'sea.json'), JSON.stringify(config));
  const args = ['--experimental-sea-config', 'sea.json'];
  const made = spawnSync(pinnedNode(), args, { cwd: scratch, encoding: 'utf8' });
  if (made.status !== 0) throw new Error(`the program could not be put together: ${made.stderr || made.error}`);
  const file = join(scratch, fileName);
  writeFileSync(file, stripElf(readFileSync(pinnedNode())), { mode: 0o755 });
  const blob = readFileSync(join(scratch, 'blob'));
  await quietly(() => inject(file, 'NODE_SEA_BLOB', blob, { sentinelFuse: fuse }));
  return readFileSync(file);
}

/**
 * The same program in ASCII. One letter beyond Latin-1 anywhere, and V8 keeps the whole text with two bytes a letter.
 * Outside of comments such letters are in regular expressions alone, where the escape means the same.
 */
function asciiOf(text: string): string {
  return text.replace(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

function pinnedNode(): string {
  return join(sourceRoot, 'node_modules', `node-${thisPlatform}`, 'bin/node');
}

/** The injector warns of the sections that were stripped on purpose. */
async function quietly(act: () => Promise<void>): Promise<void> {
  const { warn, log } = console;
  console.warn = console.log = () => undefined;
  try {
    await act();
  } finally {
    Object.assign(console, { warn, log });
  }
}
