/** Requests that must be refused, whatever the method: each with the true reason that the audit log must hold. */
import { randomBytes, randomUUID } from 'node:crypto';
import { generateEd25519 } from '../../lib/crypto/ed25519.ts';
import { decodeEnvelope, encodeEnvelope } from '../../lib/wire/envelope.ts';
import { type GatewayMethod, gatewayMethods } from '../../lib/wire/methods.ts';
import type { GatewayFleet, TestNode } from './gateway-fleet.ts';
import { signedEnvelope } from './raw-agent.ts';

/** The order of the base point, little-endian (RFC 8032 §5.1). */
const groupOrder = Buffer.from('edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010', 'hex');
/** The neutral element: as a public key, R = itself and S = 0 satisfy the equation for every message. */
const neutral = Buffer.concat([Buffer.of(1), Buffer.alloc(31)]);

type Scene = {
  readonly fleet: GatewayFleet;
  readonly method: GatewayMethod;
  readonly node: TestNode;
  readonly challenge: Uint8Array;
  readonly body: Buffer;
};

/** What is sent, and the true reason for which it must be refused. */
export type RequestAttack = {
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

export const requestAttacks: readonly RequestAttack[] = [
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
