/** A release whose one crate needs secrets, a node that it is bound to, and all that `ResolveSecrets` stands on, in memory. */
import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto';
import { create } from '@bufbuild/protobuf';
import { type ResolveDeps, sealingHere } from '../../functions/gateway/secrets.ts';
import type { VerifiedRequest } from '../../functions/gateway/stream.ts';
import { sha256Hex } from '../../lib/crypto/digest.ts';
import { type Ed25519KeyPair, generateEd25519 } from '../../lib/crypto/ed25519.ts';
import { fromHex } from '../../lib/crypto/encoding.ts';
import { nodeKey } from '../../lib/identity/nodes.ts';
import { type CrateResource, formatCrate, parseManifest } from '../../lib/policy/model.ts';
import { createMemoryBlobs } from '../../lib/store/blobs-memory.ts';
import { createMemoryStore } from '../../lib/store/memory.ts';
import {
  type Request,
  type ResolveSecrets,
  ResolveSecretsSchema,
} from '../../lib/wire/gen/holdfast/agent/v1/gateway_pb.ts';
import { createFakeAudit } from './audit.ts';
import { manifestBytes } from './policy.ts';
import { createMemorySecrets } from './secrets.ts';

export type SecretsWorld = Awaited<ReturnType<typeof createSecretsWorld>>;

export async function createSecretsWorld(options: { readonly paths: readonly string[] }) {
  const store = createMemoryStore();
  const audit = createFakeAudit(store);
  const blobs = createMemoryBlobs();
  const provider = createMemorySecrets(Object.fromEntries(options.paths.map((path) => [path, `value of ${path}`])));
  const clock = { epoch: 7 };

  /** One crate, "app", for nodes with the label role=web. */
  async function release(paths: readonly string[], number = 1) {
    const resources = paths.map(
      (path, i): CrateResource => ({
        type: 'file',
        id: `/etc/${i}`,
        desired: { path: `/etc/${i}`, mode: '0600', content: { $secret: { path } } },
      }),
    );
    const crate = formatCrate({ crate: 'app', resources });
    await blobs.put(crate);
    const bytes = manifestBytes({
      number,
      ...(number === 1 ? {} : { previous: 'ab'.repeat(32) }),
      bindings: [{ match: { labels: { role: 'web' } }, crates: ['app'] }],
      crates: [{ name: 'app', sha256: sha256Hex(crate), blobs: [] }],
    });
    const digest = sha256Hex(bytes);
    return { ref: { number, digest }, manifestBytes: bytes, signatures: [], manifest: parseManifest(bytes) };
  }

  async function addNode(role: string): Promise<{
    readonly uuid: string;
    readonly privateKey: KeyObject;
    readonly identity: Ed25519KeyPair;
    readonly verified: VerifiedRequest<Request>;
  }> {
    const uuid = randomUUID();
    const { publicKey, privateKey } = generateKeyPairSync('x25519');
    const identity = generateEd25519();
    const identityKey = identity.publicKey;
    const sealingKey = new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }).subarray(-32));
    const item = {
      ...nodeKey(uuid),
      name: `host-${uuid.slice(0, 8)}`,
      labels: { role },
      state: 'active',
      revision: 1,
      identityKey: new Uint8Array(identityKey),
      sealingKey,
      platform: 'linux-x64',
      token: '0123456789abcdef',
      enrolledAt: 0,
    };
    await store.transact([{ kind: 'put', item }]);
    const { name, labels, platform } = item;
    const node = { uuid, name, labels, platform, state: 'active' as const, revision: 1, identityKey };
    const proof = () => assert.fail('no request was signed');
    return { uuid, privateKey, identity, verified: { node, request: {} as Request, counter: 1, proof } };
  }

  const current = { release: await release(options.paths) };
  const { uuid, privateKey, identity, verified } = await addNode('web');
  const deps: ResolveDeps = {
    store,
    blobs,
    audit,
    currentRelease: { get: async () => current.release },
    source: sealingHere({ provider, audit }),
    epoch: () => clock.epoch,
  };
  const ask = (paths: readonly string[], digest = current.release.ref.digest): ResolveSecrets =>
    create(ResolveSecretsSchema, { paths: [...paths], releaseDigest: fromHex(digest) as Uint8Array<ArrayBuffer> });
  return {
    store,
    audit,
    blobs,
    provider,
    clock,
    current,
    release,
    addNode,
    uuid,
    privateKey,
    identity,
    verified,
    deps,
    ask,
  };
}
