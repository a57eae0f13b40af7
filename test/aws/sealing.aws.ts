/**
 * Secrets through a whole deployment: set and published by the admin function, asked for by a node through a gateway's
 * process, read and sealed by the sealing function alone, opened by the node; and everything else that there is searched.
 */
import assert from 'node:assert/strict';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { functionRights } from '../../cdk/constructs/function-rights.ts';
import { sha256Hex } from '../../lib/crypto/digest.ts';
import { toBase64url } from '../../lib/crypto/encoding.ts';
import { parseEnrollAnswer } from '../../lib/identity/answer.ts';
import { formatCrate } from '../../lib/policy/model.ts';
import { openSecret } from '../../lib/secrets/seal.ts';
import { createMachine, enrollBytes } from '../fakes/fleet.ts';
import { manifestBytes } from '../fakes/policy.ts';
import { type HttpAnswer, httpEvent } from './deployment.ts';
import { endpointOf, region } from './emulator.ts';
import { deployFleet } from './fleet.ts';
import { refusedCalls } from './rights.ts';

let aws: Awaited<ReturnType<typeof deployFleet>>;
const client = new SecretsManagerClient({ region, endpoint: endpointOf('ministack') });
const canary = `canary-${randomBytes(16).toString('hex')}`;
const rotated = `rotated-${randomBytes(16).toString('hex')}`;

before(async () => {
  aws = await deployFleet();
});
after(async () => {
  client.destroy();
  await aws.remove();
});

async function signIn() {
  await aws.direct('POST', '/v1/users', { name: 'ada', role: 'admin' });
  const password = 'correct horse battery staple';
  await aws.direct('POST', '/v1/users/ada/password', { password });
  const call = async <T>(
    method: string,
    path: string,
    body: Uint8Array | object,
    more: Record<string, string> = {},
  ) => {
    const bytes = body instanceof Uint8Array ? body : Buffer.from(JSON.stringify(body));
    const type = body instanceof Uint8Array ? { 'content-type': 'application/octet-stream' } : {};
    const answer = await aws.admin.invoke<HttpAnswer>(
      httpEvent(method, path, method === 'GET' ? undefined : bytes, { ...type, ...more }),
    );
    const text = answer.isBase64Encoded ? Buffer.from(answer.body, 'base64').toString() : answer.body;
    return { status: answer.statusCode, text, value: (text.startsWith('{') ? JSON.parse(text) : {}) as T };
  };
  const { value } = await call<{ session: string }>('POST', '/v1/login/finish', {
    transport: 'bearer',
    input: { name: 'ada', password },
  });
  const authorization = { authorization: `Bearer ${value.session}` };
  return <T>(method: string, path: string, body: Uint8Array | object = {}) =>
    call<T>(method, path, body, authorization);
}

/** Every item of the table as text, bytes too. */
async function everything(): Promise<string> {
  return JSON.stringify(await aws.scan(), (_, value) =>
    value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : value,
  );
}

test('R10 R16 a secret goes from the admin function to one node, and only the sealing function ever reads it', async () => {
  const admin = await signIn();
  const set = await admin<{ version: number }>('PUT', '/v1/secrets/db%2Fpassword', new Uint8Array(Buffer.from(canary)));
  assert.equal(set.status, 200, set.text);
  assert.equal(set.value.version, 1);
  await admin('POST', '/v1/secrets/other/generate', { length: 40 });
  const listed = await admin<{ items: { path: string }[] }>('GET', '/v1/secrets');
  assert.deepEqual(
    listed.value.items.map(({ path }) => path),
    ['db/password', 'other'],
  );
  assert.equal((await admin('POST', '/v1/secrets-master-key/rotate')).status, 400);

  const publish = async (number: number, path: string, previous: string) => {
    const desired = { path: '/s', mode: '0600', content: { $secret: { path } } };
    const crate = formatCrate({ crate: 'app', resources: [{ type: 'file', id: '/s', desired }] });
    await admin('PUT', `/v1/blobs/${sha256Hex(crate)}`, new Uint8Array(crate));
    const manifest = manifestBytes({
      fleet: 'prod',
      number,
      ...(previous === '' ? {} : { previous }),
      created: Date.now(),
      expires: Date.now() + 86_400_000,
      bindings: [{ match: { labels: { role: 'web' } }, crates: ['app'] }],
      crates: [{ name: 'app', sha256: sha256Hex(crate), blobs: [] }],
    });
    const release = { manifest: toBase64url(manifest), signatures: [aws.operator.sign(manifest)] };
    const answer = await admin<{ digest: string }>('POST', '/v1/releases', release);
    return { ...answer, digest: answer.value.digest };
  };
  const absent = await publish(1, 'absent', '');
  assert.notEqual(absent.status, 200);
  assert.match(absent.text, /do not exist: secret:absent/);
  const { digest, status, text } = await publish(1, 'db/password', '');
  assert.equal(status, 200, text);

  const gateway = await aws.startGateway();
  const sealing = generateKeyPairSync('x25519');
  const machine = await createMachine({
    sealingKey: new Uint8Array(sealing.publicKey.export({ format: 'der', type: 'spki' }).subarray(-32)),
  });
  const joined = await aws.post('/v1/enroll', enrollBytes(machine, await aws.mint()));
  const { certificate: certDer } = parseEnrollAnswer(Buffer.from(joined.body));
  const session = await aws.connectOnceKnown({ machine, certDer }, gateway);
  const read = async (privateKey = sealing.privateKey) => {
    const [one] = (await session.resolveSecrets({ releaseDigest: digest, paths: ['db/password'] })).secrets;
    assert(one !== undefined && 'sealed' in one, JSON.stringify(one));
    const place = { uuid: machine.uuid, path: one.path, version: one.sealed.version, releaseDigest: digest };
    return Buffer.from(openSecret(privateKey, place, one.sealed)).toString();
  };
  assert.equal(await read(), canary);
  await assert.rejects(read(generateKeyPairSync('x25519').privateKey));
  await assert.rejects(session.resolveSecrets({ releaseDigest: digest, paths: ['other'] }), {
    reason: 'PERMISSION_DENIED',
  });
  await assert.rejects(session.resolveSecrets({ releaseDigest: digest, paths: ['absent'] }), {
    reason: 'PERMISSION_DENIED',
  });
  const change = await admin<{ version: number }>(
    'PUT',
    '/v1/secrets/db%2Fpassword/rotate',
    new Uint8Array(Buffer.from(rotated)),
  );
  assert.equal(change.value.version, 2);
  assert.equal(await read(), rotated);
  await admin('POST', '/v1/secrets/db%2Fpassword/delete');
  const gone = await session.resolveSecrets({ releaseDigest: digest, paths: ['db/password'] });
  assert.deepEqual(gone.secrets, [{ path: 'db/password', reason: 'NOT_FOUND' }]);
  session.close();

  // What the audit log says, and that nothing says the value.
  assert.equal((await aws.entriesOf('secret.release', 'success')).length >= 2, true);
  assert.equal((await aws.entriesOf('secret.refuse', 'denied')).length, 2);
  const stored = `${await everything()}${gateway.log()}`;
  assert(stored.includes('db/password@1'), 'the search sees the entries');
  for (const value of [canary, rotated])
    for (const form of [value, Buffer.from(value).toString('base64'), Buffer.from(value).toString('hex')])
      assert(!stored.includes(form));
  gateway.child.kill('SIGKILL');
});

test('who is no node, or lies about one, is refused by the sealing function itself, with an entry', async () => {
  const refusals = (await aws.entriesOf('node.request.refuse', 'denied')).length;
  for (const proof of [{}, { uuid: '../x' }]) {
    assert.deepEqual(await aws.secrets.invoke({ holdfast: 'seal-secrets', proof }), { refused: 'INVALID_REQUEST' });
  }
  assert.equal((await aws.entriesOf('node.request.refuse', 'denied')).length >= refusals, true);
  for (const odd of [{}, { Records: [], holdfast: 'seal-secrets' }, httpEvent('POST', '/v1/secrets')]) {
    await assert.rejects(aws.secrets.invoke(odd), /unknown kind/);
  }
});

test('every call that the functions made above is one that their roles allow, and only one of them read a value', () => {
  const scope = aws.rightsScope();
  for (const name of ['admin', 'secrets'] as const) {
    assert.deepEqual(refusedCalls(aws.callsOf(name), functionRights[name](scope)), [], name);
  }
  const readers = (['admin', 'gateway', 'identity', 'sealer', 'secrets'] as const).filter((name) =>
    aws.callsOf(name).some(({ action }) => /^secretsmanager:(Batch)?GetSecretValue$/.test(action)),
  );
  assert.deepEqual(readers, ['secrets']);
  assert(!aws.callsOf('gateway').some(({ action }) => action.startsWith('secretsmanager:')));
});
