/**
 * From the source tree to artifact directories: the programs bundled, the files that they need beside their code, and
 * one loader an entry. The same tree gives the same bytes, wherever it lies. Signing is sign.ts.
 */
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type BuildOptions, build } from 'esbuild';
import type { GateConfig } from '../gate/config.ts';
import type { ArtifactKind } from '../lib/artifacts/manifest.ts';

export const sourceRoot = fileURLToPath(new URL('..', import.meta.url));

export interface Program {
  readonly kind: ArtifactKind;
  readonly name: string;
  /** Name of the loader, and the module behind it. */
  readonly entries: Readonly<Record<string, string>>;
  readonly loader: 'gate/program.ts' | 'gate/function.ts';
  /** Platforms whose native modules go in; empty: none. */
  readonly native: readonly string[];
  /** The manifest's; `any` runs everywhere, on `node:crypto` where it has no native module. */
  readonly platform: string;
  readonly page: boolean;
  readonly workers: boolean;
}

export const thisPlatform = `${process.platform}-${process.arch}`;

export function serverProgram(platform: string): Program {
  return {
    kind: 'server',
    name: 'holdfast-server',
    entries: { start: 'functions/standalone/main.ts', holdfast: 'cli/main.ts' },
    loader: 'gate/program.ts',
    native: [platform],
    platform,
    page: true,
    workers: true,
  };
}

export function agentProgram(platform: string): Program {
  return {
    kind: 'agent',
    name: 'holdfast-agent',
    entries: { 'holdfast-agent': 'agent/main.ts' },
    loader: 'gate/program.ts',
    native: [platform],
    platform,
    page: false,
    workers: false,
  };
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
    splitting: program.loader === 'gate/program.ts',
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
  for (const entry of Object.keys(program.entries)) {
    await buildLoader(program, join(directory, `${entry}.mjs`), {
      kind: program.kind,
      name: program.name,
      keys,
      program: `programs/${entry}.mjs`,
    });
  }
  writeFileSync(join(directory, 'package.json'), '{"type":"module"}\n');
}

/** The loader is one file without any import but Node's: what it loads is for it to judge. */
async function buildLoader(program: Program, outfile: string, config: GateConfig): Promise<void> {
  await build({
    ...shared,
    entryPoints: [program.loader],
    outfile,
    define: { HOLDFAST_GATE: JSON.stringify(config) },
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
}

/** Path in the artifact, and where the source tree or an installed package has it. */
function assetsOf(program: Program): [path: string, source: string][] {
  const page = join(sourceRoot, 'functions/admin/page');
  const native = program.native.map((platform): [string, string] => [
    `native/sodium-native-${platform}.node`,
    join(dirname(require.resolve('sodium-native/package.json')), 'prebuilds', platform, 'sodium-native.node'),
  ]);
  return [
    ['grammar/web-tree-sitter.wasm', require.resolve('web-tree-sitter/web-tree-sitter.wasm')],
    ['grammar/tree-sitter-bash.wasm', require.resolve('@vscode/tree-sitter-wasm/wasm/tree-sitter-bash.wasm')],
    ...(program.page ? readdirSync(page).map((name): [string, string] => [`page/${name}`, join(page, name)]) : []),
    ...native.filter(([, source]) => existsSync(source)),
  ];
}

/** The version in the product's `package.json`. */
export function sourceVersion(): string {
  return (JSON.parse(readFileSync(join(sourceRoot, 'package.json'), 'utf8')) as { version: string }).version;
}
