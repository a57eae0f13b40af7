/**
 * `npm run build`: every server function in dist/functions/<name>/, which is what ships and what the tests start: a
 * loader, `index.mjs`, and behind its startup gate the bundle. `node functions/build.mjs DIR [name …]` writes to another
 * directory, and only what is named. The same tree gives the same bytes, on one machine: the key that signs was made by
 * the first build there. `npm run release` signs with the release's keys.
 */
import { readdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { developmentSigner, signedBuild } from '../build/develop.ts';
import { functionProgram, imageFiles, sourceRoot } from '../build/programs.ts';
import { functionNames } from './aws/environment.ts';

const target = resolve(process.argv[2] ?? join(sourceRoot, 'dist/functions'));
const signer = developmentSigner(join(sourceRoot, '.cache/development-key/functions.pem'));

const named = process.argv.slice(3);
for (const name of functionNames) {
  if (named.length > 0 && !named.includes(name)) continue;
  const directory = join(target, name);
  rmSync(directory, { recursive: true, force: true });
  const notAfter = Date.parse('2100-01-01T00:00:00Z');
  await signedBuild(functionProgram(name), directory, { ...signer, notAfter, more: imageFiles(name) });
}

process.stdout.write(`${target}: ${readdirSync(target).join(', ')}\n`);
