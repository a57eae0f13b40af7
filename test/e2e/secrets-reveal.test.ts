/** Revealing a value from the command line, with the real audit log: two people, once, under a signed checkpoint. */
import assert from 'node:assert/strict';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { type AccessFleet, type Ran, startAccessFleet } from './access.ts';

const value = 'pa55 "word" of the replica';

function ok(ran: Ran): Ran {
  assert.equal(ran.code, 0, ran.err);
  return ran;
}

async function person(fleet: AccessFleet, name: string): Promise<void> {
  const key = await fleet.key(name);
  ok(await fleet.admin('user', 'create', name, '--role', 'admin', '--key', `${key}.pub`));
  ok(await fleet.cli(['--state', fleet.state, 'login', '--user', name, '--key', key, '--profile', name]));
}

test('R10 R30 ada asks, bob agrees, ada sees it once; the entries are sealed before she does', async (t) => {
  const auth = { method: 'isowebauth' } as const;
  const fleet = await startAccessFleet(t, auth, 0, { secrets: { reveal: 'two-administrators' } });
  for (const name of ['ada', 'bob']) await person(fleet, name);
  ok(await fleet.cli(['--profile', 'ada', 'secret', 'set', 'db/password'], { typed: value }));
  const out = join(fleet.directory, 'value');
  const ask = (...more: string[]) => {
    let agreed: Promise<Ran> | undefined;
    const onMessage = (text: string) => {
      const id = /approve-reveal ([0-9a-f]{16})/.exec(text)?.[1];
      if (id !== undefined) agreed = fleet.cli(['--profile', 'bob', 'secret', 'approve-reveal', id]);
    };
    const args = ['--profile', 'ada', 'secret', 'reveal', 'db/password', '--reason', 'the replica is down', ...more];
    return fleet.cli(args, { onMessage }).then(async (ran) => {
      ok((await agreed) as Ran);
      return ran;
    });
  };
  assert.equal(ok(await ask()).out, `${value}\n`);
  // Only what a checkpoint covers is listed.
  const listed = ok(await fleet.admin('audit', 'list', '--type', 'secret.reveal', '--json')).out;
  assert.match(listed, /"approved": ?"bob"/);
  assert.equal(listed.includes('pa55'), false);

  ok(await ask('--out', out));
  assert.equal(await readFile(out, 'utf8'), value);
  assert.equal((await stat(out)).mode & 0o777, 0o600);
  assert.match((await ask('--out', out)).err, /EEXIST.*used up/);

  const alone = await fleet.admin('secret', 'reveal', 'db/password', '--reason', 'x');
  assert.notEqual(alone.code, 0);
  assert.match(alone.err, /person who logged in/);
});

test('where it is not enabled nobody can ask', async (t) => {
  const fleet = await startAccessFleet(t, { method: 'isowebauth' });
  await person(fleet, 'ada');
  ok(await fleet.cli(['--profile', 'ada', 'secret', 'set', 'db/password'], { typed: value }));
  const ran = await fleet.cli(['--profile', 'ada', 'secret', 'reveal', 'db/password', '--reason', 'x']);
  assert.notEqual(ran.code, 0);
  assert.equal(ran.out, '');
});
