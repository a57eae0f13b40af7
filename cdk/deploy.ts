/** `npm run deploy -- [-c key=value …]`: builds on what `npm run build` left, and rolls out in the right order. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { RolloutError, rollOut } from './rollout.ts';

try {
  await rollOut(process.argv.slice(2), {
    run(command, args, { capture = false } = {}) {
      const { status, stdout, error } = spawnSync(command, args, {
        stdio: ['inherit', capture ? 'pipe' : 'inherit', 'inherit'],
        encoding: 'utf8',
      });
      if (error !== undefined) throw error;
      if (status !== 0) throw new Error(`${command} ${args[0] ?? ''} failed`);
      return capture ? stdout : '';
    },
    has: (command) => spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0,
    read: (path) => readFileSync(path, 'utf8'),
    sleep: (ms) => sleep(ms),
    say: (text) => process.stderr.write(`${text}\n`),
    outdir: 'cdk.out',
  });
} catch (error) {
  process.stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\n`);
  if (error instanceof RolloutError) process.stderr.write(`hint: ${error.hint}\n`);
  process.exitCode = 1;
}
