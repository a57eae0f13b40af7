/**
 * Whether the time of a refused log-in tells who exists: a wrong password against a name that nobody has, in turns, through
 * the log-in route on SQLite. `node bench/login-timing.ts [rounds]`. `separation` is the chance that a random pair is in
 * the order of the slower kind: 0.5 tells nothing, 1 tells everything.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setPassword } from '../lib/access/accounts.ts';
import { localAdminCaller } from '../lib/access/caller.ts';
import { freeAttempts } from '../lib/access/lockout.ts';
import { openSqliteStore } from '../lib/store/sqlite.ts';
import { createAdminWorld, testSite } from '../test/fakes/admin.ts';

const rounds = Number(process.argv[2] ?? 60);
const perName = freeAttempts - 1;
const directory = await mkdtemp(join(tmpdir(), 'holdfast-bench-'));
const store = openSqliteStore(join(directory, 'store.sqlite'));
const world = await createAdminWorld({ store });
const password = 'correct horse battery staple';
for (let i = 0; i < Math.ceil(rounds / perName); i++) {
  await world.user(`user-${i}`, 'viewer');
  await setPassword(
    { ...world.deps, passwords: world.passwords },
    { name: `user-${i}`, password, caller: localAdminCaller },
  );
}

const known: number[] = [];
const unknown: number[] = [];
const texts = new Set<string>();
for (let round = 0; round < rounds; round++) {
  const index = Math.floor(round / perName);
  const kinds = [
    [known, `user-${index}`],
    [unknown, `nobody-${index}`],
  ] as const;
  // Who comes first changes, so that neither has the warmer machine.
  for (const [times, name] of round % 2 === 0 ? kinds : kinds.toReversed()) {
    const started = performance.now();
    const answer = await world.app.request(`${testSite}/v1/login/finish`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ transport: 'bearer', input: { name, password: 'a wrong password' } }),
    });
    times.push(performance.now() - started);
    assert.equal(answer.status, 401);
    texts.add(await answer.text());
  }
}
assert.equal(texts.size, 1, 'one text for both');
const reasons = world.audit.of('session.refuse').map(({ detail }) => detail?.['reason']);
assert.equal(reasons.filter((reason) => reason === 'wrong_password').length, rounds);
assert.equal(reasons.filter((reason) => reason === 'unknown_user').length, rounds);

const pairs = known.flatMap((a) => unknown.map((b) => (a > b ? 1 : a === b ? 0.5 : 0)));
const above = pairs.reduce((sum: number, one) => sum + one, 0) / pairs.length;
process.stdout.write(
  `${JSON.stringify({
    bench: 'login-timing',
    rounds,
    wrongPasswordMs: spread(known),
    unknownUserMs: spread(unknown),
    separation: Math.round(Math.max(above, 1 - above) * 1000) / 1000,
  })}\n`,
);
await store.close();
await rm(directory, { recursive: true, force: true });

function spread(times: readonly number[]) {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number) => Math.round((sorted[Math.floor((sorted.length - 1) * share)] ?? 0) * 10) / 10;
  return { p10: at(0.1), p50: at(0.5), p90: at(0.9) };
}
