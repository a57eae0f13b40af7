import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { connect as connectTcp, type Socket } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { type ConnectionOptions, connect as connectTls, createSecureContext, type TLSSocket } from 'node:tls';
import { openSession } from '../../agent/session.ts';
import { privateKeyToPem } from '../../lib/crypto/ed25519.ts';
import { generateP256, pemEncode } from '../../lib/crypto/x509.ts';
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
} from '../../test/fakes/gateway-fleet.ts';
import { handlerSpy } from '../../test/fakes/handler-spy.ts';
import { goodBody, rawClient, rawStream, signedEnvelope } from '../../test/fakes/raw-agent.ts';

const dayMs = 24 * 60 * 60 * 1000;

type Peer = { readonly keyPem?: string; readonly certDer?: Uint8Array };

describe('the transport', () => {
  let fleet: GatewayFleet;
  let port: number;
  const spy = handlerSpy();

  before(async () => {
    fleet = await createGatewayFleet({ instrument: spy.instrument });
    port = fleet.gateway.address.port;
  });
  after(() => fleet.close());

  const wrongPeers: readonly { name: string; reason: string; peer: () => Promise<Peer> }[] = [
    { name: 'no client certificate', reason: 'certificate_missing', peer: async () => ({}) },
    {
      name: 'a certificate of another CA with the same subject',
      reason: 'certificate_untrusted',
      peer: async () => issueNode(await createAuthority(), (await fleet.addNode()).uuid),
    },
    {
      name: 'a self-signed certificate',
      reason: 'certificate_self_signed',
      peer: async () => {
        const keys = generateP256();
        const template = {
          purpose: 'client',
          issuer: 'node',
          subject: 'node',
          names: [{ type: 'url', value: `spiffe://${fleetName}/node/${(await fleet.addNode()).uuid}` }],
          subjectPublicKey: keys.publicKeySpki,
          notBefore: Date.now(),
          notAfter: Date.now() + dayMs,
        } as const;
        const certDer = await assembleCertificate(template, signerOf(keys));
        return { certDer, keyPem: privateKeyToPem(keys.privateKey) };
      },
    },
    {
      name: "another CA's own certificate with the same subject",
      reason: 'certificate_wrong_use',
      peer: async () => {
        const { der, keys } = await createAuthority();
        return { certDer: der, keyPem: privateKeyToPem(keys.privateKey) };
      },
    },
    {
      name: 'an expired certificate',
      reason: 'certificate_expired',
      peer: () => fleet.addNode({ notBefore: Date.now() - 3 * dayMs, notAfter: Date.now() - dayMs }),
    },
    {
      name: 'a certificate of tomorrow',
      reason: 'certificate_not_yet_valid',
      peer: () => fleet.addNode({ notBefore: Date.now() + dayMs, notAfter: Date.now() + 2 * dayMs }),
    },
    {
      name: 'a server certificate of the fleet',
      reason: 'certificate_wrong_use',
      peer: () => issueGateway(fleet.authority),
    },
  ];

  for (const method of gatewayMethods) {
    describe(method.path, () => {
      for (const { name, reason, peer } of wrongPeers) {
        it(`R02 ${name} is refused before any handler`, async () => {
          const { decoded, handled } = spy;
          const wrong = await peer();
          const before = fleet.audit.events.length;
          const client = rawClient(port, wrong);
          const stream = rawStream(client, method);
          const end = await stream.end;
          client.close();
          assert.equal(end.code, 14, 'no connection');
          assert.equal(stream.messages, 0, 'not even a challenge');
          assert.deepEqual([spy.decoded, spy.handled], [decoded, handled]);
          const reasons = new Set(fleet.audit.events.slice(before).map((event) => event.detail?.['reason']));
          assert.deepEqual([...reasons], [reason]);
        });
      }

      it('R02 plaintext HTTP/2 is refused', async () => {
        const session = connectHttp2(`http://127.0.0.1:${port}`);
        session.on('error', () => undefined);
        const request = session.request({
          ':method': 'POST',
          ':path': method.path,
          'content-type': 'application/grpc',
        });
        let answered = false;
        request.on('response', () => {
          answered = true;
        });
        request.on('error', () => undefined);
        await once(session, 'close');
        assert.equal(answered, false);
      });

      it('R02 a revoked node connects, and its requests are refused as all others', async () => {
        const node = await fleet.addNode({ state: 'revoked' });
        const client = rawClient(port, node);
        const stream = rawStream(client, method);
        const challenge = await stream.challenge;
        stream.send(signedEnvelope(node, { method: method.path, challenge, counter: 1 }, goodBody(method.name)));
        assert.equal((await stream.end).details, 'unauthenticated');
        client.close();
      });
    });
  }

  it('R02 TLS 1.2 is refused, after a change of the certificate too', async () => {
    const node = await fleet.addNode();
    const twelve = { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' } as const;
    for (let round = 0; round < 2; round++) {
      const [error] = (await once(tls(node, twelve), 'error')) as [NodeJS.ErrnoException];
      assert.match(String(error.code), /PROTOCOL_VERSION/);
      fleet.gateway.replaceCertificate(await issueGateway(fleet.authority));
    }
  });

  it('R02 after a change of the certificate a client certificate is still required', async () => {
    fleet.gateway.replaceCertificate(await issueGateway(fleet.authority));
    const client = rawClient(port, {});
    assert.equal((await rawStream(client, gatewayMethods[0]!).end).code, 14);
    client.close();
    const renewed = await issueGateway(fleet.authority);
    fleet.gateway.replaceCertificate(renewed);
    const socket = tls(await fleet.addNode());
    await once(socket, 'secureConnect');
    assert.deepEqual(Buffer.from(socket.getPeerX509Certificate()!.raw), Buffer.from(renewed.certDer));
    socket.destroy();
  });

  it('R02 a peer that does not speak HTTP/2 over TLS is cut', async () => {
    const socket = tls(await fleet.addNode(), { ALPNProtocols: [] });
    socket.on('error', () => undefined);
    socket.resume();
    await once(socket, 'close');
  });

  it('R02 incident 18: TLS sessions are never resumed', async () => {
    const node = await fleet.addNode();
    const first = tls(node);
    let session: Buffer | undefined;
    first.on('session', (made: Buffer) => {
      session = made;
    });
    await once(first, 'data');
    first.destroy();
    const second = session ? tls(node, { session }) : tls(node);
    await once(second, 'secureConnect');
    assert.equal(second.isSessionReused(), false);
    second.destroy();
  });

  it('R04 fifty nodes at once are never taken for one another', async () => {
    const nodes = await Promise.all(Array.from({ length: 50 }, () => fleet.addNode()));
    const sessions = await Promise.all(nodes.map((node) => openSession(fleet.sessionOptions(node))));
    for (let round = 0; round < 5; round++) {
      // Each is signed for its own UUID and certificate: taken for any other node's, it would be refused.
      await Promise.all(sessions.map((session) => session.checkIn({ agentVersion: `1.0.${round}` })));
    }
    const started = { seconds: BigInt(Math.floor(Date.now() / 1000)), nanos: 0 };
    await Promise.all(
      sessions.map((session, index) => session.reportRun({ runId: randomUUID(), started, error: nodes[index]!.uuid })),
    );
    for (const node of nodes) {
      const { items } = await fleet.store.query({ pk: `run#${node.uuid}` });
      assert.deepEqual(
        items.map((item) => item['error']),
        [node.uuid],
      );
    }
    for (const session of sessions) session.close();
  });

  it('R02 incident 26: 500 stalled handshakes are cut at the deadline while healthy agents go on', async () => {
    const slow = await createGatewayFleet({ limits: { handshakeTimeoutMs: 1000 } });
    try {
      const healthy = await openSession(slow.sessionOptions(await slow.addNode()));
      const stalled = await Promise.all(Array.from({ length: 500 }, () => stall(slow)));
      const cut = Promise.all(stalled.map((socket) => (socket.closed ? undefined : once(socket, 'close'))));
      await healthy.checkIn({ agentVersion: '1.0.0' });
      const newcomer = await openSession(slow.sessionOptions(await slow.addNode()));
      await newcomer.checkIn({ agentVersion: '1.0.0' });
      await cut;
      await healthy.checkIn({ agentVersion: '1.0.0' });
      healthy.close();
      newcomer.close();
    } finally {
      await slow.close();
    }
  });

  it('stalled handshakes beyond the limit make room for the agent that comes next', async () => {
    const limits = { maxPendingHandshakesPerAddress: 4, handshakeTimeoutMs: 60_000 };
    const small = await createGatewayFleet({ limits });
    try {
      const stalled: Socket[] = [];
      for (let index = 0; index < 8; index++) stalled.push(await stall(small));
      const session = await openSession(small.sessionOptions(await small.addNode()));
      await session.checkIn({ agentVersion: '1.0.0' });
      if (!stalled[0]!.closed) await once(stalled[0]!, 'close');
      session.close();
      for (const socket of stalled) socket.destroy();
    } finally {
      await small.close();
    }
  });

  it('a stream without a request in time is ended', async () => {
    const quick = await createGatewayFleet({ limits: { firstEnvelopeTimeoutMs: 50 } });
    try {
      const client = rawClient(quick.gateway.address.port, await quick.addNode());
      assert.equal((await rawStream(client, gatewayMethods[0]!).end).code, 4);
      client.close();
    } finally {
      await quick.close();
    }
  });

  /** A connection that sends the first byte of a handshake, and then no more. */
  async function stall(to: GatewayFleet): Promise<Socket> {
    const socket = connectTcp(to.gateway.address.port, '127.0.0.1');
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    socket.write(Buffer.of(22));
    return socket.resume();
  }

  function tls(
    node: TestNode,
    options: ConnectionOptions & { minVersion?: 'TLSv1.2'; maxVersion?: 'TLSv1.2' } = {},
  ): TLSSocket {
    const { minVersion, maxVersion, ...rest } = options;
    const secureContext = createSecureContext({
      key: node.keyPem,
      cert: pemEncode('CERTIFICATE', node.certDer),
      ca: pemEncode('CERTIFICATE', fleet.authority.der),
      ...(minVersion && maxVersion ? { minVersion, maxVersion } : {}),
    });
    const checkServerIdentity = () => undefined;
    return connectTls({ host: '127.0.0.1', port, ALPNProtocols: ['h2'], checkServerIdentity, secureContext, ...rest });
  }
});
