import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { access, chmod, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { run, withDirectory } from '../../test/conformance/executor-fixture.ts';
import { straceProblem, trace, writesIn } from '../../test/conformance/syscalls.ts';
import { createLocalHost } from '../local-host.ts';
import { checkout, gitCommand } from '../platform/git.ts';
import { git } from './git.ts';

const skip = spawnSync('git', ['--version']).error === undefined ? false : 'git is not installed: apt-get install git';

const identity = ['-c', 'user.name=t', '-c', 'user.email=t@example.com', '-c', 'commit.gpgsign=false'];

function inRepository(directory: string, ...args: string[]): string {
  const environment = { PATH: process.env['PATH'], HOME: directory, GIT_CONFIG_NOSYSTEM: '1' };
  return execFileSync('git', [...identity, ...args], { cwd: directory, encoding: 'utf8', env: environment }).trim();
}

/** A repository with two commits, a tag on the first, and a hook that shows when it is run. */
async function origin(base: string): Promise<{ path: string; first: string; second: string }> {
  const path = join(base, 'origin');
  await mkdir(path, { mode: 0o755 });
  inRepository(path, 'init', '-q', '-b', 'main');
  await writeFile(join(path, 'a'), 'one\n');
  inRepository(path, 'add', '.');
  inRepository(path, 'commit', '-q', '-m', 'one');
  const first = inRepository(path, 'rev-parse', 'HEAD');
  inRepository(path, 'tag', '-a', 'v1', '-m', 'v1');
  await writeFile(join(path, 'a'), 'two\n');
  inRepository(path, 'commit', '-q', '-a', '-m', 'two');
  return { path, first, second: inRepository(path, 'rev-parse', 'HEAD') };
}

function withOrigin(work: (base: string, from: Awaited<ReturnType<typeof origin>>) => Promise<void>): Promise<void> {
  return withDirectory(async (base) => work(base, await origin(base)));
}

const declare = (base: string, repository: string, ref: string) => [
  { type: 'git', desired: { path: join(base, 'work'), repository, ref } },
];
const content = (base: string) => readFile(join(base, 'work/a'), 'utf8');

test('R17 a branch, a tag and a commit are checked out, followed, and restored after drift', { skip }, async () => {
  await withOrigin(async (base, { path, first, second }) => {
    const results: unknown[] = [];
    const take = async (ref: string) =>
      results.push((await run(declare(base, path, ref)))[0]?.result, await content(base));
    await take('main');
    await take('main');
    await take('v1');
    await take(second);
    await take(first);
    assert.deepEqual(results, [
      'created',
      'two\n',
      'unchanged',
      'two\n',
      'updated',
      'one\n',
      'updated',
      'two\n',
      'updated',
      'one\n',
    ]);

    await writeFile(join(base, 'work/a'), 'changed\n');
    await writeFile(join(base, 'work/other'), 'mine\n');
    const [dry] = await run(declare(base, path, first), { dryRun: true });
    assert.deepEqual([dry?.result, dry?.reason, await content(base)], ['updated', 'files were changed', 'changed\n']);
    assert.equal((await run(declare(base, path, first)))[0]?.result, 'updated');
    assert.equal(await content(base), 'one\n');
    await access(join(base, 'work/other'));
    await writeFile(join(path, 'a'), 'three\n');
    inRepository(path, 'commit', '-q', '-a', '-m', 'three');
    await take('main');
    assert.deepEqual(results.slice(-2), ['updated', 'three\n']);
  });
});

test('R17 killed before any of its steps, it converges on the next run', { skip }, async () => {
  await withOrigin(async (base, { path, second }) => {
    class Kill extends Error {}
    for (let killAt = 0; ; killAt += 1) {
      await rm(join(base, 'work'), { recursive: true, force: true });
      let steps = 0;
      const step = () => {
        steps += 1;
        if (steps > killAt) throw new Kill();
      };
      await run(declare(base, path, second), { step });
      // What a git that was killed leaves behind.
      if ((await readdir(base)).includes('work') && (await readdir(join(base, 'work'))).includes('.git')) {
        await writeFile(join(base, 'work/.git/index.lock'), '');
      }
      const [outcome] = await run(declare(base, path, second));
      if (steps > killAt) {
        assert.notEqual(outcome?.result, 'failed', `killed at step ${killAt}: ${outcome?.reason}`);
      }
      assert.equal(await content(base), 'two\n');
      if (steps <= killAt) break;
    }
  });
});

test('R17 a check writes nothing, not even the index', { skip: skip || (straceProblem() ?? false) }, async () => {
  await withOrigin(async (base, { path, second }) => {
    await run(declare(base, path, second));
    const work = join(base, 'work');
    // A changed time makes git want to refresh its index.
    await writeFile(join(work, 'a'), 'two\n');
    const status = gitCommand(work, undefined)(['--git-dir=.git', 'status', '--porcelain']);
    const environment = Object.entries(status.environment ?? {}).map(([name, value]) => `${name}=${value}`);
    const { calls } = trace(['env', '-C', work, ...environment, ...status.argv], join(base, 'trace'), (file) =>
      execFileSync('cat', [file], { encoding: 'utf8' }),
    );
    assert.ok(calls.length > 0);
    assert.deepEqual(writesIn(calls, work), []);
    assert.deepEqual((await run(declare(base, path, second)))[0]?.result, 'unchanged');
  });
});

test('nothing of a repository is run: no hooks, no submodules, no file monitor', { skip }, async () => {
  await withOrigin(async (base, { path }) => {
    const ran = join(base, 'ran');
    await run(declare(base, path, 'v1'));
    const hooks = join(base, 'work/.git/hooks');
    await mkdir(hooks, { recursive: true });
    for (const hook of ['post-checkout', 'reference-transaction', 'post-index-change']) {
      await writeFile(join(hooks, hook), `#!/bin/sh\ntouch ${ran}\n`);
      await chmod(join(hooks, hook), 0o755);
    }
    inRepository(join(base, 'work'), 'config', 'core.hooksPath', hooks);
    inRepository(join(base, 'work'), 'config', 'core.fsmonitor', `touch ${ran}`);
    await rm(ran, { force: true });
    assert.equal((await run(declare(base, path, 'main')))[0]?.result, 'updated');
    assert.equal((await run(declare(base, path, 'main')))[0]?.result, 'unchanged');
    await assert.rejects(access(ran));
  });
});

test('a directory with something else in it stays as it is', { skip }, async () => {
  await withOrigin(async (base, { path }) => {
    await mkdir(join(base, 'work'), { mode: 0o755 });
    await writeFile(join(base, 'work/data'), 'mine');
    const [outcome] = await run(declare(base, path, 'main'));
    assert.match(outcome?.reason ?? '', /holds something else than a checkout/);
    assert.deepEqual(await readdir(join(base, 'work')), ['data']);
    const [unknown] = await run(declare(join(base, 'origin'), path, 'no-such'));
    assert.match(unknown?.reason ?? '', /has no branch or tag "no-such"/);
  });
});

test('a `.git` that leads elsewhere is not taken for a checkout', { skip }, async () => {
  await withOrigin(async (base, { path }) => {
    await mkdir(join(base, 'work'), { mode: 0o755 });
    await writeFile(join(base, 'work/.git'), `gitdir: ${path}/.git\n`);
    const place = { path: join(base, 'work') };
    const state = await checkout(
      createLocalHost(),
      gitCommand(place.path, undefined),
      place,
      new AbortController().signal,
    );
    assert.deepEqual(state, { head: undefined, isChanged: false });
  });
});

test('a repository that would run a command, or hold a password, is refused', () => {
  const good = { path: '/srv/x', repository: 'https://example.com/x.git', ref: 'main' };
  assert.equal(git.schema.safeParse(good).success, true);
  assert.equal(git.schema.safeParse({ ...good, repository: 'git@example.com:x/y.git' }).success, true);
  for (const repository of [
    'ext::sh -c x',
    '-u x',
    '--upload-pack=x',
    'https://u:p@example.com/x',
    'http://example.com/x',
    'fd::3',
    'ssh://-oProxyCommand=x/y',
    'a@-oProxyCommand:x',
    '../x',
  ]) {
    assert.equal(git.schema.safeParse({ ...good, repository }).success, false, repository);
  }
  for (const ref of ['-x', 'a..b', 'a b', 'a@{1}', 'x.lock', '', '+main:x']) {
    assert.equal(git.schema.safeParse({ ...good, ref }).success, false, ref);
  }
});
