/** Logging in from the command line by each method, against a whole control plane. */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { createHttpsFetch } from '../../functions/standalone/https-fetch.ts';
import { createLoopbackTls } from '../fakes/loopback-tls.ts';
import { startOidcProvider, testClientId, visitAs } from '../fakes/oidc-provider.ts';
import { type AccessFleet, type Ran, startAccessFleet } from './access.ts';

const run = promisify(execFile);

function ok(ran: Ran): Ran {
  assert.equal(ran.code, 0, ran.err);
  return ran;
}

const whoIs = async (fleet: AccessFleet) =>
  JSON.parse(ok(await fleet.cli(['whoami', '--json'])).out) as {
    user: string;
    role: string;
    via: string;
    auth: string;
  };

test('R18 the founded control plane is used by local-admin, who lets people in by their SSH keys', async (t) => {
  const fleet = await startAccessFleet(t, undefined);
  const { admin, cli, state, config } = fleet;
  const key = await fleet.key('alice');
  ok(await admin('user', 'create', 'Alice', '--role', 'viewer', '--key', `${key}.pub`));
  const login = ['--state', state, 'login', '--user', 'alice', '--key'];
  ok(await cli([...login, key]));
  assert.deepEqual(
    { ...(await whoIs(fleet)), permissions: 0, expires: 0 },
    { user: 'alice', role: 'viewer', via: 'session', auth: 'isowebauth', permissions: 0, expires: 0 },
  );

  const profiles = join(config, 'profiles.json');
  assert.equal((await stat(profiles)).mode & 0o777, 0o600);
  assert.equal((await stat(config)).mode & 0o777, 0o700);
  await chmod(profiles, 0o640);
  assert.equal((await cli(['whoami'])).code, 3);
  await chmod(profiles, 0o600);

  const denied = await cli(['token', 'list']);
  assert.equal(denied.code, 0, 'a viewer sees tokens');
  const refused = await cli(['user', 'list']);
  assert.equal(refused.code, 3);
  assert.match(refused.err, /viewer does not have users\.write/);
  // Another key, and the right key for another name.
  assert.equal((await cli([...login, await fleet.key('mallory')])).code, 3);
  const wrong = await cli(['--state', state, 'login', '--user', 'bob', '--key', key]);
  assert.match(wrong.err, /the log-in was not accepted/);

  ok(await cli(['logout']));
  assert.equal((await readFile(profiles, 'utf8')).includes('hfs_'), false);
});

test('R20 a session that an administrator ends is dead for the command, and says what to do', async (t) => {
  const fleet = await startAccessFleet(t, { method: 'basic' });
  const { admin, cli, state, server } = fleet;
  const typed = 'correct horse battery staple\n';
  ok(await admin('user', 'create', 'bob', '--role', 'compliance'));
  ok(await cli(['--state', state, 'user', 'password', 'bob'], { typed }));
  const login = ['login', '--server', server.url, '--fleet', server.paths.operatorFleet, '--user', 'bob'];
  const ran = ok(await cli(login, { typed }));
  assert.equal(`${ran.out}${ran.err}`.includes('hfs_'), false);
  assert.equal((await whoIs(fleet)).auth, 'basic');
  assert.equal((await cli(['audit', 'list'])).code, 3);
  ok(await admin('user', 'disable', 'bob'));
  const dead = await cli(['whoami']);
  assert.equal(dead.code, 3);
  assert.match(dead.err, /holdfast login/);
  assert.match((await cli(login, { typed })).err, /not accepted/);
  ok(await admin('user', 'enable', 'bob'));
  ok(await cli(login, { typed }));
  const minted = JSON.parse(ok(await cli(['api-token', 'create', 'nightly', '--ttl', '1h', '--json'])).out) as {
    token: string;
    id: string;
  };
  ok(
    await cli(
      ['--profile', 'ci', 'login', '--server', server.url, '--fleet', server.paths.operatorFleet, '--api-token'],
      { typed: minted.token },
    ),
  );
  assert.equal((await whoIs(fleet)).via, 'api-token');
  ok(await admin('api-token', 'revoke', minted.id));
  assert.equal((await cli(['whoami'])).code, 3);
  assert.equal((await cli(['--profile', 'default', 'whoami'])).code, 0);
  assert.equal((await cli(['--profile', 'none', 'whoami'])).code, 2);
});

test('R44 the command sends nothing to a server that another CA vouches for, nor over plain HTTP', async (t) => {
  const { cli, server, directory } = await startAccessFleet(t, { method: 'basic' });
  const ca = join(directory, 'other-ca.pem');
  await writeFile(ca, (await createLoopbackTls()).ca);
  const login = ['login', '--server', server.url, '--user', 'x'];
  assert.equal((await cli([...login, '--ca', ca], { typed: 'x' })).code, 3);
  assert.equal((await cli(login, { typed: 'x' })).code, 3);
  assert.equal((await cli(['login', '--server', 'http://127.0.0.1:1', '--user', 'x'])).code, 2);
});

test('R18 oidc from the command line: by a redirect to this machine', async (t) => {
  const tls = await createLoopbackTls();
  const provider = await startOidcProvider(tls, {
    accounts: { 'sub-vera': { groups: ['staff'], preferred_username: 'vera' } },
    redirectUris: ['http://127.0.0.1/callback'],
  });
  t.after(() => provider.close());
  const fleet = await oidcFleet(t, provider.issuer, tls.ca);
  const { cli, state } = fleet;
  const fetch = createHttpsFetch(tls.ca);
  const browser = async (text: string) => {
    const url = /https:\/\/\S+/.exec(text)?.[0];
    if (url === undefined || !url.startsWith(provider.issuer)) return;
    const back = await visitAs(fetch, provider.issuer, url, 'sub-vera');
    await (await globalThis.fetch(back)).text();
  };
  const visits: Promise<void>[] = [];
  ok(await cli(['--state', state, 'login'], { onMessage: (text) => visits.push(browser(text)) }));
  await Promise.all(visits);
  const who = await whoIs(fleet);
  assert.deepEqual([who.user, who.role, who.auth], ['vera', 'viewer', 'oidc']);
});

test('R18 isowebauth signs with ssh-keygen what our own code does not: ECDSA', async (t) => {
  const fleet = await startAccessFleet(t, undefined);
  const key = join(fleet.directory, 'ecdsa');
  const made = await run('ssh-keygen', ['-q', '-t', 'ecdsa', '-N', '', '-f', key]).catch(
    (error: NodeJS.ErrnoException) => error,
  );
  if ('code' in made && made.code === 'ENOENT') return t.skip('not installed: ssh-keygen');
  ok(await fleet.admin('user', 'create', 'carol', '--role', 'admin', '--key', `${key}.pub`));
  ok(await fleet.cli(['--state', fleet.state, 'login', '--user', 'carol', '--key', key]));
  assert.equal((await whoIs(fleet)).user, 'carol');
});

test('R18 isowebauth signs by an SSH agent, when only the public half of the key is here', async (t) => {
  const fleet = await startAccessFleet(t, undefined);
  const key = await fleet.key('dana');
  const socket = join(fleet.directory, 'agent.sock');
  const agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: 'ignore' });
  const started = await new Promise<boolean>((resolve) => {
    agent.once('error', () => resolve(false));
    agent.once('spawn', () => resolve(true));
  });
  if (!started) return t.skip('not installed: ssh-agent');
  const before = process.env['SSH_AUTH_SOCK'];
  const ended = once(agent, 'exit');
  t.after(async () => {
    agent.kill();
    await ended;
    if (before === undefined) delete process.env['SSH_AUTH_SOCK'];
    else process.env['SSH_AUTH_SOCK'] = before;
  });
  process.env['SSH_AUTH_SOCK'] = socket;
  // The agent makes its socket in its own time; ssh-add fails until then.
  for (let tries = 0; ; tries++) {
    const added = await run('ssh-add', ['-q', key]).catch((error: Error) => error);
    if (!(added instanceof Error)) break;
    if (tries > 200) throw added;
  }
  ok(await fleet.admin('user', 'create', 'dana', '--role', 'viewer', '--key', `${key}.pub`));
  await rm(key);
  ok(await fleet.cli(['--state', fleet.state, 'login', '--user', 'dana', '--key', `${key}.pub`]));
  assert.equal((await whoIs(fleet)).user, 'dana');
  await run('ssh-add', ['-q', '-D']);
  assert.notEqual(
    (await fleet.cli(['--state', fleet.state, 'login', '--user', 'dana', '--key', `${key}.pub`])).code,
    0,
  );
});

test('R18 oidc from the command line by the device flow: the code is shown, and asked about until the person agrees', async (t) => {
  const tls = await createLoopbackTls();
  const provider = await startOidcProvider(tls, {
    accounts: { 'sub-wanda': { groups: ['staff'], preferred_username: 'wanda' } },
    redirectUris: ['http://127.0.0.1/callback'],
  });
  t.after(() => provider.close());
  const fleet = await oidcFleet(t, provider.issuer, tls.ca);
  let shown = '';
  let waits = 0;
  const ran = await fleet.cli(['--state', fleet.state, 'login', '--device'], {
    onMessage: (text) => {
      shown += text;
    },
    // Time stands still; the person agrees between the second question and the third.
    pause: async (ms) => {
      assert.ok(ms >= 5000, 'no sooner than the provider allows');
      waits += 1;
      if (waits !== 3) return;
      const [, page = '', code = ''] = /open (\S+) and enter the code "([^"]+)"/.exec(shown) ?? [];
      await visitAs(createHttpsFetch(tls.ca), provider.issuer, `${page}?user_code=${code}`, 'sub-wanda');
    },
  });
  ok(ran);
  assert.equal(waits, 3);
  assert.deepEqual([(await whoIs(fleet)).user, (await whoIs(fleet)).auth], ['wanda', 'oidc']);
});

async function oidcFleet(t: TestContext, issuer: string, ca: string): Promise<AccessFleet> {
  const caFile = join((await startAccessFleet(t, undefined)).directory, 'idp-ca.pem');
  await writeFile(caFile, ca);
  return startAccessFleet(t, {
    method: 'oidc',
    issuer,
    clientId: testClientId,
    redirectUri: 'https://127.0.0.1:1/v1/login/callback',
    scopes: ['openid', 'profile', 'groups'],
    algorithm: 'ES256',
    claim: 'groups',
    roles: { viewer: ['staff'] },
    caFile,
  });
}
