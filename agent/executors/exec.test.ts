import assert from 'node:assert/strict';
import { access, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { executorConformance } from '../../test/conformance/executor.ts';
import { content, run, withDirectory } from '../../test/conformance/executor-fixture.ts';
import { createLocalHost } from '../local-host.ts';
import { exec } from './exec.ts';

executorConformance({
  type: 'exec',
  hasPath: false,
  cases: [
    {
      title: 'until a path is there',
      declare: (directory) => ({
        type: 'exec',
        desired: { command: 'umask 022; echo made > made', cwd: directory, creates: join(directory, 'made') },
      }),
      first: 'created',
      drift: (directory) => rm(join(directory, 'made')),
    },
    {
      title: 'unless a command succeeds',
      declare: (directory) => ({
        type: 'exec',
        desired: {
          name: 'value',
          command: ['/bin/sh', '-c', 'umask 022; echo wanted > value'],
          cwd: directory,
          unless: ['grep', '-q', 'wanted', join(directory, 'value')],
        },
      }),
      prepare: (directory) => writeFile(join(directory, 'value'), 'other\n', { mode: 0o644 }),
      first: 'updated',
      drift: (directory) => writeFile(join(directory, 'value'), 'other\n'),
    },
    {
      title: 'only while a command succeeds',
      declare: (directory) => ({
        type: 'exec',
        desired: { command: 'rm stale', cwd: directory, onlyif: 'test -e stale' },
      }),
      prepare: (directory) => writeFile(join(directory, 'stale'), ''),
      first: 'updated',
      drift: (directory) => writeFile(join(directory, 'stale'), ''),
    },
  ],
});

test('a command without a guard is refused', () => {
  assert.equal(exec.schema.safeParse({ command: 'true' }).success, false);
  assert.equal(exec.schema.safeParse({ command: 'true', refresh: true }).success, false);
  assert.equal(exec.schema.safeParse({ command: 'true', onlyif: 'true' }).success, true);
});

test('a command whose guard still says "to do" afterwards failed', async () => {
  const [outcome] = await run([{ type: 'exec', desired: { command: 'true', unless: 'false' } }]);
  assert.equal(outcome?.result, 'failed');
  assert.match(outcome?.reason ?? '', /still not as desired/);
});

test('a command that fails says how it exited, with the end of its output', async () => {
  const command = 'head -c 100000 /dev/zero | tr "\\0" x; echo the end >&2; exit 7';
  const [outcome] = await run([{ type: 'exec', desired: { command, unless: 'false' } }]);
  assert.equal(outcome?.result, 'failed');
  assert.match(outcome?.reason ?? '', /^the command exited with 7: x/);
  assert.match(outcome?.reason ?? '', /the end$/);
  assert.ok((outcome?.reason.length ?? 0) < 2100);
});

test('a command that succeeds reports none of its output', async () => {
  await withDirectory(async (directory) => {
    const desired = { command: 'echo secret; touch made', cwd: directory, creates: join(directory, 'made') };
    const outcomes = await run([{ type: 'exec', desired }]);
    assert.equal(outcomes[0]?.result, 'created');
    assert.doesNotMatch(JSON.stringify(outcomes[0]?.reason), /secret/);
  });
});

test('a program that is not there is one clear failure', async () => {
  const [outcome] = await run([{ type: 'exec', desired: { command: ['/nowhere/program'], unless: 'false' } }]);
  assert.equal(outcome?.result, 'failed');
  assert.match(outcome?.reason ?? '', /can't run "\/nowhere\/program": the program or its working directory/);
});

test('when its time is up, a command is killed with all that it started', { timeout: 20_000 }, async (t) => {
  await withDirectory(async (directory) => {
    const host = createLocalHost();
    const time = new AbortController();
    const started = join(directory, 'started');
    const running = host.run({
      argv: ['/bin/sh', '-c', `sleep 60 & echo $! > ${started}.new; mv ${started}.new ${started}; wait`],
      signal: time.signal,
    });
    const killed = assert.rejects(running, /was killed because its time was up/);
    while (!t.signal.aborted && !(await exists(started))) {
      await new Promise(setImmediate);
    }
    time.abort();
    await killed;
    const pid = Number(await readFile(started, 'utf8'));
    while (!t.signal.aborted && (await isRunning(pid))) {
      await new Promise(setImmediate);
    }
  });
});

test('commands get none of the agent’s own environment', async () => {
  const signal = new AbortController().signal;
  const { output } = await createLocalHost().probe({ argv: ['/usr/bin/env'], signal });
  const names = output
    .trim()
    .split('\n')
    .map((entry) => entry.split('=')[0])
    .sort();
  assert.deepEqual(names, ['HOME', 'LC_ALL', 'PATH']);
});

test('with refresh, a command runs when a change notifies it, and not otherwise', async () => {
  await withDirectory(async (directory) => {
    const path = join(directory, 'conf');
    const log = join(directory, 'log');
    const declared = [
      { type: 'file', desired: { path, content: content('a') }, notify: ['exec/reload'] },
      {
        type: 'exec',
        desired: { name: 'reload', command: `echo reloaded >> ${log}`, refresh: true, onlyif: 'true' },
      },
    ];
    assert.deepEqual(
      (await run(declared, { dryRun: true })).map(({ result }) => result),
      ['created', 'updated'],
    );
    assert.deepEqual(
      (await run(declared)).map(({ result }) => result),
      ['created', 'updated'],
    );
    assert.equal(await readFile(log, 'utf8'), 'reloaded\n');
    assert.deepEqual(
      (await run(declared)).map(({ result }) => result),
      ['unchanged', 'unchanged'],
    );
    assert.equal(await readFile(log, 'utf8'), 'reloaded\n');
  });
});

test('with refresh, the guard still has its say', async () => {
  const desired = { name: 'reload', command: 'false', refresh: true, onlyif: 'false' };
  const [outcome] = await run([{ type: 'exec', desired }], { notified: ['test:exec/reload'] });
  assert.equal(outcome?.result, 'unchanged');
});

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** A process that was killed, but whose parent hasn't taken notice, is a zombie: no longer running. */
async function isRunning(pid: number): Promise<boolean> {
  const status = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  return status !== undefined && !/\) Z /.test(status);
}
