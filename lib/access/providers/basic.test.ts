import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAccessWorld, dumpStore } from '../../../test/fakes/access.ts';
import { setPassword, setState, unlock } from '../accounts.ts';
import { localAdminCaller } from '../caller.ts';
import { AccessError } from '../errors.ts';
import { beginAttempt, freeAttempts } from '../lockout.ts';
import { createPasswords } from '../passwords.ts';
import { createBasicProvider } from './basic.ts';

const password = 'correct horse battery staple';
const caller = localAdminCaller;

const failsWith = (code: string, reason?: string) => (error: unknown) =>
  error instanceof AccessError && error.code === code && (reason === undefined || error.reason === reason);

async function setUp() {
  const world = createAccessWorld();
  const passwords = await createPasswords(world);
  const provider = createBasicProvider({ ...world.deps, passwords });
  const accounts = { ...world.deps, passwords };
  await world.user('alice', 'viewer');
  await setPassword(accounts, { name: 'alice', caller, password });
  const logIn = (name: string, secret: string) => provider.finish({ name, password: secret }, undefined);
  return { ...world, accounts, passwords, logIn };
}

test('R18 basic: the right password, under any spelling of the name', async () => {
  const { logIn } = await setUp();
  for (const name of ['alice', 'ALICE', ' alice ', 'ａlice']) {
    const finished = await logIn(name, password);
    assert.ok(finished.kind === 'identified' && finished.user.name === 'alice');
  }
});

test('R18 incident 22: unknown user, user without a password and wrong password read the same', async () => {
  const { logIn, user } = await setUp();
  await user('bob', 'viewer');
  const texts = new Set<string>();
  for (const [name, secret, reason] of [
    ['alice', 'wrong', 'wrong_password'],
    ['nobody', password, 'unknown_user'],
    ['bob', password, 'wrong_password'],
    ['\u0000', password, 'unknown_user'],
  ] as const) {
    await assert.rejects(logIn(name, secret), (error) => {
      assert.ok(failsWith('refused', reason)(error), name);
      texts.add((error as Error).message);
      return true;
    });
  }
  assert.equal(texts.size, 1);
});

test('R18 incident 22: an unknown user costs the same work: reads, opening and hash', async () => {
  const world = createAccessWorld();
  const counts = { get: 0, open: 0 };
  const get: typeof world.store.get = (key) => {
    counts.get += 1;
    return world.store.get(key);
  };
  const open: typeof world.sealer.open = (sealed, context) => {
    counts.open += 1;
    return world.sealer.open(sealed, context);
  };
  const store = { ...world.store, get };
  const passwords = await createPasswords({ store, sealer: { ...world.sealer, open } });
  const provider = createBasicProvider({ store, now: world.now, passwords });
  await world.user('alice', 'viewer');
  await setPassword({ ...world.deps, passwords }, { name: 'alice', caller, password });
  const work: string[] = [];
  for (const name of ['alice', 'nobody']) {
    Object.assign(counts, { get: 0, open: 0 });
    await assert.rejects(provider.finish({ name, password: 'wrong' }, undefined));
    work.push(JSON.stringify(counts));
  }
  assert.equal(work[0], work[1]);
  assert.match(work[0] ?? '', /"open":1/);
});

test('R18 basic: white space and case of a password count; only its composition does not', async () => {
  const { accounts, logIn } = await setUp();
  await setPassword(accounts, { name: 'alice', caller, password: 'pässwörd with ümlauts' });
  for (const wrong of ['pässwörd with ümlauts ', ' pässwörd with ümlauts', 'PÄSSWÖRD WITH ÜMLAUTS'])
    await assert.rejects(logIn('alice', wrong), failsWith('refused'));
  assert.equal((await logIn('alice', 'pässwörd with ümlauts'.normalize('NFD'))).kind, 'identified');
});

test('a password has 12 to 256 characters', async () => {
  const { accounts } = await setUp();
  for (const bad of ['', 'short', 'x'.repeat(11), 'x'.repeat(257)])
    await assert.rejects(setPassword(accounts, { name: 'alice', caller, password: bad }), failsWith('malformed'));
  await setPassword(accounts, { name: 'alice', caller, password: 'x'.repeat(256) });
});

test('R18 incident 25: a disabled user is refused with the right password', async () => {
  const { accounts, logIn } = await setUp();
  await setState(accounts, { name: 'alice', caller, state: 'disabled' });
  await assert.rejects(logIn('alice', password), failsWith('refused', 'user_disabled'));
});

test('R18 incident 22: lockout counts the normalised name, known or not, and backs off', async () => {
  for (const spellings of [
    ['alice', 'ALICE', ' alice', 'ａｌｉｃｅ', 'alice\t'],
    ['nobody', 'NoBody', 'nobody ', ' NOBODY', 'ｎobody'],
  ]) {
    const { deps, clock } = await setUp();
    assert.equal(spellings.length, freeAttempts);
    for (const name of spellings) await beginAttempt(deps, name);
    const waits: number[] = [];
    for (let i = 0; i < 8; i++) {
      await assert.rejects(beginAttempt(deps, spellings[i % spellings.length] ?? ''), (error) => {
        assert.ok(failsWith('throttled', 'locked_out')(error));
        waits.push((error as AccessError).retryAfterMs ?? 0);
        return true;
      });
      clock.time += waits.at(-1) ?? 0;
      await beginAttempt(deps, spellings[0] ?? '');
    }
    assert.deepEqual(
      waits,
      [30, 60, 120, 240, 480, 900, 900, 900].map((s) => s * 1000),
    );
  }
});

test('R18 guesses at the same time count as often as one after the other', async () => {
  const { deps } = await setUp();
  const results = await Promise.allSettled(Array.from({ length: 40 }, () => beginAttempt(deps, 'alice')));
  assert.ok(results.filter(({ status }) => status === 'fulfilled').length <= freeAttempts);
});

test('R18 a locked-out name is refused before the slow hash, and a right password or an administrator clears the count', async () => {
  const { deps, accounts, logIn, clock, sealer } = await setUp();
  for (let i = 0; i < freeAttempts - 1; i++) await assert.rejects(logIn('alice', 'wrong'), failsWith('refused'));
  assert.equal((await logIn('alice', password)).kind, 'identified');
  for (let i = 0; i < freeAttempts; i++) await beginAttempt(deps, 'alice');
  sealer.open = assert.fail;
  await assert.rejects(logIn('alice', password), failsWith('throttled'));
  await unlock(accounts, { name: 'alice', caller });
  await beginAttempt(deps, 'alice');
  clock.time += 24 * 3_600_000;
  for (let i = 0; i < freeAttempts; i++) await beginAttempt(deps, 'alice');
});

test('the store holds no password and no hash to guess against', async () => {
  const { store } = await setUp();
  const dump = await dumpStore(store, ['credential', 'user', ...[...'0123456789abcdef'].map((d) => `lockout#${d}`)]);
  assert.match(dump, /password#/);
  for (const secret of [password, 'argon2id', 'salt', 'memory']) assert.equal(dump.includes(secret), false, secret);
});

test('a password of one user is no password of another, even when the stored bytes are swapped', async () => {
  const { store, passwords, user } = await setUp();
  const bob = await user('bob', 'admin');
  const { items } = await store.query({ pk: 'credential' });
  const sealed = items[0]?.['sealed'];
  assert.ok(sealed instanceof Uint8Array);
  await store.transact([{ kind: 'put', item: { pk: 'credential', sk: `password#${bob.uid}`, sealed } }]);
  await assert.rejects(passwords.verify(bob.uid, password), { code: 'not_authentic' });
});
