/** `npm run test:hardening`: what needs tools of the system, strace above all. Without them it says so and exits with 0. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

if (
  process.platform !== 'linux' ||
  ['strace', 'timeout'].some((tool) => spawnSync(tool, ['--version']).error !== undefined)
) {
  process.stdout.write('NOT TESTED: the hardening tests need Linux, strace and timeout\n0 passed, 0 failed\n');
  process.exit(0);
}
const file = fileURLToPath(new URL('gate.ts', import.meta.url));
const { status } = spawnSync(process.execPath, ['--test', '--test-concurrency=1', file], { stdio: 'inherit' });
process.exitCode = status ?? 1;
