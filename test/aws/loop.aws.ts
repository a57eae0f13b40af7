/** The whole loop on AWS's interfaces: found, enroll, check in, revoke, seal; with the bundles that ship, on an emulator. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { UpdateTableCommand } from '@aws-sdk/client-dynamodb';
import { functionRights } from '../../cdk/constructs/function-rights.ts';
import { functionNames } from '../../functions/aws/environment.ts';
import { openS3Anchor } from '../../lib/audit/anchor-s3.ts';
import { openS3Publication } from '../../lib/audit/publication-s3.ts';
import { verifyLog } from '../../lib/audit/verify.ts';
import { sha256Hex } from '../../lib/crypto/digest.ts';
import { generateEd25519 } from '../../lib/crypto/ed25519.ts';
import { toBase64url } from '../../lib/crypto/encoding.ts';
import { parseVerifierKey } from '../../lib/crypto/note.ts';
import { formatSshPublicKey, sshPublicKeyOf } from '../../lib/crypto/ssh-key.ts';
import { formatCrate } from '../../lib/policy/model.ts';
import type { Item } from '../../lib/store/port.ts';
import { createMachine, enrollBytes, renewBytes } from '../fakes/fleet.ts';
import { manifestBytes } from '../fakes/policy.ts';
import { type HttpAnswer, httpEvent } from './deployment.ts';
import { deployFleet } from './fleet.ts';
import { refusedCalls } from './rights.ts';

let aws: Awaited<ReturnType<typeof deployFleet>>;

before(async () => {
  aws = await deployFleet();
});
after(() => aws.remove());

test('a fleet that stands is not founded anew on something else', async () => {
  const other = formatSshPublicKey(sshPublicKeyOf(generateEd25519().publicKey));
  await assert.rejects(aws.identity.invoke({ ...aws.founding, operatorKeys: [other] }), /founded already/);
  await assert.rejects(aws.identity.invoke({ ...aws.founding, name: 'other' }), /founded already/);
  assert.equal((await aws.entriesOf('fleet.create', 'success')).length, 1);
});

test('R19 through the HTTPS API nothing is answered without a credential; a direct invocation is local-admin', async () => {
  for (const path of ['/v1/whoami', '/v1/nodes', '/v1/tokens', '/v1/audit/entries', '/no-such-route']) {
    for (const headers of [{}, { authorization: 'Bearer hfla_AAAA' }, { 'x-forwarded-for': '127.0.0.1' }]) {
      const answer = await aws.admin.invoke<HttpAnswer>(httpEvent('GET', path, undefined, headers));
      assert.equal(answer.statusCode, 401, `${path} ${JSON.stringify(headers)}`);
    }
  }
  assert.equal((await aws.direct<{ kind: string }>('GET', '/v1/whoami')).kind, 'local-admin');
  // What a client writes into a body or a header does not make a request a direct invocation.
  const forged = Buffer.from(JSON.stringify({ holdfast: 'admin', method: 'GET', path: '/v1/whoami' }));
  const answer = await aws.admin.invoke<HttpAnswer>(httpEvent('POST', '/v1/tokens', forged));
  assert.equal(answer.statusCode, 401);
  const mixed = { ...httpEvent('GET', '/v1/whoami'), holdfast: 'admin', method: 'GET', path: '/v1/whoami' };
  assert.equal((await aws.admin.invoke<HttpAnswer>(mixed)).statusCode, 401);
  for (const odd of [{}, { Records: [], holdfast: 'admin' }, { requestContext: {}, holdfast: 'admin' }]) {
    await assert.rejects(aws.admin.invoke(odd), /unknown kind/);
    await assert.rejects(aws.identity.invoke(odd), /unknown kind/);
  }
});

test('R06 of 200 enrollments with one token at once, exactly one succeeds, on DynamoDB too', async () => {
  const token = await aws.mint();
  const nodes = (items: readonly Item[]) => items.filter(({ pk }) => pk.startsWith('node#')).length;
  const before = nodes(await aws.scan());
  const successes = (await aws.entriesOf('node.enroll', 'success')).length;
  const machines = await Promise.all(Array.from({ length: 200 }, () => createMachine()));
  const answers = await Promise.all(machines.map((machine) => aws.post('/v1/enroll', enrollBytes(machine, token))));
  const winners = answers.flatMap(({ statusCode }, index) => (statusCode === 200 ? [index] : []));
  assert.equal(winners.length, 1, JSON.stringify(answers.map(({ statusCode }) => statusCode)));
  assert.equal(nodes(await aws.scan()), before + 1);
  assert.equal((await aws.entriesOf('node.enroll', 'success')).length, successes + 1);
  // A lost answer strands nobody: the same key and token get the same node again.
  const again = await aws.post('/v1/enroll', enrollBytes(machines[winners[0]!]!, token));
  assert.equal(again.statusCode, 200);
  assert.equal(nodes(await aws.scan()), before + 1);
  // R07: neither token nor secret is anywhere in the table.
  const stored = JSON.stringify(await aws.scan(), (_, value) =>
    value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : value,
  );
  assert(stored.includes(machines[winners[0]!]!.uuid), 'the search sees what is stored');
  assert(!stored.includes(token.slice(4, 30)));
});

test('R09 enrollment and revocation of one UUID at once: whatever the order, it never comes back', async () => {
  for (let round = 0; round < 5; round += 1) {
    const { machine } = await aws.enroll();
    const token = await aws.mint();
    await Promise.all([
      aws.post('/v1/enroll', enrollBytes({ ...machine, ...(await createMachine({ uuid: machine.uuid })) }, token)),
      aws.direct('POST', `/v1/nodes/${machine.uuid}/revoke`, { reason: 'lost' }).catch(() => undefined),
      aws.post('/v1/renew', renewBytes(machine, Date.now())),
    ]);
    const late = await aws.post('/v1/enroll', enrollBytes(machine, await aws.mint()));
    assert.notEqual(late.statusCode, 200, late.body);
    assert.notEqual((await aws.post('/v1/renew', renewBytes(machine, Date.now() + 1))).statusCode, 200);
  }
});

test('R08 two gateways on one table: a revocation reaches both within 2 s, and one that is killed takes nobody along', async (t) => {
  const gateways = await Promise.all([aws.startGateway(), aws.startGateway()]);
  assert(aws.invocations.every((each) => each.endsWith(' AWS4-HMAC-SHA256')));
  const [node, other] = [await aws.enroll(), await aws.enroll()];
  const sessions = await Promise.all(gateways.map((gateway) => aws.connectOnceKnown(node, gateway)));
  const started = performance.now();
  const ended = sessions.map(async (session) => {
    await session.ended;
    return performance.now() - started;
  });
  await aws.direct('POST', `/v1/nodes/${node.machine.uuid}/revoke`, { reason: 'stolen' });
  const returned = performance.now() - started;
  const times = await Promise.all(ended);
  for (const gateway of gateways)
    await assert.rejects(aws.connect(node, gateway).then((s) => s.checkIn({ agentVersion: '1' })));
  t.diagnostic(
    `revoke returned after ${Math.round(returned)} ms; streams cut after ${times.map(Math.round).join(', ')} ms`,
  );
  assert(times.every((ms) => ms - returned <= 2_000));

  const held = await aws.connectOnceKnown(other, gateways[1]!);
  gateways[0]!.child.kill('SIGKILL');
  await gateways[0]!.ended;
  assert.equal((await held.checkIn({ agentVersion: '0.1.0' })).quarantined, false);

  // Not ready, then its nodes are asked to move, then it ends by itself.
  const asked = new Promise<number>((resolve) => {
    held.onPush(async (push) => {
      if (push.kind !== 'drain') return;
      resolve((await fetch(`http://127.0.0.1:${gateways[1]!.healthPort}/readyz`)).status);
      held.close();
    });
  });
  gateways[1]!.child.kill('SIGTERM');
  assert.equal(await asked, 503);
  const [code] = await gateways[1]!.ended;
  assert.equal(code, 0, gateways[1]!.log());
});

test('the first admin comes about by a direct invocation, logs in, and publishes; a node gets release and blob', async () => {
  await aws.direct('POST', '/v1/users', { name: 'ada', role: 'admin' });
  const password = 'correct horse battery staple';
  await aws.direct('POST', '/v1/users/ada/password', { password });
  const ask = async <T>(
    method: string,
    path: string,
    body: Uint8Array | object,
    headers: Record<string, string> = {},
  ) => {
    const bytes = body instanceof Uint8Array ? body : Buffer.from(JSON.stringify(body));
    const answer = await aws.admin.invoke<HttpAnswer>(httpEvent(method, path, bytes, headers));
    const text = answer.isBase64Encoded ? Buffer.from(answer.body, 'base64').toString() : answer.body;
    assert.equal(answer.statusCode, 200, text);
    return JSON.parse(text) as T;
  };
  const wrong = { transport: 'bearer', input: { name: 'ada', password: `${password}!` } };
  const refused = await aws.admin.invoke<HttpAnswer>(
    httpEvent('POST', '/v1/login/finish', Buffer.from(JSON.stringify(wrong))),
  );
  assert.equal(refused.statusCode, 401);
  const { session } = await ask<{ session: string }>('POST', '/v1/login/finish', {
    ...wrong,
    input: { name: 'ada', password },
  });
  const authorization = { authorization: `Bearer ${session}` };

  const content = Buffer.from('hello from S3');
  const resource = {
    type: 'file',
    id: '/m',
    desired: { path: '/m', content: { sha256: sha256Hex(content), bytes: content.length } },
  };
  const crate = formatCrate({ crate: 'motd', resources: [resource] });
  for (const blob of [content, crate]) {
    const headers = { ...authorization, 'content-type': 'application/octet-stream' };
    await ask('PUT', `/v1/blobs/${sha256Hex(blob)}`, blob, headers);
  }
  const absent = await aws.admin.invoke<HttpAnswer>(
    httpEvent('GET', `/v1/blobs/${'0'.repeat(64)}`, undefined, authorization),
  );
  assert.equal(absent.statusCode, 404);
  const manifest = manifestBytes({
    fleet: 'prod',
    created: Date.now(),
    expires: Date.now() + 86_400_000,
    bindings: [{ match: { name: '*' }, crates: ['motd'] }],
    crates: [{ name: 'motd', sha256: sha256Hex(crate), blobs: [sha256Hex(content)] }],
  });
  const release = { manifest: toBase64url(manifest), signatures: [aws.operator.sign(manifest)] };
  const published = await ask<{ number: number; digest: string }>('POST', '/v1/releases', release, authorization);
  assert.equal(published.digest, sha256Hex(manifest));
  assert.equal((await aws.direct<{ release: { number: number } }>('GET', '/v1/status')).release.number, 1);

  const gateway = await aws.startGateway();
  const node = await aws.connectOnceKnown(await aws.enroll(), gateway);
  assert.equal((await node.checkIn({ agentVersion: '0.1.0' })).release?.digest, published.digest);
  assert.deepEqual(Buffer.from((await node.fetchRelease())!.manifest), Buffer.from(manifest));
  assert.equal(Buffer.from(await node.download(sha256Hex(content))).toString(), 'hello from S3');
  node.close();
  gateway.child.kill('SIGKILL');
});

test('stream to sealer to S3: what stands under the checkpoint that KMS signed is whole', async () => {
  await aws.enroll();
  const publication = openS3Publication(aws.s3, aws.buckets.log);
  // Events come twice and at once; both say only that it is time.
  const event = { Records: [{ eventSource: 'aws:dynamodb', eventName: 'INSERT' }] };
  const sizes = await Promise.all([1, 2, 3].map(() => aws.sealer.invoke<{ size?: number }>(event)));
  assert(sizes.some(({ size }) => (size ?? 0) > 0));
  const second = await aws.startLambda('sealer');
  await aws.enroll();
  await Promise.all([aws.sealer, second].map((each) => each.invoke(event).catch(() => undefined)));
  await aws.sealer.invoke({ source: 'aws.events' });
  const anchors = await Array.fromAsync(openS3Anchor(aws.s3, aws.buckets.anchors).list());
  assert(anchors.length > 0);
  const verdicts = await verifyLog({
    source: publication,
    anchors,
    verifiers: [parseVerifierKey(aws.fleet.log.key)],
    now: Date.now,
  });
  for (const name of ['integrity', 'completeness', 'freshness', 'anchoring'] as const) {
    assert.equal(verdicts[name].verdict, 'pass', JSON.stringify(verdicts));
  }
  await second.stop();
});

test('R08 a stream that stops makes the gateway refuse within 10 s, rather than serve from memory', async (t) => {
  const gateway = await aws.startGateway();
  const session = await aws.connectOnceKnown(await aws.enroll(), gateway);
  const { client } = aws.clients;
  await client.send(new UpdateTableCommand({ TableName: aws.table, StreamSpecification: { StreamEnabled: false } }));
  const stoppedAt = performance.now();
  const isReady = async () => (await fetch(`http://127.0.0.1:${gateway.healthPort}/readyz`)).status === 200;
  assert(await isReady());
  // Until then it may serve; once it is not ready, it must not.
  for (let polls = 0; (await isReady()) && polls < 300; polls += 1) await sleep(100);
  t.diagnostic(`not ready ${Math.round(performance.now() - stoppedAt)} ms after the stream was stopped`);
  assert(performance.now() - stoppedAt <= 12_000);
  await assert.rejects(session.checkIn({ agentVersion: '0.1.0' }));
  session.close();
});

test('R10 the environment of every function holds names alone, and no value that a key or token could be', () => {
  for (const name of functionNames) {
    for (const [key, value] of Object.entries(aws.environmentOf(name))) {
      assert(!/PRIVATE KEY|hfe_|hfla_|vgot_/.test(value), key);
      assert(/_(TABLE|ARN|BUCKET|REGION|GATEWAY|URL|PREFIX)$/.test(key), `${name} has ${key}`);
    }
  }
});

test('every call that the functions made above is one that their roles allow', () => {
  const scope = aws.rightsScope();
  const missing = (['identity', 'admin', 'sealer'] as const).flatMap((name) => {
    const calls = aws.callsOf(name);
    assert(calls.length > 10, name);
    return refusedCalls(calls, functionRights[name](scope)).map((call) => `${name}: ${call}`);
  });
  assert.deepEqual(missing, []);
  // The gateway signs nothing, lists nothing, and writes nodes only as last seen.
  const actions = new Set(aws.callsOf('gateway').map(({ action }) => action));
  for (const action of actions) assert(!/^kms:|Scan|BatchWrite|^s3:(Put|Delete|List)/.test(action), action);
});
