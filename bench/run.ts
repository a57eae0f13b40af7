/** `npm run bench [-- name …]`: runs the named benchmarks, or all of them, one after the other; each prints one line of JSON. */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';

const directory = import.meta.dirname;
const all = readdirSync(directory)
  .filter((file) => file.endsWith('.ts') && file !== basename(import.meta.filename))
  .map((file) => basename(file, '.ts'));
const names = process.argv.slice(2);
const unknown = names.filter((name) => !all.includes(name));

if (unknown.length > 0) {
  process.stderr.write(`error: no benchmark is called ${unknown.join(', ')}\nhint: there are ${all.join(', ')}\n`);
  process.exitCode = 2;
} else {
  for (const name of names.length > 0 ? names : all) {
    process.stderr.write(`${name}\n`);
    const { status } = spawnSync(process.execPath, [join(directory, `${name}.ts`)], { stdio: 'inherit' });
    if (status !== 0) process.exitCode = 1;
  }
}
