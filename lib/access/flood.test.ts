/** Floods from people without a credential: what they make is bounded, and shuts nobody real out. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAccessWorld } from '../../test/fakes/access.ts';
import { everyItem } from '../store/every-item.ts';
import { createMemoryStore } from '../store/memory.ts';
import { type Store, StoreError } from '../store/port.ts';
import { boundRows, deleteAsRead, expiryOf, mostRows, rowsBetweenLooks } from './bounded-rows.ts';
import { AccessError } from './errors.ts';
import { beginAttempt, freeAttempts, lockoutKey } from './lockout.ts';
import { beginLogin, takeLogin } from './login-state.ts';
import type { Passwords } from './passwords.ts';
import { createBasicProvider } from './providers/basic.ts';
import { createRateLimiter } from './rate-limit.ts';
import { sweepExpired } from './sweep.ts';

const digits = [...'0123456789abcdef'];
const password = 'correct horse battery staple';
const dayMs = 86_400_000;
/** Of one process. */
const limit = digits.length * (mostRows + rowsBetweenLooks);

async function rowsOf(store: Store, kind: string): Promise<number> {
  let rows = 0;
  for (const digit of digits) for await (const _row of everyItem(store, { pk: `${kind}#${digit}` })) rows += 1;
  return rows;
}

/** Log-in by password without its slow hash. */
async function setUp() {
  const world = createAccessWorld();
  const alice = await world.user('alice', 'viewer');
  const bob = await world.user('bob', 'viewer');
  const passwords: Passwords = {
    ...{ set: assert.fail, remove: assert.fail },
    verify: async (uid, given) => (uid === alice.uid || uid === bob.uid) && given === password,
  };
  const { finish } = createBasicProvider({ ...world.deps, passwords });
  const logIn = (name: string, given = password) => finish({ name, password: given }, undefined);
  /** How an attempt ended: `in`, `refused` or `throttled`. */
  const attempt = (name: string, given?: string) =>
    logIn(name, given).then(
      () => 'in',
      (error: unknown) => (error instanceof AccessError ? error.code : assert.fail(String(error))),
    );
  const flood = async (from: number, count: number) => {
    for (let i = from; i < from + count; i++) assert.equal(await attempt(`nobody-${i}`, 'x'), 'refused');
  };
  return { ...world, attempt, flood };
}

test('R18 100,000 names that nobody has: the rows are bounded, who is real logs in, and who is guessed at stays locked', async () => {
  const { store, clock, attempt, flood } = await setUp();
  // Somebody guesses at bob, beyond what is free.
  for (let failures = 0; failures < freeAttempts + 5; ) {
    if ((await attempt('bob', 'wrong')) === 'refused') failures += 1;
    else clock.time += 15 * 60_000;
  }
  assert.equal(await attempt('bob', 'wrong'), 'throttled');
  const locked = await store.get(lockoutKey('bob'));

  clock.time += 1_000;
  await flood(0, 50_000);
  assert.equal(await attempt('alice'), 'in');
  assert.equal(await attempt('alice', 'a slip'), 'refused');
  assert.equal(await attempt('alice'), 'in');
  await flood(50_000, 50_000);
  const rows = await rowsOf(store, 'lockout');
  assert.ok(rows <= limit, String(rows));
  assert.ok(rows > limit / 2, 'and it was a flood that reached the limit');
  assert.equal(await attempt('alice'), 'in');

  assert.equal(await attempt('bob'), 'throttled', 'the flood frees nobody who is guessed at');
  assert.deepEqual(await store.get(lockoutKey('bob')), locked);

  // A name that the flood used is no more locked than any other.
  assert.equal(await attempt('nobody-99999', 'x'), 'refused');

  clock.time += dayMs;
  await sweepExpired({ store, now: () => clock.time });
  assert.equal(await rowsOf(store, 'lockout'), 0);
  assert.equal(await attempt('bob'), 'in');
});

test('R18 a second flood, from several processes, adds no more than each may be over the limit', async () => {
  const { store, now } = createAccessWorld();
  const processes = [{ ...store }, { ...store }, { ...store }];
  const one = lockoutKey('x').pk;
  // Names of one partition alone, as somebody makes them who knows how they are spread.
  const names: string[] = [];
  for (let i = 0; names.length < 3 * mostRows; i++) if (lockoutKey(`n${i}`).pk === one) names.push(`n${i}`);
  for (const [i, name] of names.entries()) await beginAttempt({ store: processes[i % 3] ?? store, now }, name);
  const rows = (await Array.fromAsync(everyItem(store, { pk: one }))).length;
  assert.ok(rows <= mostRows + 3 * rowsBetweenLooks, String(rows));
});

test('R18 those with the fewest failures are forgotten first, and of those the longest ago', async () => {
  const { store, clock, now } = createAccessWorld();
  const pk = 'lockout#0';
  const put = async (sk: string, failures: number) => {
    clock.time += 1;
    const item = { pk, sk, failures, until: 0, expiresAt: clock.time + dayMs, revision: 1 };
    await store.transact([{ kind: 'put', item }]);
  };
  await put('guessed at', 9);
  for (let i = 0; i < mostRows; i++) await put(`flood ${i}`, 1);
  await put('a slip just now', 1);
  const failures = (item: { readonly [name: string]: unknown }) => Number(item['failures']);
  await boundRows({ store, now }, pk, (a, b) => failures(a) - failures(b) || expiryOf(a) - expiryOf(b));
  const kept = new Set((await Array.fromAsync(everyItem(store, { pk }))).map(({ sk }) => sk));
  assert.equal(kept.size, mostRows - rowsBetweenLooks);
  for (const sk of ['guessed at', 'a slip just now', `flood ${mostRows - 1}`]) assert.ok(kept.has(sk), sk);
  assert.equal(kept.has('flood 0'), false);
});

test('begun log-ins are bounded too: the oldest go, and what was begun last can be finished', async () => {
  const { deps, store, clock } = createAccessWorld();
  const begin = () => beginLogin(deps, { method: 'isowebauth', ttlMs: 60_000 });
  const flood = async (count: number) => {
    for (let i = 0; i < count; i++) {
      if (i % 10 === 0) clock.time += 1;
      await begin();
    }
  };
  await flood(limit + 5_000);
  const { id } = await begin();
  await flood(5_000);
  const rows = await rowsOf(store, 'login');
  assert.ok(rows <= limit, String(rows));
  assert.deepEqual(await takeLogin(deps, id, 'isowebauth'), {});
});

test('what expired is taken away by whoever makes the next row, without a sweep', async () => {
  const { deps, store, clock } = createAccessWorld();
  for (let i = 0; i < 3_000; i++) await beginLogin(deps, { method: 'isowebauth', ttlMs: 60_000 });
  clock.time += 60_000;
  for (let i = 0; i < digits.length * rowsBetweenLooks * 2; i++)
    await beginLogin(deps, { method: 'oidc', ttlMs: 60_000 });
  for (const digit of digits)
    for await (const row of everyItem(store, { pk: `login#${digit}` })) assert.ok(expiryOf(row) > clock.time);
});

test('a row that was renewed, or that is none of ours, is not taken away, and keeps no other one', async () => {
  const store = createMemoryStore();
  const row = (sk: string, expiresAt: number) => ({ pk: 'p', sk, expiresAt });
  const rows = Array.from({ length: 150 }, (_, i) => row(String(i).padStart(3, '0'), 1));
  for (let start = 0; start < rows.length; start += 50)
    await store.transact(rows.slice(start, start + 50).map((item) => ({ kind: 'put', item })));
  await store.transact([
    { kind: 'put', item: row('003', 2) },
    { kind: 'delete', key: { pk: 'p', sk: '120' } },
  ]);
  assert.equal(await deleteAsRead(store, rows), 148);
  assert.deepEqual((await store.query({ pk: 'p' })).items, [row('003', 2)]);
  await store.transact([{ kind: 'put', item: { pk: 'p', sk: 'other' } }]);
  await boundRows({ store, now: () => 3 }, 'p', () => 0);
  assert.deepEqual((await store.query({ pk: 'p' })).items, [{ pk: 'p', sk: 'other' }]);
});

test('a look that fails fails nothing else; a bug is not hidden', async () => {
  const inner = createMemoryStore();
  const now = () => 0;
  const failing = (error: Error): Store => ({ ...inner, query: () => Promise.reject(error) });
  await beginAttempt({ store: failing(new StoreError('unavailable', 'planned')), now }, 'alice');
  await assert.rejects(beginAttempt({ store: failing(new TypeError('planned')), now }, 'bob'), TypeError);
});

test('a rate limiter remembers a bounded number of sources, and none that it forgot is worse off', () => {
  const waitFor = createRateLimiter(() => 0, { burst: 2, perSecond: 1, maxKeys: 1_000 });
  for (let i = 0; i < 3; i++) waitFor('first');
  assert.ok(waitFor('first') > 0);
  for (let i = 0; i < 999; i++) assert.equal(waitFor(`source ${i}`), 0);
  assert.ok(waitFor('first') > 0, 'as many as fit');
  for (let i = 0; i < 100_000; i++) assert.equal(waitFor(`other ${i}`), 0);
  assert.equal(waitFor('first'), 0, 'forgotten, so its memory is free');
});
