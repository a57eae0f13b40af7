import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { type Client, Server } from '@grpc/grpc-js';
import { generateEd25519 } from '../../lib/crypto/ed25519.ts';
import { createMemoryStore } from '../../lib/store/memory.ts';
import { decodeEnvelope, encodeEnvelope } from '../../lib/wire/envelope.ts';
import { Gateway } from '../../lib/wire/gen/holdfast/agent/v1/gateway_pb.ts';
import { type GatewayMethod, gatewayMethods } from '../../lib/wire/methods.ts';
import { unauthenticated } from '../../lib/wire/status.ts';
import { type CountingStore, countingStore } from '../../test/fakes/counting-store.ts';
import { createGatewayFleet, type GatewayFleet, type TestNode } from '../../test/fakes/gateway-fleet.ts';
import { handlerSpy } from '../../test/fakes/handler-spy.ts';
import { goodBody, type RawStream, rawClient, rawStream, signedEnvelope } from '../../test/fakes/raw-agent.ts';
import { addGatewayService } from './service.ts';

/** The order of the base point, little-endian (RFC 8032 §5.1). */
const groupOrder = Buffer.from('edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010', 'hex');
/** The neutral element: as a public key, R = itself and S = 0 satisfy the equation for every message. */
const neutral = Buffer.concat([Buffer.of(1), Buffer.alloc(31)]);

type Scene = {
  readonly fleet: GatewayFleet;
  readonly method: GatewayMethod;
  readonly node: TestNode;
  readonly stream: RawStream;
  readonly challenge: Uint8Array;
  readonly body: Buffer;
};

/** What is sent, and the true reason for which it must be refused. */
type Attack = {
  readonly name: string;
  readonly reason: string;
  readonly bytes: (scene: Scene) => Buffer | Promise<Buffer>;
  readonly node?: (fleet: GatewayFleet) => Promise<TestNode>;
};

const good = ({ node, method, challenge, body }: Scene, counter = 1) =>
  signedEnvelope(node, { method: method.path, challenge, counter }, body);
/** Signs for something else than what is sent. */
const signedFor = (change: Parameters<typeof signedEnvelope>[3]) => (scene: Scene) =>
  signedEnvelope(scene.node, { method: scene.method.path, challenge: scene.challenge, counter: 1 }, scene.body, change);
const altered =
  (alter: (envelope: { counter: number; signature: Uint8Array; body: Uint8Array }) => object) => (scene: Scene) => {
    const envelope = decodeEnvelope(good(scene), 1 << 20)!;
    const parts = {
      counter: envelope.counter,
      signature: Buffer.from(envelope.signature),
      body: Buffer.from(envelope.body),
    };
    return encodeEnvelope({ ...parts, ...alter(parts) });
  };

const attacks: readonly Attack[] = [
  {
    name: 'R03 a flipped bit in the body',
    reason: 'bad_signature',
    bytes: altered(({ body }) => ({ body: flipped(body, body.length - 1) })),
  },
  {
    name: 'R03 a flipped bit in the signature, R',
    reason: 'bad_signature',
    bytes: altered(({ signature }) => ({ signature: flipped(signature, 3) })),
  },
  {
    name: 'R03 a flipped bit in the signature, S',
    reason: 'bad_signature',
    bytes: altered(({ signature }) => ({ signature: flipped(signature, 40) })),
  },
  {
    name: 'R03 another method in the signature',
    reason: 'bad_signature',
    bytes: (scene) =>
      signedFor({ method: gatewayMethods.find((other) => other.name !== scene.method.name)!.path })(scene),
  },
  {
    name: 'R03 the method in another case in the signature',
    reason: 'bad_signature',
    bytes: (scene) => signedFor({ method: scene.method.path.toLowerCase() })(scene),
  },
  { name: 'R03 another UUID in the signature', reason: 'bad_signature', bytes: signedFor({ uuid: randomUUID() }) },
  { name: 'R03 another counter in the signature', reason: 'bad_signature', bytes: signedFor({ counter: 2 }) },
  { name: 'R03 a raised counter in the envelope', reason: 'bad_signature', bytes: altered(() => ({ counter: 2 })) },
  {
    name: 'R05 another challenge in the signature',
    reason: 'bad_signature',
    bytes: signedFor({ challenge: randomBytes(32) }),
  },
  {
    name: 'R03 another certificate in the signature',
    reason: 'bad_signature',
    bytes: signedFor({ certificateDigest: randomBytes(32) }),
  },
  {
    name: 'R03 a non-canonical S (S + L)',
    reason: 'bad_signature',
    bytes: altered(({ signature }) => ({ signature: plusOrder(signature) })),
  },
  {
    name: 'R03 a small-order key on record, with the signature that fits every message',
    reason: 'bad_signature',
    node: (fleet) => fleet.addNode({ recordedKey: neutral }),
    bytes: altered(() => ({ signature: Buffer.concat([neutral, Buffer.alloc(32)]) })),
  },
  {
    name: 'R03 a signature of zeros',
    reason: 'bad_signature',
    bytes: altered(() => ({ signature: Buffer.alloc(64) })),
  },
  { name: 'R03 no counter', reason: 'malformed_envelope', bytes: (scene) => good(scene).subarray(2) },
  { name: 'R03 a counter of zero', reason: 'malformed_envelope', bytes: altered(() => ({ counter: 0 })) },
  {
    name: 'R03 no signature',
    reason: 'malformed_envelope',
    bytes: (scene) => Buffer.concat([Buffer.of(0x08, 1, 0x1a, scene.body.length), scene.body]),
  },
  {
    name: 'R03 a signature of 65 bytes',
    reason: 'malformed_envelope',
    bytes: altered(({ signature }) => ({ signature: Buffer.concat([signature, Buffer.of(0)]) })),
  },
  {
    name: 'R03 a signature of 63 bytes',
    reason: 'malformed_envelope',
    bytes: altered(({ signature }) => ({ signature: signature.subarray(0, 63) })),
  },
  { name: 'R03 no body', reason: 'bad_signature', bytes: altered(() => ({ body: Buffer.alloc(0) })) },
  {
    name: 'R03 an unknown field beside the signed ones',
    reason: 'malformed_envelope',
    bytes: (scene) => Buffer.concat([good(scene), Buffer.of(0x22, 1, 0)]),
  },
  {
    name: 'R03 a second body',
    reason: 'malformed_envelope',
    bytes: (scene) => Buffer.concat([good(scene), Buffer.of(0x1a, 1, 0)]),
  },
  { name: 'R03 an empty message', reason: 'malformed_envelope', bytes: () => Buffer.alloc(0) },
  { name: 'R03 random bytes', reason: 'malformed_envelope', bytes: () => Buffer.alloc(200, 0xff) },
  { name: 'R03 a bare request without an envelope', reason: 'malformed_envelope', bytes: ({ body }) => body },
  {
    name: 'R03 a body over the limit',
    reason: 'malformed_envelope',
    bytes: (scene) => good({ ...scene, body: Buffer.alloc(1024 * 1024 + 1) }),
  },
  {
    name: 'R04 an unknown node with a valid certificate',
    reason: 'unknown_node',
    node: (fleet) => fleet.addNode({ enrolled: false }),
    bytes: good,
  },
  {
    name: 'R08 a revoked node',
    reason: 'revoked',
    node: async (fleet) => {
      const node = await fleet.addNode();
      await fleet.setState(node.uuid, 'revoked');
      return node;
    },
    bytes: good,
  },
  {
    name: "R04 an unknown key on a known node's certificate",
    reason: 'bad_signature',
    node: async (fleet) => ({ ...(await fleet.addNode()), identity: generateEd25519() }),
    bytes: good,
  },
  {
    name: "R04 my certificate with another node's signature",
    reason: 'bad_signature',
    bytes: async (scene) => {
      const other = await scene.fleet.addNode();
      return good({ ...scene, node: { ...scene.node, identity: other.identity } });
    },
  },
  {
    name: "R04 another node's whole identity on my certificate",
    reason: 'bad_signature',
    bytes: async (scene) => good({ ...scene, node: await scene.fleet.addNode() }),
  },
];

describe('the verifier', () => {
  let fleet: GatewayFleet;
  let store: CountingStore;
  const spy = handlerSpy();
  const clients: Client[] = [];

  before(async () => {
    store = countingStore(createMemoryStore());
    fleet = await createGatewayFleet({ store, instrument: spy.instrument });
  });
  after(async () => {
    for (const client of clients) client.close();
    await fleet.close();
  });

  it('R03 stands before every method of the service, and there is no other way in', async () => {
    assert.deepEqual(
      gatewayMethods.map(({ path }) => path),
      Object.values(Gateway.method).map((method) => `/holdfast.agent.v1.Gateway/${method.name}`),
    );
    for (const method of Object.values(Gateway.method)) {
      assert.equal(method.methodKind, 'bidi_streaming');
      assert.equal(method.input.typeName, 'holdfast.agent.v1.Envelope', `${method.name} takes signed envelopes only`);
    }
    const client = connect(await fleet.addNode());
    const unknown = rawStream(client, { name: 'session', path: '/holdfast.agent.v1.Gateway/Unlisted' });
    assert.equal((await unknown.end).code, 12, 'what is not in the descriptor is not implemented');
  });

  it('R03 a service without a handler for each method does not start', () => {
    const server = new Server();
    for (const method of gatewayMethods) {
      const handlers = Object.fromEntries(gatewayMethods.filter((m) => m !== method).map((m) => [m.name, {}]));
      assert.throws(() => addGatewayService(server, {} as never, handlers as never), /has no handler/);
    }
  });

  for (const method of gatewayMethods) {
    describe(method.path, () => {
      it('accepts what is signed, with a rising counter', async () => {
        const node = await fleet.addNode();
        const stream = rawStream(connect(node), method);
        const challenge = await stream.challenge;
        const body = goodBody(method.name);
        for (const counter of [1, 2, 7, 0xffffffff]) {
          stream.send(signedEnvelope(node, { method: method.path, challenge, counter }, body));
          await stream.next();
        }
        stream.cancel();
      });

      for (const attack of attacks) {
        it(`${attack.name} is refused`, async () => {
          const node = await (attack.node?.(fleet) ?? fleet.addNode());
          const stream = rawStream(connect(node), method);
          const challenge = await stream.challenge;
          const bytes = await attack.bytes({ fleet, method, node, stream, challenge, body: goodBody(method.name) });
          await refused(stream, () => stream.send(bytes), attack.reason, node.uuid);
        });
      }

      it('R05 the same bytes on the same stream are refused', async () => {
        const node = await fleet.addNode();
        const { stream, bytes } = await accepted(node, method);
        await refused(stream, () => stream.send(bytes), 'replayed_counter', node.uuid);
      });

      it('R05 an older counter on the same stream is refused', async () => {
        const node = await fleet.addNode();
        const { stream, challenge } = await accepted(node, method, 5);
        const older = signedEnvelope(node, { method: method.path, challenge, counter: 4 }, goodBody(method.name));
        await refused(stream, () => stream.send(older), 'replayed_counter', node.uuid);
      });

      it('R05 the same bytes on another stream of the same connection are refused', async () => {
        const node = await fleet.addNode();
        const { bytes, client } = await accepted(node, method);
        const second = rawStream(client, method);
        await second.challenge;
        await refused(second, () => second.send(bytes), 'bad_signature', node.uuid);
      });

      it('R05 the same bytes on another connection are refused', async () => {
        const node = await fleet.addNode();
        const { bytes } = await accepted(node, method);
        const second = rawStream(connect(node), method);
        await second.challenge;
        await refused(second, () => second.send(bytes), 'bad_signature', node.uuid);
      });

      it('R05 captured bytes that were never delivered are refused on another stream', async () => {
        const node = await fleet.addNode();
        const client = connect(node);
        const first = rawStream(client, method);
        const bytes = signedEnvelope(
          node,
          { method: method.path, challenge: await first.challenge, counter: 1 },
          goodBody(method.name),
        );
        const second = rawStream(client, method);
        await second.challenge;
        await refused(second, () => second.send(bytes), 'bad_signature', node.uuid);
        first.cancel();
      });

      it('R05 the same bytes many times at once on one stream are served once', async () => {
        const node = await fleet.addNode();
        const stream = rawStream(connect(node), method);
        const challenge = await stream.challenge;
        const bytes = signedEnvelope(node, { method: method.path, challenge, counter: 1 }, goodBody(method.name));
        const handled = spy.handled;
        for (let copy = 0; copy < 20; copy++) stream.send(bytes);
        await stream.next();
        await assert.rejects(stream.next(), { code: unauthenticated.code });
        assert.equal(spy.handled - handled, 1);
      });

      it('R05 another gateway on the same store refuses the bytes, before and after a restart', async () => {
        const node = await fleet.addNode();
        const { bytes } = await accepted(node, method);
        for (let restart = 0; restart < 2; restart++) {
          const second = await fleet.secondGateway();
          const client = rawClient(second.gateway.address.port, node);
          clients.push(client);
          const stream = rawStream(client, method);
          await stream.challenge;
          await refused(stream, () => stream.send(bytes), 'bad_signature', node.uuid);
          await second.close();
        }
      });
    });
  }

  it('R05 challenges are never the same', async () => {
    const client = connect(await fleet.addNode());
    const seen = new Set<string>();
    for (let round = 0; round < 20; round++) {
      const stream = rawStream(client, gatewayMethods[round % gatewayMethods.length]!);
      seen.add(Buffer.from(await stream.challenge).toString('hex'));
      stream.cancel();
    }
    assert.equal(seen.size, 20);
  });

  function connect(node: TestNode): Client {
    const client = rawClient(fleet.gateway.address.port, node);
    clients.push(client);
    return client;
  }

  async function accepted(node: TestNode, method: GatewayMethod, counter = 1) {
    const client = connect(node);
    const stream = rawStream(client, method);
    const challenge = await stream.challenge;
    const bytes = signedEnvelope(node, { method: method.path, challenge, counter }, goodBody(method.name));
    stream.send(bytes);
    await stream.next();
    return { client, stream, challenge, bytes };
  }

  /** One uniform answer, the true reason in the audit log, nothing decoded, nothing handled, no store asked. */
  async function refused(stream: RawStream, send: () => void, reason: string, uuid: string): Promise<void> {
    const { decoded, handled } = spy;
    const counts = { ...store.counts };
    const denials = fleet.audit.events.length;
    send();
    const answered = stream.next().then(
      () => assert.fail('the request was answered'),
      () => stream.end,
    );
    const end = await Promise.race([stream.end, answered]);
    const trailer = unauthenticated.metadata.get('grpc-status-details-bin')[0]!.toString('hex' as never);
    assert.deepEqual(end, { code: 16, details: 'unauthenticated', trailer });
    assert.deepEqual(
      { decoded: spy.decoded, handled: spy.handled },
      { decoded, handled },
      'nothing was decoded or handled',
    );
    assert.deepEqual(store.counts, counts, 'the store was not asked');
    const [denial, ...more] = fleet.audit.events.slice(denials);
    assert.equal(more.length, 0);
    assert.equal(denial?.type, 'node.request.refuse');
    assert.equal(denial?.outcome, 'denied');
    assert.equal(denial?.actor.kind, 'unauthenticated');
    assert.equal(denial?.detail?.['reason'], reason);
    assert.equal(denial?.detail?.['claimed'], uuid);
  }
});

function flipped(bytes: Uint8Array, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = copy[at]! ^ 0x10;
  return copy;
}

/** The same signature with S + L in place of S: equal modulo the order, and so another spelling of it. */
function plusOrder(signature: Uint8Array): Buffer {
  const copy = Buffer.from(signature);
  let carry = 0;
  for (let index = 0; index < 32; index++) {
    const sum = copy[32 + index]! + groupOrder[index]! + carry;
    copy[32 + index] = sum & 0xff;
    carry = sum >> 8;
  }
  return copy;
}
