import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { sha256Hex } from '../crypto/digest.ts';
import { AccessError } from './errors.ts';
import { mintLocalAdmin, readLocalAdminToken } from './local-admin.ts';

async function scratch(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-access-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return join(directory, 'run');
}

const hasCode = (code: string) => (error: unknown) => error instanceof AccessError && error.code === code;

test('R27 the token file is 0600 in a 0700 directory and holds the token that is accepted', async (t) => {
  const run = await scratch(t);
  const admin = await mintLocalAdmin(run);
  assert.equal((await stat(run)).mode & 0o777, 0o700);
  assert.equal((await stat(admin.path)).mode & 0o777, 0o600);
  const token = await readLocalAdminToken(run);
  assert.match(token, /^hfla_[A-Za-z0-9_-]{43}$/);
  assert.equal(admin.verify(token), true);
});

test('R27 a new boot mints a new token and the old one is dead', async (t) => {
  const run = await scratch(t);
  const first = await mintLocalAdmin(run);
  const old = await readLocalAdminToken(run);
  const second = await mintLocalAdmin(run);
  const fresh = await readLocalAdminToken(run);
  assert.notEqual(old, fresh);
  assert.equal(second.verify(old), false);
  assert.equal(second.verify(fresh), true);
  assert.equal(first.verify(fresh), false);
  assert.deepEqual(await readdir(run), ['local-admin.token']);
});

test('R27 near misses are refused', async (t) => {
  const run = await scratch(t);
  const admin = await mintLocalAdmin(run);
  const token = await readLocalAdminToken(run);
  const last = token.endsWith('A') ? 'E' : 'A';
  for (const presented of [
    '',
    ' ',
    token.slice(0, -1),
    `${token}A`,
    `${token} `,
    `${token}\n`,
    token.slice(0, -1) + last,
    token.toUpperCase(),
    token.replace('hfla_', 'vgot_'),
    sha256Hex(token),
    'x'.repeat(1_000_000),
  ]) {
    assert.equal(admin.verify(presented), false, JSON.stringify(presented.slice(0, 60)));
  }
});

test('R27 the token can not be had from the value that the server holds', async (t) => {
  const run = await scratch(t);
  const admin = await mintLocalAdmin(run);
  const token = await readLocalAdminToken(run);
  assert.equal(JSON.stringify(admin).includes(token), false);
});

test('R27 a clean stop takes the file away, and a client then reads "missing"', async (t) => {
  const run = await scratch(t);
  const admin = await mintLocalAdmin(run);
  await admin.remove();
  await admin.remove();
  await assert.rejects(readLocalAdminToken(run), hasCode('missing'));
});

test('R27 a run directory that others can reach is refused, with the remedy', async (t) => {
  const run = await scratch(t);
  await mkdir(run, { mode: 0o700 });
  await chmod(run, 0o750);
  await assert.rejects(mintLocalAdmin(run), (error: unknown) => {
    assert.ok(error instanceof AccessError);
    assert.equal(error.code, 'loose_permissions');
    assert.match(error.message, /chmod 700 /);
    return true;
  });
  assert.deepEqual(await readdir(run), []);
});

test('R27 a run directory behind a symbolic link is refused', async (t) => {
  const run = await scratch(t);
  const elsewhere = `${run}-elsewhere`;
  await mkdir(elsewhere, { mode: 0o700 });
  await symlink(elsewhere, run);
  await assert.rejects(mintLocalAdmin(run), hasCode('loose_permissions'));
  assert.deepEqual(await readdir(elsewhere), []);
});

test('R27 a token file that others could have read is refused by the client', async (t) => {
  const run = await scratch(t);
  const admin = await mintLocalAdmin(run);
  await chmod(admin.path, 0o640);
  await assert.rejects(readLocalAdminToken(run), hasCode('loose_permissions'));
});

test('R27 a token file with anything else in it is malformed', async (t) => {
  const run = await scratch(t);
  const admin = await mintLocalAdmin(run);
  const token = (await readFile(admin.path, 'utf8')).trim();
  for (const text of ['', 'hfla_short', `${token}${token}`]) {
    await writeFile(admin.path, text);
    await assert.rejects(readLocalAdminToken(run), hasCode('malformed'));
  }
});
