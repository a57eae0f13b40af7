/** R01: the control plane is booted with every key at its weakest legal value, and refuses what it always refuses. */
import assert from 'node:assert/strict';
import { createPrivateKey, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { request } from 'node:https';
import { connect as connectTcp } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { z } from 'zod';
import { join as joinFleet } from '../../agent/join.ts';
import { readNodeKeys } from '../../agent/node-keys.ts';
import { openStateDirectory } from '../../agent/state.ts';
import { authConfig } from '../../functions/standalone/auth-config.ts';
import { configShape } from '../../functions/standalone/config.ts';
import { openDirectorySource } from '../../lib/audit/source-directory.ts';
import { isSound } from '../../lib/audit/verdicts.ts';
import { verifyLog } from '../../lib/audit/verify.ts';
import { parseVerifierKey } from '../../lib/crypto/note.ts';
import { pemDecode } from '../../lib/crypto/x509.ts';
import { gatewayMethods } from '../../lib/wire/methods.ts';
import { createAuthority, issueNode, type TestNode } from '../fakes/gateway-fleet.ts';
import { goodBody, rawClient, rawStream, signedEnvelope } from '../fakes/raw-agent.ts';
import { startFleet, type TestFleet } from './fleet.ts';

/**
 * Every key that there is, by its path, with what could be the worst about it. A key that is not here fails the test:
 * somebody looks at it first. `listen` stays on loopback because tests do; an address grants nothing anyway.
 */
const weakest: { readonly [path: string]: string } = {
  v: 'one value',
  listen: 'everybody may connect',
  names: 'any names stand in the certificate',
  'ports.api': 'any port',
  'ports.gateway': 'any port',
  'auth.method': 'each of them',
  'auth.site': 'the shortest name to sign for',
  'auth.issuer': 'a provider that is not there',
  'auth.clientId': 'anything',
  'auth.redirectUri': 'anything of ours',
  'auth.scopes': 'none',
  'auth.algorithm': 'each is asymmetric',
  'auth.claim': 'a claim that everybody has',
  'auth.roles.admin': 'what everybody has',
  'auth.roles.viewer': 'what everybody has',
  'auth.roles.compliance': 'what everybody has',
  'auth.caFile': 'absent',
  'secrets.reveal': 'two administrators',
  'log.anchors': 'none',
  'log.witnesses': 'absent',
};

const base = {
  v: 1,
  listen: '127.0.0.1',
  names: ['127.0.0.1', 'a'],
  ports: { api: 0, gateway: 0 },
  secrets: { reveal: 'two-administrators' },
  log: { anchors: [] },
};
const methods = {
  basic: { method: 'basic' },
  isowebauth: { method: 'isowebauth', site: 'a' },
  oidc: {
    method: 'oidc',
    issuer: 'https://127.0.0.1:1',
    clientId: 'a',
    redirectUri: 'https://127.0.0.1:1/v1/login/callback',
    scopes: [],
    claim: 'sub',
    roles: { admin: ['a'], viewer: ['a'], compliance: ['a'] },
  },
} as const;

type Schema = {
  readonly properties?: { readonly [key: string]: Schema };
  readonly oneOf?: readonly Schema[];
  readonly anyOf?: readonly Schema[];
};

function paths(schema: Schema, prefix = ''): string[] {
  const branches = schema.oneOf ?? schema.anyOf;
  if (branches) return branches.flatMap((branch) => paths(branch, prefix));
  if (!schema.properties) return [prefix];
  return Object.entries(schema.properties).flatMap(([key, value]) => paths(value, prefix ? `${prefix}.${key}` : key));
}

test('R01 every configuration key was looked at, and the log-in methods are these', () => {
  const schema = z.toJSONSchema(configShape, { io: 'input' }) as Schema;
  assert.deepEqual([...new Set(paths(schema))].sort(), Object.keys(weakest).sort());
  const given = authConfig.options.map((option) => option.shape.method.value);
  assert.deepEqual(given.sort(), Object.keys(methods).sort());
});

for (const [method, auth] of Object.entries(methods)) {
  test(`R01 with everything at its weakest and ${method}, what is refused is refused`, async (t) => {
    const fleet = await startFleet(t, { ...base, auth });
    const gatewayPort = Number(fleet.server.gateway.split(':').at(-1));
    await apiRefuses(fleet);
    await gatewayRefuses(t, fleet, gatewayPort);
    await tokenWorksOnce(fleet);
    await fleet.server.close();
    const verifiers = [parseVerifierKey(fleet.server.fleet.descriptor.log.key)];
    const verdicts = await verifyLog({ source: openDirectorySource(fleet.server.paths.log), verifiers, now: Date.now });
    assert.ok(isSound(verdicts), JSON.stringify(verdicts));
    assert.equal(verdicts.completeness.verdict, 'pass');
  });
}

/** R19 R28: no credential, a forged address and a made-up token are one and the same. */
async function apiRefuses({ server }: TestFleet): Promise<void> {
  const forged: readonly { readonly [name: string]: string }[] = [
    {},
    { 'x-forwarded-for': '127.0.0.1', forwarded: 'for=127.0.0.1' },
    { authorization: `Bearer vgot_${'A'.repeat(43)}AAAAAA` },
    { authorization: 'Basic YWRtaW46YWRtaW4=' },
    { cookie: `__Host-session=${'A'.repeat(43)}` },
  ];
  for (const headers of forged) {
    for (const path of ['/v1/nodes', '/v1/audit/entries', '/v1/users'])
      assert.equal(await status(`${server.url}${path}`, headers), 401, `${path} ${JSON.stringify(headers)}`);
  }
}

function status(url: string, headers: { readonly [name: string]: string }): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { headers, rejectUnauthorized: false, agent: false }, (answer) => {
      answer.resume();
      resolve(answer.statusCode ?? 0);
    });
    sent.on('error', reject);
    sent.end();
  });
}

/** R02 R03 R05 R08: plaintext, no certificate, another CA, another signer, replay, revoked. */
async function gatewayRefuses(t: TestContext, fleet: TestFleet, port: number): Promise<void> {
  const plain = connectTcp(port, '127.0.0.1');
  plain.on('error', () => undefined);
  plain.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
  let heard = '';
  plain.on('data', (data) => {
    heard += data.toString('latin1');
  });
  await once(plain, 'close');
  assert.doesNotMatch(heard, /grpc|HTTP/);

  const joined = await fleet.join('web-1');
  const node = await nodeOf(joined.uuid, joined.state);
  const stranger = await issueNode(await createAuthority('test'), joined.uuid, { fleet: 'test' });
  for (const tls of [{}, stranger]) {
    const client = rawClient(port, tls);
    t.after(() => client.close());
    for (const method of gatewayMethods) await assert.rejects(rawStream(client, method).challenge);
  }

  const client = rawClient(port, node);
  t.after(() => client.close());
  for (const method of gatewayMethods) {
    const body = goodBody(method.name);
    const good = rawStream(client, method);
    const bytes = signedEnvelope(node, { method: method.path, challenge: await good.challenge, counter: 1 }, body);
    good.send(bytes);
    good.next().catch(() => undefined);
    const replay = rawStream(client, method);
    await replay.challenge;
    replay.send(bytes);
    assert.equal((await replay.end).details, 'unauthenticated');
    const other = rawStream(client, method);
    const binding = { method: method.path, challenge: await other.challenge, counter: 1 };
    other.send(signedEnvelope({ ...node, identity: stranger.identity }, binding, body));
    assert.equal((await other.end).details, 'unauthenticated');
    good.cancel();
  }

  await fleet.client.post(`/v1/nodes/${joined.uuid}/revoke`, { reason: 'lost' });
  const after = rawClient(port, node);
  t.after(() => after.close());
  for (const method of gatewayMethods) {
    const stream = rawStream(after, method);
    await assert.rejects(
      stream.challenge.then(async (challenge) => {
        stream.send(signedEnvelope(node, { method: method.path, challenge, counter: 1 }, goodBody(method.name)));
        await stream.next();
      }),
    );
  }
}

/** R06. */
async function tokenWorksOnce(fleet: TestFleet): Promise<void> {
  const { token } = await fleet.token();
  const attempt = () =>
    joinFleet({
      server: fleet.server.url,
      token,
      stateDir: join(fleet.directory, randomUUID()),
      version: '0.0.0',
      now: Date.now,
    });
  await attempt();
  await assert.rejects(attempt());
}

/** What a joined node holds, so that a raw client can say anything in its name. */
async function nodeOf(uuid: string, path: string): Promise<TestNode> {
  const state = await openStateDirectory(path);
  const keys = await readNodeKeys(state);
  const text = async (name: string) => readFile(join(path, name), 'utf8');
  assert.ok((await readdir(path)).includes('tls.cert.pem'));
  const keyPem = await text('tls.key.pem');
  assert.equal(createPrivateKey(keyPem).asymmetricKeyType, 'ec');
  return {
    uuid,
    identity: keys.identity,
    tlsKeys: keys.tls,
    keyPem,
    certDer: pemDecode('CERTIFICATE', await text('tls.cert.pem')),
  };
}
