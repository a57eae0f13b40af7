import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { createMachine, createTestFleet, enrollBytes, operator, testOperatorKey } from '../../test/fakes/fleet.ts';
import { canonicalize, parseCanonicalJson } from '../crypto/jcs.ts';
import { hashTokenSecret, parseEnrollmentToken } from '../crypto/token.ts';
import type { Item } from '../store/port.ts';
import { type FleetDescriptor, fleetPin, formatDescriptor, parseDescriptor } from './descriptor.ts';
import { enroll } from './enroll.ts';
import { cancelEnrollmentToken, createEnrollmentToken, listEnrollmentTokens } from './tokens.ts';

const golden = JSON.parse(readFileSync(new URL('./tokens.golden.json', import.meta.url), 'utf8')) as {
  readonly [at in 'before' | 'now']: readonly Item[];
};

async function createDeps() {
  const fleet = await createTestFleet();
  return { ...fleet, pin: fleetPin(fleet.descriptor) };
}

describe('enrollment tokens', () => {
  test('a token carries the pin, and only its hash is kept', async () => {
    const deps = await createDeps();
    const made = await createEnrollmentToken(deps, { labels: { role: 'web' }, hostname: 'Web-*', actor: operator });
    const { secret, pin } = parseEnrollmentToken(made.token);
    assert.deepEqual(Buffer.from(pin), Buffer.from(fleetPin(deps.descriptor)));
    const [token, ...more] = (await listEnrollmentTokens(deps.store, { limit: 10 })).tokens;
    assert.equal(more.length, 0);
    assert.equal(token?.hash, hashTokenSecret(secret));
    assert.equal(made.id, token?.hash.slice(0, 16));
    assert.deepEqual(
      [token?.state, token?.hostname, token?.labels, token?.createdBy],
      ['open', 'web-*', { role: 'web' }, 'ada'],
    );
    assert.equal(made.expires, deps.clock.now + 86_400_000);
    assert.ok(!JSON.stringify(deps.audit.events).includes(made.token.slice(4, 20)));
    assert.equal(deps.audit.of('token.create')[0]?.object.id, made.id);
  });

  test('at rest, a token and its place in the list are those of the golden file', async () => {
    const deps = { ...(await createDeps()), random: (bytes: number) => new Uint8Array(bytes).fill(7) };
    await createEnrollmentToken(deps, { labels: { role: 'web' }, hostname: 'web-*', ttlMs: 60_000, actor: operator });
    const { items } = await deps.store.query({ pk: 'token' });
    const places = await deps.store.query({ pk: 'listing#token' });
    assert.deepEqual([...items, ...places.items], golden.now);
  });

  test('tokens from before there were places are listed after the others, and can still be found and cancelled', async () => {
    const deps = await createDeps();
    for (const item of golden.before) await deps.store.transact([{ kind: 'put', item }]);
    const { id } = await createEnrollmentToken(deps, { actor: operator });
    const { tokens, next } = await listEnrollmentTokens(deps.store, { limit: 10 });
    assert.equal(next, undefined);
    assert.deepEqual(
      tokens.map((token) => token.id),
      [id, ...golden.before.map(({ sk }) => sk.slice(0, 16)).sort()],
    );
    for (const item of golden.before) await cancelEnrollmentToken(deps, { id: item.sk.slice(0, 16), actor: operator });
    const after = await listEnrollmentTokens(deps.store, { limit: 10 });
    assert.deepEqual(
      after.tokens.map(({ state }) => state),
      ['open', ...golden.before.map(() => 'cancelled')],
    );
  });

  test('orders outside the limits make no token', async () => {
    const deps = await createDeps();
    for (const order of [
      { ttlMs: 0 },
      { ttlMs: 59_999 },
      { ttlMs: 31 * 86_400_000 },
      { ttlMs: Number.NaN },
      { hostname: 'a/b' },
      { fingerprint: 'MD5:x' },
      { labels: { 'a b': 'c' } },
    ]) {
      await assert.rejects(createEnrollmentToken(deps, { ...order, actor: operator }), { code: 'malformed' });
    }
    assert.deepEqual(await listEnrollmentTokens(deps.store, { limit: 10 }), { tokens: [] });
    assert.equal(deps.audit.events.length, 0);
  });

  test('a random source that repeats itself gives no second token', async () => {
    const deps = { ...(await createDeps()), random: (n: number) => new Uint8Array(n).fill(7) };
    await createEnrollmentToken(deps, { actor: operator });
    await assert.rejects(createEnrollmentToken(deps, { actor: operator }), /repeated itself/);
  });

  test('cancelling: once, by id, not when used', async () => {
    const deps = await createDeps();
    const one = await createEnrollmentToken(deps, { actor: operator });
    assert.equal((await cancelEnrollmentToken(deps, { id: one.id, actor: operator })).state, 'cancelled');
    await cancelEnrollmentToken(deps, { id: one.id, actor: operator });
    assert.equal(deps.audit.of('token.cancel').length, 1);
    const two = await createEnrollmentToken(deps, { actor: operator });
    await enroll(deps.issuance, enrollBytes(await createMachine(), two.token));
    await assert.rejects(cancelEnrollmentToken(deps, { id: two.id, actor: operator }), { code: 'not_open' });
    await assert.rejects(cancelEnrollmentToken(deps, { id: '0'.repeat(16), actor: operator }), { code: 'not_found' });
    for (const id of ['', '0', '../token', two.token]) {
      await assert.rejects(cancelEnrollmentToken(deps, { id, actor: operator }), { code: 'malformed' });
    }
  });

  test('a cancellation and an enrollment at once: exactly one of them wins', async () => {
    const deps = await createDeps();
    for (let i = 0; i < 20; i++) {
      const { token, id } = await createEnrollmentToken(deps, { actor: operator });
      const machine = await createMachine();
      const work = [
        () => enroll(deps.issuance, enrollBytes(machine, token)),
        () => cancelEnrollmentToken(deps, { id, actor: operator }),
      ];
      const results = await Promise.allSettled((i % 2 ? work : work.reverse()).map((start) => start()));
      assert.equal(results.filter((r) => r.status === 'fulfilled').length, 1);
    }
  });
});

describe('fleet descriptor', () => {
  test('is canonical, and any change changes the pin or is refused', async () => {
    const { descriptor } = await createDeps();
    assert.deepEqual(Buffer.from(formatDescriptor(parseDescriptor(descriptor))), Buffer.from(descriptor));
    const pin = Buffer.from(fleetPin(descriptor)).toString('hex');
    for (let i = 0; i < descriptor.length; i++) {
      const changed = Uint8Array.from(descriptor);
      changed[i] = (changed[i] ?? 0) ^ 1;
      assert.notEqual(Buffer.from(fleetPin(changed)).toString('hex'), pin);
    }
  });

  test('incident 43: thresholds and operator keys that would not hold are refused', async () => {
    const { descriptor } = await createDeps();
    const good = parseCanonicalJson(descriptor) as unknown as FleetDescriptor;
    const key = testOperatorKey();
    const bad: object[] = [
      { ...good, operators: { threshold: 0, keys: [key] } },
      { ...good, operators: { threshold: -1, keys: [key] } },
      { ...good, operators: { threshold: 2, keys: [key] } },
      { ...good, operators: { threshold: 2, keys: [key, `${key} again`] } },
      { ...good, operators: { threshold: 1, keys: [] } },
      { ...good, operators: { threshold: 1, keys: ['ssh-ed25519 AAAA'] } },
      { ...good, operators: { threshold: 1, keys: [`cert-authority ${key}`] } },
      { ...good, v: 2 },
      { ...good, fleet: '../x' },
      { ...good, ca: '' },
      { ...good, ca: 'not base64' },
      { ...good, log: { ...good.log, key: 'x' } },
      { ...good, log: { ...good.log, origin: 'with space' } },
      { ...good, extra: 1 },
    ];
    for (const value of bad) {
      const bytes = Buffer.from(canonicalize(value as never));
      assert.throws(() => parseDescriptor(bytes), { code: 'malformed' }, JSON.stringify(value));
    }
    assert.throws(() => parseDescriptor(Buffer.concat([descriptor, Buffer.from('\n')])), { code: 'malformed' });
  });
});
