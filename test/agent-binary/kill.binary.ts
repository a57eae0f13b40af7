/** `kill -9` at every system call by which an update changes the disk, by fault injection of strace. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { formatKeys } from '../../lib/artifacts/keys.ts';
import { straceProblem } from '../conformance/syscalls.ts';
import { createBuilds } from '../fakes/builds.ts';

const child = fileURLToPath(new URL('./update-child.ts', import.meta.url));
/** strace counts each of them by itself. */
const calls = [
  ...['openat', 'write', 'pwrite64', 'writev', 'rename', 'renameat', 'renameat2', 'unlink', 'unlinkat', 'rmdir'],
  ...['mkdir', 'mkdirat', 'fsync', 'fdatasync', 'ftruncate', 'fchmod', 'chmod', 'link', 'linkat', 'symlink'],
];

test('R38 kill -9 at every system call that changes the disk: the next start runs old or new, and says which', async (t) => {
  const problem = straceProblem();
  if (problem !== undefined) return t.skip(problem);
  const builds = createBuilds();
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-kill-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const files: Record<string, string> = {};
  for (const version of ['1.1.0', '1.2.0']) {
    const { note, program } = await builds.build(version, { notAfter: 4_000_000_000_000 });
    files[version] = join(directory, version);
    writeFileSync(join(directory, version), program);
    writeFileSync(join(directory, `${version}.manifest`), note);
  }
  const keys = join(directory, 'keys');
  writeFileSync(keys, formatKeys(builds.keys));
  const seen = { old: 0, new: 0 };
  const killedAt: string[] = [];
  for (const call of calls) {
    for (let when = 1; ; when += 1) {
      const root = join(directory, 'root');
      rmSync(root, { recursive: true, force: true });
      mkdirSync(root);
      assert.equal(run(['1.1.0']).runs, 'a');
      // Past the last of these calls it goes through, and there is nothing to look at.
      if (!traced(root, call, when)) break;
      const at = `${call} ${when}`;
      killedAt.push(at);
      const next = run(['1.2.0', 'launch']);
      assert.ok(next.runs === 'a' || next.runs === 'b', `${at}: ${JSON.stringify(next)}`);
      assert.equal(next.outcome, next.runs === 'b' ? '1.2.0' : '1.1.0', `${at}: the start reports which`);
      seen[next.runs === 'b' ? 'new' : 'old'] += 1;
      // And the update can be had again, whatever was left behind.
      if (next.runs === 'a') assert.equal(run(['1.2.0']).runs, 'b', at);
    }
  }
  t.diagnostic(`killed at ${killedAt.length} system calls: ${seen.old} times old, ${seen.new} times new`);
  assert.ok(seen.old > 15 && seen.new > 5, JSON.stringify({ seen, killedAt }));
  return undefined;

  function argv([version = '', ...rest]: readonly string[]): string[] {
    const file = files[version] ?? '';
    return [child, join(directory, 'root'), keys, file, `${file}.manifest`, ...rest];
  }
  function run(args: readonly string[]): { readonly runs: string; readonly outcome: string } {
    const { status, stdout, stderr } = spawnSync(process.execPath, argv(args), { encoding: 'utf8' });
    assert.equal(status, 0, stderr);
    return JSON.parse(stdout);
  }
  /** Whether it died of it. */
  function traced(root: string, call: string, nth: number): boolean {
    const inside = ['', '/slots', '/update.json', '/update.json.new'];
    for (const slot of ['a', 'b']) {
      const file = `/slots/${slot}/holdfast-agent`;
      inside.push(`/slots/${slot}`, file, `${file}.new`, `${file}.manifest`, `${file}.manifest.new`);
    }
    const paths = inside.flatMap((path) => ['-P', `${root}${path}`]);
    const options = ['-f', '-qq', '-o', '/dev/null', ...paths, '-e', `inject=?${call}:signal=KILL:when=${nth}`];
    const env = { ...process.env, UV_USE_IO_URING: '0', UV_THREADPOOL_SIZE: '1' };
    const { signal, status, stderr } = spawnSync('strace', [...options, process.execPath, ...argv(['1.2.0'])], {
      encoding: 'utf8',
      env,
    });
    if (signal !== 'SIGKILL' && status !== 137) assert.equal(status, 0, stderr);
    return signal === 'SIGKILL' || status === 137;
  }
});
