/**
 * From the source tree to artifact directories: the programs bundled, the files that they need beside their code, and
 * one loader an entry. The same tree gives the same bytes, wherever it lies. Signing is sign.ts.
 */
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type BuildOptions, build } from 'esbuild';
import type { FunctionName } from '../functions/aws/environment.ts';
import { type GateConfig, gateFile } from '../gate/config.ts';
import type { ArtifactKind } from '../lib/artifacts/manifest.ts';
import { sha256Hex } from '../lib/crypto/digest.ts';

export const sourceRoot = fileURLToPath(new URL('..', import.meta.url));

export interface Program {
  readonly kind: ArtifactKind;
  readonly name: string;
  /** Name of the loader, and the module behind it. */
  readonly entries: Readonly<Record<string, string>>;
  /** False for a Lambda function. */
  readonly ownProcess: boolean;
  /** Platforms whose native modules go in; empty: none. */
  readonly native: readonly string[];
  /** The manifest's; `any` runs everywhere, on `node:crypto` where it has no native module. */
  readonly platform: string;
  readonly page: boolean;
  readonly workers: boolean;
  /** Several entries share code, and each loads what it needs. */
  readonly splitting: boolean;
}

export const thisPlatform = `${process.platform}-${process.arch}`;

export function serverProgram(platform: string): Program {
  return {
    kind: 'server',
    name: 'holdfast-server',
    entries: { start: 'functions/standalone/main.ts', holdfast: 'cli/main.ts' },
    ownProcess: true,
    native: [platform],
    platform,
    page: true,
    workers: true,
    splitting: true,
  };
}

export function agentProgram(platform: string): Program {
  return {
    kind: 'agent',
    name: 'holdfast-agent',
    entries: { 'holdfast-agent': 'agent/main.ts' },
    ownProcess: true,
    native: [platform],
    platform,
    page: false,
    workers: false,
    splitting: true,
  };
}

/** The gateway is a container's program, the others are Lambda functions; each loader is `index.mjs`. */
export function functionProgram(name: FunctionName): Program {
  const isGateway = name === 'gateway';
  return {
    kind: isGateway ? 'gateway' : 'function',
    name: `holdfast-${name}`,
    entries: { index: isGateway ? 'functions/gateway/main.ts' : `functions/${name}/lambda.ts` },
    ownProcess: isGateway,
    native: isGateway ? ['linux-arm64', 'linux-x64'] : [],
    platform: 'any',
    page: name === 'admin',
    workers: false,
    splitting: false,
  };
}

/** What a container image is made from: the folder of its program is the image's whole context. */
export function imageFiles(name: FunctionName): Readonly<Record<string, string>> {
  const files = ['Dockerfile', 'rootfs.sh'].map((file) => [file, join(sourceRoot, 'functions', name, file)] as const);
  return Object.fromEntries(files.filter(([, path]) => existsSync(path)));
}

const shared: BuildOptions = {
  absWorkingDir: sourceRoot,
  bundle: true,
  platform: 'node',
  target: 'node24',
  format: 'esm',
  outExtension: { '.js': '.mjs' },
  // "main" first would take CommonJS copies, which die at load in a module.
  mainFields: ['module', 'main'],
  legalComments: 'none',
  logLevel: 'warning',
};

/** What is CommonJS all the same may require the modules of Node. */
const banner =
  "import { createRequire as holdfastRequire } from 'node:module'; const require = holdfastRequire(import.meta.url);";

const require = createRequire(import.meta.url);

/** Fills `directory`, which is to be empty. `keys` is the text of the key list that the loaders will trust. */
export async function buildProgram(program: Program, directory: string, keys: string): Promise<void> {
  mkdirSync(directory, { recursive: true, mode: 0o755 });
  await build({
    ...shared,
    entryPoints: program.entries,
    outdir: join(directory, 'programs'),
    splitting: program.splitting,
    banner: { js: banner },
  });
  if (program.workers) {
    await build({
      ...shared,
      format: 'cjs',
      outExtension: { '.js': '.cjs' },
      entryPoints: { 'verify-worker': 'lib/audit/verify-worker.ts' },
      outdir: join(directory, 'workers'),
      // It hashes and verifies nothing with keys.
      define: { 'import.meta.url': 'undefined' },
    });
  }
  for (const [path, source] of assetsOf(program)) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    copyFileSync(source, join(directory, path));
  }
  const gate = await buildGate(join(directory, gateFile));
  for (const entry of Object.keys(program.entries)) {
    const { kind, name, ownProcess } = program;
    const config: GateConfig = { kind, name, ownProcess, keys, program: `programs/${entry}.mjs` };
    await build({
      ...shared,
      entryPoints: ['gate/entry.ts'],
      outfile: join(directory, `${entry}.mjs`),
      define: { HOLDFAST_GATE: JSON.stringify(config), HOLDFAST_GATE_SHA256: JSON.stringify(gate) },
    });
  }
  writeFileSync(join(directory, 'package.json'), '{"type":"module"}\n');
}

/** One file without any import but Node's: what it is to judge, it must not load. Returns its digest. */
async function buildGate(outfile: string): Promise<string> {
  await build({
    ...shared,
    entryPoints: ['gate/gate.ts'],
    outfile,
    plugins: [
      {
        name: 'verify with node:crypto alone: libsodium is one of the things to be verified',
        setup: ({ onLoad }) =>
          onLoad({ filter: /[\\/]lib[\\/]crypto[\\/]sodium\.ts$/ }, () => ({
            contents: 'export const loadSodium = () => undefined;',
          })),
      },
    ],
  });
  return sha256Hex(readFileSync(outfile));
}

/** Path in the artifact, and where the source tree or an installed package has it. */
function assetsOf(program: Program): [path: string, source: string][] {
  const page = join(sourceRoot, 'functions/admin/page');
  const native = program.native.map((platform): [string, string] => [
    `native/sodium-native-${platform}.node`,
    join(dirname(require.resolve('sodium-native/package.json')), 'prebuilds', platform, 'sodium-native.node'),
  ]);
  return [
    ...(program.page ? readdirSync(page).map((name): [string, string] => [`page/${name}`, join(page, name)]) : []),
    ...native.filter(([, source]) => existsSync(source)),
  ];
}

/** The version in the product's `package.json`. */
export function sourceVersion(): string {
  return (JSON.parse(readFileSync(join(sourceRoot, 'package.json'), 'utf8')) as { version: string }).version;
}
