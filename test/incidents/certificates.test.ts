/** Incidents of certificates that live on: renewal, revocation and expiry, at the identity service and the gateway. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createIdentityApp } from '../../functions/identity/app.ts';
import { createCsr, generateP256, parseNodeCertificate } from '../../lib/crypto/x509.ts';
import { parseEnrollAnswer } from '../../lib/identity/answer.ts';
import { getNode, revokeNode } from '../../lib/identity/nodes.ts';
import { renewRequestJson } from '../../lib/identity/renew.ts';
import { gatewayMethods } from '../../lib/wire/methods.ts';
import {
  createMachine,
  createTestFleet,
  enrollBytes,
  type Machine,
  operator,
  renewBytes,
  signedBytes,
} from '../fakes/fleet.ts';
import { createGatewayFleet, issueNode } from '../fakes/gateway-fleet.ts';
import { goodBody, rawClient, rawStream, signedEnvelope } from '../fakes/raw-agent.ts';

const dayMs = 86_400_000;

async function setUp() {
  const fleet = await createTestFleet();
  const app = createIdentityApp({
    ...fleet.issuance,
    descriptor: fleet.descriptor,
    logger: { error: assert.fail },
    source: () => 'test',
    rateLimit: { burst: 1_000_000, perSecond: 1_000_000, maxSources: 10 },
  });
  const post = (path: string, body: Uint8Array) =>
    app.request(path, {
      method: 'POST',
      body: new Uint8Array(body),
      headers: { 'content-type': 'application/json' },
    });
  const join = async (machine: Machine) =>
    assert.equal((await post('/v1/enroll', enrollBytes(machine, await fleet.token()))).status, 200);
  return { fleet, post, join, renew: (machine: Machine, at: number) => post('/v1/renew', renewBytes(machine, at)) };
}

test('incident 39: Puppet CVE-2023-5255: renewed twice and then revoked, no certificate of the node is good any more', async () => {
  const { fleet, join, renew } = await setUp();
  const machine = await createMachine();
  await join(machine);
  for (const hours of [1, 2]) {
    fleet.clock.now += hours * 3_600_000;
    assert.equal((await renew(machine, fleet.clock.now)).status, 200);
  }
  await revokeNode(fleet.issuance, { uuid: machine.uuid, actor: operator });
  assert.equal((await renew(machine, fleet.clock.now + 1)).status, 403);

  // At the gateway: three certificates of one node, all of them valid, none of them any use.
  const gateways = await createGatewayFleet();
  try {
    const first = await gateways.addNode();
    const again = () => issueNode(gateways.authority, first.uuid, { identity: first.identity });
    const certificates = [first, await again(), await again()];
    const method = gatewayMethods[0]!;
    const visit = async (node: typeof first) => {
      const client = rawClient(gateways.gateway.address.port, node);
      const stream = rawStream(client, method);
      const challenge = await stream.challenge;
      stream.send(signedEnvelope(node, { method: method.path, challenge, counter: 1 }, goodBody(method.name)));
      const served = await Promise.race([
        stream.next().then(
          () => 'served',
          () => stream.end.then(({ details }) => details),
        ),
        stream.end.then(({ details }) => details),
      ]);
      client.close();
      return served;
    };
    for (const node of certificates) assert.equal(await visit(node), 'served');
    await gateways.setState(first.uuid, 'revoked');
    for (const node of certificates) assert.equal(await visit(node), 'unauthenticated');
  } finally {
    await gateways.close();
  }
});

test('incident 40: puppetserver #2789, OpenVox #560: 400 days of renewals without an outage, and one that is refused says so', async () => {
  const { fleet, join, renew } = await setUp();
  const machine = await createMachine();
  await join(machine);
  for (let day = 0; day < 400; day++) {
    fleet.clock.now += dayMs;
    const answer = await renew(machine, fleet.clock.now);
    assert.equal(answer.status, 200, `day ${day}`);
    const { certificate } = parseEnrollAnswer(new Uint8Array(await answer.arrayBuffer()));
    const trust = { fleet: 'testfleet', authority: fleet.authority, now: fleet.clock.now + dayMs - 3_600_000 };
    assert.equal(parseNodeCertificate(certificate, trust).uuid, machine.uuid, 'good until the next one');
  }
  // Nothing expires unattended: after a year of silence the identity key is enough.
  fleet.clock.now += 365 * dayMs;
  assert.equal((await renew(machine, fleet.clock.now)).status, 200);
  const refused = await renew(await createMachine(), fleet.clock.now);
  assert.equal(refused.status, 403);
  assert.equal(fleet.audit.of('node.renew.refuse').length, 1);
});

test('incident 41: step-ca GHSA-q4r8 and others: a node renews itself alone, and only who holds its key does', async () => {
  const { fleet, post, join, renew } = await setUp();
  const [alice, bob] = [await createMachine(), await createMachine()];
  await join(alice);
  await join(bob);
  fleet.clock.now += 3_600_000;
  const time = fleet.clock.now;
  const bobBefore = await getNode(fleet.store, bob.uuid);
  const inBobsName = renewRequestJson({ uuid: bob.uuid, time, csr: alice.csr });
  const attempts: readonly Uint8Array[] = [
    signedBytes('renew', alice, inBobsName),
    renewBytes({ ...bob, identity: alice.identity }, time),
    // What was signed to enroll is not a renewal, and the other way.
    signedBytes('enroll', bob, renewRequestJson({ uuid: bob.uuid, time, csr: bob.csr })),
    // Somebody else's request, captured and sent with a change.
    flipLast(renewBytes(bob, time)),
  ];
  for (const body of attempts) {
    const { status } = await post('/v1/renew', body);
    assert.ok(status === 403 || status === 400, String(status));
  }
  assert.deepEqual(await getNode(fleet.store, bob.uuid), bobBefore);
  // A certificate request for another key is answered with a certificate for the node that signed, and no other.
  const other = generateP256();
  const answer = await renew({ ...alice, csr: await createCsr(other) }, time);
  const { certificate } = parseEnrollAnswer(new Uint8Array(await answer.arrayBuffer()));
  const trust = { fleet: 'testfleet', authority: fleet.authority, now: time };
  assert.equal(parseNodeCertificate(certificate, trust).uuid, alice.uuid);
  assert.equal((await renew(bob, time)).status, 200);
});

/** With one character of its signature changed: the last but the closing of the JSON. */
function flipLast(body: Uint8Array): Uint8Array {
  const text = Buffer.from(body).toString('utf8');
  const at = text.search(/[A-Za-z0-9_-]{20}"\}?$/);
  assert.ok(at > 0, text.slice(-40));
  return Buffer.from(`${text.slice(0, at)}${text[at] === 'A' ? 'B' : 'A'}${text.slice(at + 1)}`);
}
