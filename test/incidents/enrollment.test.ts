/** Incidents of enrollment: a real identity service, its HTTP app and both stores, and machines that cheat. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { joinCommand } from '../../cli/commands/token.ts';
import { createIdentityApp } from '../../functions/identity/app.ts';
import { revokeNode } from '../../lib/identity/nodes.ts';
import {
  createMachine,
  createTestFleet,
  enrollBytes,
  enrollJson,
  type Machine,
  openStore,
  operator,
  signedBytes,
} from '../fakes/fleet.ts';

const ample = { burst: 1_000_000, perSecond: 1_000_000, maxSources: 10 };

async function setUp(options: Parameters<typeof createTestFleet>[0] = {}) {
  const fleet = await createTestFleet(options);
  const app = createIdentityApp({
    ...fleet.issuance,
    descriptor: fleet.descriptor,
    logger: { error: assert.fail },
    rateLimit: ample,
    source: () => 'test',
  });
  const post = (body: Uint8Array, path = '/v1/enroll') =>
    app.request(path, {
      method: 'POST',
      body: new Uint8Array(body),
      headers: { 'content-type': 'application/json' },
    });
  const nodes = async () =>
    (await Promise.all([...'0123456789abcdef'].map((digit) => fleet.store.query({ pk: `node#${digit}` })))).flatMap(
      ({ items }) => items,
    );
  return { fleet, post, nodes };
}

const parallel = 200;

/** 200 machines with one token, all at once: what came of it. */
async function race(t: Parameters<typeof openStore>[0], kind: 'memory' | 'sqlite') {
  const world = await setUp({ store: await openStore(t, kind) });
  const token = await world.fleet.token();
  const machines = await Promise.all(Array.from({ length: parallel }, () => createMachine()));
  const answers = await Promise.all(machines.map((machine) => world.post(enrollBytes(machine, token))));
  const won = machines.filter((_, index) => answers[index]?.status === 200);
  const lost = answers.filter(({ status }) => status !== 200);
  return { ...world, token, machines, won, lost };
}

for (const kind of ['memory', 'sqlite'] as const) {
  test(`incident 1: SPIRE 1.13.6, 1.14.6: 200 machines with one token make one node and one entry, ${kind}`, async (t) => {
    const { fleet, nodes, won, lost } = await race(t, kind);
    assert.equal(won.length, 1);
    const texts = await Promise.all(lost.map(async (answer) => `${answer.status} ${await answer.text()}`));
    assert.equal(lost.length, parallel - 1);
    assert.equal(new Set(texts).size, 1);
    const stored = await nodes();
    assert.deepEqual(
      stored.map((item) => item['sk']),
      won.map(({ uuid }) => uuid),
    );
    assert.equal(fleet.audit.of('node.enroll').length, 1);
  });
}

test('incident 2: Tailscale TS-2025-007: every loser of that race is in the log, with the token and the key it came with', async (t) => {
  const { fleet, machines, won } = await race(t, 'memory');
  const refusals = fleet.audit.of('node.enroll.refuse');
  assert.equal(refusals.length, parallel - 1);
  const claimed = new Set(refusals.map(({ object }) => object.id));
  for (const { uuid } of machines.filter((machine) => machine !== won[0])) assert.ok(claimed.has(uuid), uuid);
  assert.equal(new Set(refusals.map(({ detail }) => detail?.['fingerprint'])).size, parallel - 1);
  assert.equal(new Set(refusals.map(({ detail }) => detail?.['token'])).size, 1);
});

test('incident 6: SPIRE http_challenge: nothing in an enrollment makes the server open a connection', async (t) => {
  const { fleet, post } = await setUp();
  const machine = await createMachine();
  const calls: string[] = [];
  t.mock.method(globalThis, 'fetch', async (input: unknown) => {
    calls.push(String(input));
    throw new TypeError('no connections here');
  });
  const net = await import('node:net');
  t.mock.method(net.Socket.prototype, 'connect', () => {
    calls.push('connect');
    throw new TypeError('no connections here');
  });
  const url = fc.constantFrom(
    'http://169.254.169.254/latest/meta-data/',
    'https://127.0.0.1:1/',
    'file:///etc/passwd',
    '//evil.example/x',
    'ldap://evil.example/a',
    'web-1.example.com@evil.example',
  );
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom('hostname', 'platform', 'version', 'uuid', 'token', 'identityKey', 'sealingKey', 'csr'),
      url,
      async (field, value) => {
        const request = { ...enrollJson(machine, await fleet.token()), [field]: value };
        const { status } = await post(signedBytes('enroll', machine, request));
        assert.ok(status >= 400 && status < 500, `${field}: ${status}`);
      },
    ),
    { numRuns: 60, seed: 6 },
  );
  assert.deepEqual(calls, []);
});

test('incident 7: SPIRE x509pop: what a stranger can make the server compute is bounded before any signature is checked', async () => {
  const { fleet, post, nodes } = await setUp();
  const machine = await createMachine();
  const token = await fleet.token();
  assert.equal((await post(Buffer.alloc(10 * 1024 * 1024, '{'))).status, 413);
  const oversized: { readonly [field: string]: string }[] = [
    { csr: 'A'.repeat(60_000) },
    { identityKey: 'A'.repeat(5_000) },
    { sealingKey: 'A'.repeat(5_000) },
    { hostname: 'a'.repeat(5_000) },
  ];
  for (const change of oversized) {
    const { status } = await post(signedBytes('enroll', machine, { ...enrollJson(machine, token), ...change }));
    assert.ok(status === 400 || status === 413, `${Object.keys(change)}: ${status}`);
  }
  assert.equal((await nodes()).length, 0);
  // None of it cost the token.
  assert.equal((await post(enrollBytes(machine, token))).status, 200);
});

test('incident 9: Fleet’s shared secret: an enrollment that names a host that is there changes nothing of it', async () => {
  const { fleet, post, nodes } = await setUp();
  const victim = await createMachine();
  await post(enrollBytes(victim, await fleet.token()));
  const before = await nodes();
  const tries: Partial<Machine>[] = [{ uuid: victim.uuid }, { uuid: victim.uuid, hostname: victim.hostname }];
  for (const change of tries)
    assert.equal((await post(enrollBytes(await createMachine(change), await fleet.token()))).status, 403);
  assert.deepEqual(await nodes(), before);
});

test('incident 10: Salt CVE-2016-9639: a revoked UUID never comes back, and a namesake inherits nothing', async () => {
  const { fleet, post, nodes } = await setUp();
  const old = await createMachine();
  await post(enrollBytes(old, await fleet.token({ labels: { role: 'vault' } })));
  await revokeNode(fleet.issuance, { uuid: old.uuid, actor: operator });
  assert.equal((await post(enrollBytes(old, await fleet.token()))).status, 403);
  assert.equal((await post(enrollBytes(await createMachine({ uuid: old.uuid }), await fleet.token()))).status, 403);
  const namesake = await createMachine({ hostname: old.hostname });
  assert.equal((await post(enrollBytes(namesake, await fleet.token()))).status, 200);
  const made = (await nodes()).find((item) => item['sk'] === namesake.uuid);
  assert.deepEqual(made?.['labels'], {});
  assert.notDeepEqual(made?.['sealingKey'], old.sealingKey);
});

test('incident 11: Puppet CVE-2012-3867, Salt CVE-2017-14695: odd characters in names are refused, and shown escaped', async () => {
  const { fleet, post, nodes } = await setUp();
  const machine = await createMachine();
  const token = await fleet.token();
  const names = [
    '../../etc/passwd',
    'web\u0000.example',
    'web\u001b[2J.example',
    'web/../db',
    '..',
    'web..example',
    'wеb.example', // Cyrillic е
    'ｗeb.example',
    'web\u202eelpmaxe',
    'web.example\n',
    '-web',
    ' web',
  ];
  for (const name of names) {
    for (const field of ['hostname', 'uuid'] as const) {
      const answer = await post(signedBytes('enroll', machine, { ...enrollJson(machine, token), [field]: name }));
      const text = await answer.text();
      assert.ok(answer.status === 400 || answer.status === 403, `${field} ${JSON.stringify(name)}: ${answer.status}`);
      for (const character of text) assert.ok(character >= ' ' && character <= '~', JSON.stringify(text));
    }
  }
  assert.equal((await nodes()).length, 0);
});

test('incident 12: Teleport CVE-2022-36633: the command that is pasted into a shell has nothing in it for the shell', async () => {
  const { fleet } = await setUp();
  const token = await fleet.token();
  for (const url of ['https://cp.example.org:7443', 'https://127.0.0.1:1', 'https://[::1]:7443'])
    assert.equal(joinCommand(url, token), `npx holdfast-agent join --server ${url} --token ${token}`);
  const metacharacters = [
    ...';|&$`\\"\'<>(){}*?!#~ \n\r\t%^',
    '$(id)',
    '\u0000',
    '\u001b[A',
    '\u2028',
    ' --server x',
    '/../x',
  ];
  for (const each of metacharacters) {
    for (const url of [
      `https://cp${each}.example.org`,
      `https://cp.example.org${each}`,
      `https://cp.example.org:1${each}`,
    ])
      assert.throws(() => joinCommand(url, token), { name: 'CliError', exit: 'refused' }, JSON.stringify(url));
    assert.throws(() => joinCommand('https://cp.example.org', `${token}${each}`), { exit: 'refused' });
  }
  for (const url of ['http://cp.example.org', 'ssh://x', 'https://u:p@cp.example.org', 'https://', '--help'])
    assert.throws(() => joinCommand(url, token), { exit: 'refused' });
});
