/** A fleet for tests of the gateway: its own authority, a store, a running gateway on loopback, and nodes made on demand. */
import { randomUUID, sign } from 'node:crypto';
import pino from 'pino';
import type { SessionOptions } from '../../agent/session.ts';
import type { GatewayLimits } from '../../functions/gateway/limits.ts';
import { type Gateway, type GatewayDeps, startGateway } from '../../functions/gateway/server.ts';
import {
  type Ed25519KeyPair,
  type Ed25519PublicKey,
  generateEd25519,
  privateKeyToPem,
} from '../../lib/crypto/ed25519.ts';
import { toHex } from '../../lib/crypto/encoding.ts';
import {
  createAuthorityCertificate,
  createCsr,
  generateP256,
  issueNodeCertificate,
  issueServerCertificate,
  type P256KeyPair,
} from '../../lib/crypto/x509.ts';
import { type NodeDirectory, openNodeDirectory } from '../../lib/identity/directory.ts';
import { type NodeState, nodeKey } from '../../lib/identity/nodes.ts';
import { createMemoryBlobs } from '../../lib/store/blobs-memory.ts';
import { createMemoryStore } from '../../lib/store/memory.ts';
import type { Item, Store } from '../../lib/store/port.ts';
import { createFakeAudit, type FakeAudit } from './audit.ts';

export const fleetName = 'test-fleet';
const dayMs = 24 * 60 * 60 * 1000;

export type Authority = { readonly der: Uint8Array; readonly keys: P256KeyPair };

export type TestNode = {
  readonly uuid: string;
  readonly identity: Ed25519KeyPair;
  readonly tlsKeys: P256KeyPair;
  readonly keyPem: string;
  readonly certDer: Uint8Array;
};

export type GatewayFleet = {
  readonly authority: Authority;
  readonly store: Store;
  readonly audit: FakeAudit;
  readonly blobs: ReturnType<typeof createMemoryBlobs>;
  readonly directory: NodeDirectory;
  readonly gateway: Gateway;
  /** Enrolled and in the directory, unless told otherwise. */
  addNode(options?: NodeOptions): Promise<TestNode>;
  setState(uuid: string, state: NodeState): Promise<void>;
  /** Another gateway on the same store, as another process would be. */
  secondGateway(): Promise<{ gateway: Gateway; close(): Promise<void> }>;
  sessionOptions(node: TestNode, gateway?: Gateway): SessionOptions;
  close(): Promise<void>;
};

export type NodeOptions = {
  readonly uuid?: string;
  readonly state?: NodeState;
  readonly labels?: { readonly [name: string]: string };
  readonly identity?: Ed25519KeyPair;
  /** Another key on record than the one that the node signs with. */
  readonly recordedKey?: Uint8Array;
  /** False: a valid certificate, but unknown to the store. */
  readonly enrolled?: boolean;
  readonly authority?: Authority;
  readonly notBefore?: number;
  readonly notAfter?: number;
};

export type FleetOptions = {
  readonly store?: Store;
  readonly audit?: GatewayDeps['audit'];
  readonly limits?: Partial<GatewayLimits>;
  readonly now?: () => number;
  /** The directory's clock, where it is not the gateway's. */
  readonly directoryNow?: () => number;
  readonly instrument?: GatewayDeps['instrument'];
};

export const silentLogger = pino({ level: 'silent' });

export async function createAuthority(fleet = fleetName): Promise<Authority> {
  const keys = generateP256();
  const now = Date.now();
  const der = await createAuthorityCertificate({
    fleet,
    signer: signerOf(keys),
    notBefore: now - 20 * dayMs,
    notAfter: now + 365 * dayMs,
  });
  return { der, keys };
}

/** The authority's signer, as `lib/keys` has it. */
export function signerOf({ privateKey, publicKeySpki }: P256KeyPair) {
  return {
    algorithm: 'ecdsa-p256-sha256' as const,
    publicKey: publicKeySpki,
    sign: async (message: Uint8Array): Promise<Uint8Array> => sign('sha256', message, privateKey),
  };
}

export async function issueNode(
  authority: Authority,
  uuid: string,
  options: Pick<NodeOptions, 'identity' | 'notAfter' | 'notBefore'> & { readonly fleet?: string } = {},
): Promise<TestNode> {
  const tlsKeys = generateP256();
  const certDer = await issueNodeCertificate({
    authority: authority.der,
    signer: signerOf(authority.keys),
    fleet: options.fleet ?? fleetName,
    uuid,
    csr: await createCsr(tlsKeys),
    notBefore: options.notBefore ?? Date.now(),
    notAfter: options.notAfter ?? Date.now() + dayMs,
  });
  const keyPem = privateKeyToPem(tlsKeys.privateKey);
  return { uuid, identity: options.identity ?? generateEd25519(), tlsKeys, keyPem, certDer };
}

export async function issueGateway(authority: Authority, fleet = fleetName, role: 'gateway' | 'identity' = 'gateway') {
  const keys = generateP256();
  const certDer = await issueServerCertificate({
    authority: authority.der,
    signer: signerOf(authority.keys),
    fleet,
    role,
    publicKey: keys.publicKeySpki,
    dnsNames: ['localhost'],
    ipAddresses: ['127.0.0.1'],
    notBefore: Date.now(),
    notAfter: Date.now() + dayMs,
  });
  return { keyPem: privateKeyToPem(keys.privateKey), certDer, authorityDer: authority.der };
}

export async function createGatewayFleet(options: FleetOptions = {}): Promise<GatewayFleet> {
  const now = options.now ?? Date.now;
  const authority = await createAuthority();
  const store = options.store ?? createMemoryStore();
  const audit = createFakeAudit(store);
  const blobs = createMemoryBlobs();
  const first = await gatewayOn();

  return {
    authority,
    store,
    audit,
    blobs,
    directory: first.directory,
    gateway: first.gateway,
    async addNode(node = {}) {
      const made = await issueNode(node.authority ?? authority, node.uuid ?? randomUUID(), node);
      if (node.enrolled === false) return made;
      const known = told(first.directory, made.uuid);
      await store.transact([{ kind: 'put', item: nodeItem(made, node) }]);
      await known;
      return made;
    },
    async setState(uuid, state) {
      const known = told(first.directory, uuid);
      await store.transact([{ kind: 'update', key: nodeKey(uuid), set: { state }, add: { revision: 1 } }]);
      await known;
    },
    secondGateway: gatewayOn,
    sessionOptions: (node, gateway = first.gateway) => ({
      gateway: `127.0.0.1:${gateway.address.port}`,
      fleet: fleetName,
      identity: { uuid: node.uuid, privateKey: node.identity.privateKey },
      tls: { keyPem: node.keyPem, certDer: node.certDer, authorityDer: authority.der },
    }),
    async close() {
      await first.close();
      await store.close();
    },
  };

  async function gatewayOn() {
    const directory = await openNodeDirectory({ store, now: options.directoryNow ?? now, logger: silentLogger });
    const gateway = await startGateway(
      {
        store,
        blobs,
        audit: options.audit ?? audit,
        directory,
        logger: silentLogger,
        now,
        ...(options.instrument ? { instrument: options.instrument } : {}),
      },
      {
        host: '127.0.0.1',
        port: 0,
        fleet: fleetName,
        tls: await issueGateway(authority),
        ...(options.limits ? { limits: options.limits } : {}),
      },
    );
    const close = async () => {
      await gateway.close();
      await directory.close();
    };
    return { gateway, directory, close };
  }
}

/** Resolves when the directory has heard of the node. */
function told(directory: NodeDirectory, uuid: string): Promise<void> {
  return new Promise((resolve) => {
    const stop = directory.onChange((change) => {
      if (change.kind !== 'node' || change.uuid !== uuid) return;
      stop();
      resolve();
    });
  });
}

function nodeItem({ uuid, identity }: TestNode, options: NodeOptions): Item {
  return {
    ...nodeKey(uuid),
    name: `host-${uuid.slice(0, 8)}`,
    labels: options.labels ?? { role: 'web' },
    state: options.state ?? 'active',
    revision: 1,
    identityKey: new Uint8Array(options.recordedKey ?? (identity.publicKey as Ed25519PublicKey)),
    sealingKey: new Uint8Array(32).fill(9),
    platform: 'linux-x64',
    token: toHex(new Uint8Array(8)),
    enrolledAt: Date.now(),
  };
}
