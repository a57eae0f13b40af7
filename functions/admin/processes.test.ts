/** What ends a credential ends it everywhere: two processes on one store, one that changes and one that is asked. */
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { removeAccount, setRole, setState } from '../../lib/access/accounts.ts';
import { revokeApiToken } from '../../lib/access/api-tokens.ts';
import { localAdminCaller } from '../../lib/access/caller.ts';
import { openSqliteStore } from '../../lib/store/sqlite.ts';
import { bearerHeaders, createAdminWorld, testSite } from '../../test/fakes/admin.ts';
import type { Answered } from '../../test/fakes/admin-process.ts';

/** Another process on the same file: the status of its next answer. */
async function otherProcess(t: TestContext, path: string) {
  const child = fork(new URL('../../test/fakes/admin-process.ts', import.meta.url), [path], { stdio: 'inherit' });
  t.after(async () => {
    const ended = once(child, 'exit');
    child.disconnect();
    await ended;
  });
  await once(child, 'message');
  let last = 0;
  return async (route: string, headers: Record<string, string>): Promise<number> => {
    const id = ++last;
    child.send({ id, path: route, headers });
    const [answer] = (await once(child, 'message')) as [Answered];
    assert.equal(answer.id, id);
    return answer.status;
  };
}

test('R20 R22 role change, disabling, deletion, log-out, revocation: dead on the next request, in another process too', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-processes-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const path = join(directory, 'store.sqlite');
  const store = openSqliteStore(path);
  t.after(() => store.close());
  const world = await createAdminWorld({ store });
  const other = await otherProcess(t, path);
  const accounts = { ...world.deps, passwords: world.passwords };
  const caller = localAdminCaller;

  const endings: readonly [string, (name: string, session: string) => Promise<unknown>, number, number][] = [
    ['a role change', (name) => setRole(accounts, { name, role: 'compliance', caller }), 401, 403],
    ['disabling', (name) => setState(accounts, { name, state: 'disabled', caller }), 401, 401],
    ['deletion', (name) => removeAccount(accounts, { name, caller }), 401, 401],
    [
      'log-out',
      async (_name, session) => {
        const headers = { ...bearerHeaders(session), 'content-type': 'application/json' };
        return world.app.request(`${testSite}/v1/session/end`, { method: 'POST', headers, body: '{}' });
      },
      401,
      200,
    ],
  ];
  for (const [index, [what, end, sessionStatus, tokenStatus]] of endings.entries()) {
    const user = await world.user(`user-${index}`, 'viewer');
    const session = await world.session(user, 'bearer');
    const { token } = await world.apiToken(user);
    for (const each of [session, token]) assert.equal(await other('/v1/nodes', bearerHeaders(each)), 200, what);
    await end(user.name, session);
    assert.equal(await other('/v1/nodes', bearerHeaders(session)), sessionStatus, `${what}: the session`);
    assert.equal(await other('/v1/nodes', bearerHeaders(token)), tokenStatus, `${what}: the API token`);
  }

  const user = await world.user('user-last', 'viewer');
  const { token, record } = await world.apiToken(user);
  assert.equal(await other('/v1/nodes', bearerHeaders(token)), 200);
  await revokeApiToken(world.deps, record, caller);
  assert.equal(await other('/v1/nodes', bearerHeaders(token)), 401);
});
