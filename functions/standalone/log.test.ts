import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, stat, symlink, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createServerLog } from './log.ts';

test('a full disk costs log lines other than errors, and never the server', {
  skip: process.platform !== 'linux',
}, async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-log-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const said: string[] = [];
  t.mock.method(process.stderr, 'write', (text: string) => said.push(text) > 0);
  const path = join(directory, 'server.log');
  await symlink('/dev/full', path);
  const log = createServerLog(path);
  log.info('one');
  log.error({ err: new Error('two') }, 'two');
  assert.equal(said.length, 2);
  assert.match(said[0] ?? '', /server\.log can't be written \(ENOSPC\)/);
  assert.match(said[1] ?? '', /"msg":"two"/);
});

test('a log whose directory was removed is said once, errors are still told, and it goes on when it is back', async (t) => {
  const parent = await mkdtemp(join(tmpdir(), 'holdfast-log-'));
  t.after(() => rm(parent, { recursive: true, force: true }));
  const said: string[] = [];
  t.mock.method(process.stderr, 'write', (text: string) => said.push(text) > 0);
  const directory = join(parent, 'state');
  await mkdir(directory);
  const path = join(directory, 'server.log');
  const log = createServerLog(path);
  log.info('before');
  await rm(directory, { recursive: true });
  log.info('lost');
  log.error('told');
  log.warn('lost too');
  assert.equal(said.length, 2);
  assert.match(said[0] ?? '', /server\.log can't be written \(ENOENT\)/);
  assert.match(said[1] ?? '', /"msg":"told"/);
  await mkdir(directory);
  log.info('after');
  const lines = (await readFile(path, 'utf8')).trim().split('\n');
  assert.deepEqual(
    lines.map((line) => JSON.parse(line) as { msg: string; lost?: number }).map(({ msg, lost }) => lost ?? msg),
    [3, 'after'],
  );
});

test('the log is for its owner alone, appended to, and each line is an object', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-log-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const path = join(directory, 'server.log');
  createServerLog(path).info({ request: { token: 'hidden' } }, 'one');
  createServerLog(path).info('two');
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  const lines = (await readFile(path, 'utf8')).trimEnd().split('\n');
  assert.deepEqual(
    lines.map((line) => (JSON.parse(line) as { msg: string }).msg),
    ['one', 'two'],
  );
  assert.doesNotMatch(lines.join(), /hidden/);
  await unlink(path);
  assert.throws(() => createServerLog(join(directory, 'absent', 'server.log')), /ENOENT/);
});
