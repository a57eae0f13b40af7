/**
 * `npm run test:hardening`: what needs tools of the system: strace, gdb, a C compiler. What can't be tested without one of
 * them is named, and fails nothing.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

if (process.platform !== 'linux') {
  process.stdout.write('NOT TESTED: the hardening tests need Linux\n0 passed, 0 failed\n');
  process.exit(0);
}
const isThere = (tool) => spawnSync(tool, ['--version']).error === undefined;
const missing = ['strace', 'timeout', 'gdb', 'cc'].filter((tool) => !isThere(tool));
const files = ['gate.ts', 'detection.ts']
  .filter((name) => name !== 'gate.ts' || (isThere('strace') && isThere('timeout')))
  .map((name) => fileURLToPath(new URL(name, import.meta.url)));
const { status } = spawnSync(process.execPath, ['--test', '--test-concurrency=1', ...files], { stdio: 'inherit' });
for (const tool of missing) process.stdout.write(`NOT TESTED: what needs ${tool}, which is not installed\n`);
process.exitCode = status ?? 1;
