/** Incidents of the machines' own door: a real gateway on loopback, and peers that do what attackers did elsewhere. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import { after, before, test } from 'node:test';
import { connect as connectTls, createSecureContext } from 'node:tls';
import { openSession } from '../../agent/session.ts';
import { parseEd25519PublicKey, verifyEd25519 } from '../../lib/crypto/ed25519.ts';
import { pemEncode } from '../../lib/crypto/x509.ts';
import { assembleCertificate } from '../../lib/crypto/x509-assemble.ts';
import { gatewayMethods } from '../../lib/wire/methods.ts';
import {
  createAuthority,
  createGatewayFleet,
  fleetName,
  type GatewayFleet,
  issueGateway,
  issueNode,
  signerOf,
  type TestNode,
} from '../fakes/gateway-fleet.ts';
import { handlerSpy } from '../fakes/handler-spy.ts';
import { type CallEnd, goodBody, rawClient, rawStream, signedEnvelope } from '../fakes/raw-agent.ts';
import wycheproof from '../vectors/wycheproof/ed25519_test.json' with { type: 'json' };

const dayMs = 86_400_000;
const spy = handlerSpy();
let fleet: GatewayFleet;

before(async () => {
  fleet = await createGatewayFleet({ instrument: spy.instrument });
});
after(() => fleet.close());

type Peer = Partial<Pick<TestNode, 'keyPem' | 'certDer'>>;

/** Every method, as this peer, with no word of the peer's needed: how each call ended, and that nothing was handled. */
async function refusedEverywhere(peer: Peer, port = fleet.gateway.address.port): Promise<void> {
  const { decoded, handled } = spy;
  for (const method of gatewayMethods) {
    const client = rawClient(port, peer);
    const stream = rawStream(client, method);
    assert.equal((await stream.end).code, 14, method.path);
    assert.equal(stream.messages, 0, 'not even a challenge');
    client.close();
  }
  assert.deepEqual([spy.decoded, spy.handled], [decoded, handled]);
}

/** Sends what `bytesFor` makes of the stream's challenge; how the call ended. */
async function sent(
  method: (typeof gatewayMethods)[number],
  node: TestNode,
  bytesFor: (challenge: Uint8Array) => Uint8Array,
  port = fleet.gateway.address.port,
): Promise<CallEnd> {
  const client = rawClient(port, node);
  const stream = rawStream(client, method);
  stream.send(bytesFor(await stream.challenge));
  const end = await stream.end;
  client.close();
  return end;
}

test('incident 13: Salt CVE-2020-11651: no method of the gateway is reachable without a certificate, by a stranger or after a revocation', async () => {
  assert.ok(gatewayMethods.length > 0);
  await refusedEverywhere({});
  const revoked = await fleet.addNode({ state: 'revoked' });
  const { handled } = spy;
  for (const method of gatewayMethods) {
    const signed = (challenge: Uint8Array) =>
      signedEnvelope(revoked, { method: method.path, challenge, counter: 1 }, goodBody(method.name));
    assert.equal((await sent(method, revoked, signed)).details, 'unauthenticated');
  }
  assert.equal(spy.handled, handled);
});

test('incident 14: Salt CVE-2024-38822, CVE-2025-62349: no older or unsigned form of a request counts, nor a name in it', async () => {
  const node = await fleet.addNode();
  const victim = await fleet.addNode();
  const { handled } = spy;
  for (const method of gatewayMethods) {
    const body = goodBody(method.name);
    const binding = (challenge: Uint8Array) => ({ method: method.path, challenge, counter: 1 });
    const forms: readonly ((challenge: Uint8Array) => Uint8Array)[] = [
      // The message alone, as a version without signatures would send it.
      () => body,
      // Signed over everything but the challenge.
      (challenge) => signedEnvelope(node, binding(challenge), body, { challenge: new Uint8Array(32) }),
      // My certificate, and the victim's name in what I sign with my own key.
      (challenge) => signedEnvelope(node, binding(challenge), body, { uuid: victim.uuid }),
      // My certificate, and all of it signed by the victim's key.
      (challenge) => signedEnvelope({ ...node, identity: victim.identity }, binding(challenge), body),
    ];
    for (const form of forms) assert.equal((await sent(method, node, form)).details, 'unauthenticated');
  }
  assert.equal(spy.handled, handled);
});

test('incident 15: Salt CVE-2024-38823: a captured request is refused on its own stream, another stream, connection and gateway', async () => {
  const node = await fleet.addNode();
  const second = await fleet.secondGateway();
  for (const method of gatewayMethods) {
    const client = rawClient(fleet.gateway.address.port, node);
    const stream = rawStream(client, method);
    const challenge = await stream.challenge;
    const captured = signedEnvelope(node, { method: method.path, challenge, counter: 1 }, goodBody(method.name));
    stream.send(captured);
    await stream.next();
    const { handled } = spy;
    if (method.name === 'session') {
      stream.send(captured);
      assert.equal((await stream.end).details, 'unauthenticated');
    }
    const beside = rawStream(client, method);
    await beside.challenge;
    beside.send(captured);
    assert.equal((await beside.end).details, 'unauthenticated');
    assert.equal((await sent(method, node, () => captured)).details, 'unauthenticated');
    const elsewhere = await sent(method, node, () => captured, second.gateway.address.port);
    assert.equal(elsewhere.details, 'unauthenticated');
    assert.equal(spy.handled, handled);
    client.close();
  }
  await second.close();
});

test('incident 17: Fleet GHSA-2rc4-7jc6-qffh: no client certificate, an expired, foreign, self-made or misused one: no connection', async () => {
  const { uuid } = await fleet.addNode();
  const { keyPem, certDer } = await issueGateway(fleet.authority);
  const own = await issueNode(await createAuthority(), uuid);
  const template = {
    purpose: 'client',
    issuer: 'node',
    subject: 'node',
    names: [{ type: 'url', value: `spiffe://${fleetName}/node/${uuid}` }],
    subjectPublicKey: own.tlsKeys.publicKeySpki,
    notBefore: Date.now(),
    notAfter: Date.now() + dayMs,
  } as const;
  await refusedEverywhere({});
  await refusedEverywhere(await fleet.addNode({ notBefore: Date.now() - 3 * dayMs, notAfter: Date.now() - dayMs }));
  await refusedEverywhere(own);
  await refusedEverywhere({ keyPem: own.keyPem, certDer: await assembleCertificate(template, signerOf(own.tlsKeys)) });
  await refusedEverywhere({ keyPem, certDer });
});

test('incident 18: SPIRE 1.14.3: no TLS session is resumed, so a revoked or replaced certificate is always looked at', async () => {
  const node = await fleet.addNode();
  const dial = (session?: Buffer) =>
    connectTls({
      port: fleet.gateway.address.port,
      host: '127.0.0.1',
      rejectUnauthorized: false,
      ALPNProtocols: ['h2'],
      secureContext: createSecureContext({
        minVersion: 'TLSv1.3',
        key: node.keyPem,
        cert: pemEncode('CERTIFICATE', node.certDer),
      }),
      ...(session === undefined ? {} : { session }),
    });
  const first = dial();
  const tickets: Buffer[] = [];
  first.on('session', (ticket: Buffer) => tickets.push(ticket));
  await once(first, 'data');
  const { handled } = spy;
  await fleet.setState(node.uuid, 'revoked');
  first.destroy();
  const second = dial(tickets[0]);
  await once(second, 'secureConnect');
  assert.equal(second.isSessionReused(), false);
  second.destroy();
  const method = gatewayMethods[0]!;
  const signed = (challenge: Uint8Array) =>
    signedEnvelope(node, { method: method.path, challenge, counter: 1 }, goodBody(method.name));
  assert.equal((await sent(method, node, signed)).details, 'unauthenticated');
  assert.equal(spy.handled, handled);
});

test('incident 20: Teleport 15.4.28: a certificate of a sibling environment, same fleet name and same UUID, is refused', async () => {
  const node = await fleet.addNode();
  const sibling = await createAuthority(fleetName);
  await refusedEverywhere(await issueNode(sibling, node.uuid, { identity: node.identity }));
});

test('incident 21: Puppet Enterprise CVE-2026-115732: names that are nearly right are other names', async () => {
  const node = await fleet.addNode();
  const { uuid } = node;
  const spellings = [
    uuid.toUpperCase(),
    `${uuid}.`,
    `${uuid} `,
    `${uuid}/`,
    uuid.slice(0, -1),
    `${uuid}0`,
    uuid.replaceAll('-', ''),
    uuid.replace(/[0-9]/, (digit) => String.fromCodePoint(0xff10 + Number(digit))),
  ];
  for (const spelling of spellings) {
    for (const name of [`spiffe://${fleetName}/node/${spelling}`, `spiffe://${fleetName}.x/node/${uuid}`]) {
      const template = {
        purpose: 'client',
        issuer: `Holdfast CA ${fleetName}`,
        subject: 'node',
        names: [{ type: 'url', value: encodeURI(name) }],
        subjectPublicKey: node.tlsKeys.publicKeySpki,
        notBefore: Date.now(),
        notAfter: Date.now() + dayMs,
      } as const;
      const certDer = await assembleCertificate(template, signerOf(fleet.authority.keys));
      await refusedEverywhere({ keyPem: node.keyPem, certDer });
    }
  }
});

test('incident 26: Boundary CVE-2026-7776: peers that stall the TLS handshake keep nobody out, and are cut', async () => {
  const slow = await createGatewayFleet({ limits: { handshakeTimeoutMs: 500 } });
  try {
    const stalled = await Promise.all(
      Array.from({ length: 200 }, async () => {
        const socket = connectTcp(slow.gateway.address.port, '127.0.0.1').on('error', () => undefined);
        await once(socket, 'connect');
        socket.write(Buffer.of(22));
        return socket.resume();
      }),
    );
    const cut = Promise.all(stalled.map((socket) => (socket.closed ? undefined : once(socket, 'close'))));
    const healthy = await openSession(slow.sessionOptions(await slow.addNode()));
    await healthy.checkIn({ agentVersion: '1.0.0' });
    await cut;
    await healthy.checkIn({ agentVersion: '1.0.0' });
    healthy.close();
  } finally {
    await slow.close();
  }
});

test('incident 28: elliptic CVE-2024-42459, CVE-2024-48949: no other spelling of a signature is accepted', () => {
  const hex = (text: string) => Buffer.from(text, 'hex');
  let refused = 0;
  for (const group of wycheproof.testGroups) {
    const key = parseEd25519PublicKey(hex(group.publicKey.pk));
    for (const each of group.tests) {
      const verified = verifyEd25519(key, hex(each.msg), hex(each.sig));
      assert.equal(verified, each.result === 'valid', `Wycheproof ${each.tcId}: ${each.comment}`);
      if (!verified) refused += 1;
    }
  }
  assert.ok(refused > 50, String(refused));
});
