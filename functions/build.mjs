/**
 * `npm run build`: every server function as one file in dist/functions/<name>/, which is what ships and what the tests
 * import. The same tree gives the same bytes. `node functions/build.mjs DIR [name …]` writes to another directory, and only what is named.
 */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const target = resolve(process.argv[2] ?? join(root, 'dist/functions'));

/** `lambda` functions export `handler`; the gateway is a program. */
const entries = {
  gateway: 'functions/gateway/main.ts',
  identity: 'functions/identity/lambda.ts',
  admin: 'functions/admin/lambda.ts',
  sealer: 'functions/sealer/lambda.ts',
  secrets: 'functions/secrets/lambda.ts',
};

/** Native, so it can't be bundled. Without it, as in the Lambda functions, Ed25519 is verified by `node:crypto`. */
const native = { gateway: ['sodium-native'] };
const nativePlatforms = ['linux-arm64', 'linux-x64'];

const named = process.argv.slice(3);
for (const [name, entry] of Object.entries(entries)) {
  if (named.length > 0 && !named.includes(name)) continue;
  const directory = join(target, name);
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  await build({
    absWorkingDir: root,
    entryPoints: [entry],
    outfile: join(directory, 'index.mjs'),
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    // "main" first would take CommonJS copies, which die at load in a module.
    mainFields: ['module', 'main'],
    // What is CommonJS all the same may require the modules of Node.
    banner: {
      js: "import { createRequire as holdfastRequire } from 'node:module'; const require = holdfastRequire(import.meta.url);",
    },
    legalComments: 'none',
    logLevel: 'warning',
  });
  writeFileSync(join(directory, 'package.json'), '{"type":"module"}\n');
  // The folder is the image's whole context.
  for (const file of ['Dockerfile', 'rootfs.sh']) {
    const image = join(root, 'functions', name, file);
    if (existsSync(image)) cpSync(image, join(directory, file));
  }
  for (const each of native[name] ?? []) copyPackage(each, join(directory, 'node_modules'));
}

/** A package with all that it needs, and of its binaries those that the container may run on. */
function copyPackage(name, modules) {
  const source = join(root, 'node_modules', name);
  const destination = join(modules, name);
  if (existsSync(destination)) return;
  cpSync(source, destination, {
    recursive: true,
    filter: (path) => {
      const [, platform] = path.split(/[\\/]prebuilds[\\/]/);
      return platform === undefined || nativePlatforms.includes(platform.split(/[\\/]/)[0]);
    },
  });
  const { dependencies = {} } = JSON.parse(readFileSync(join(source, 'package.json'), 'utf8'));
  for (const each of Object.keys(dependencies)) copyPackage(each, modules);
}

process.stdout.write(`${target}: ${readdirSync(target).join(', ')}\n`);
