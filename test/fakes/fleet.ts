/** A small fleet for tests of enrollment and what follows it: real crypto and a real store, a clock that stands still, no files, no network. */
import { createPublicKey, generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Actor } from '../../lib/audit/port.ts';
import { type Ed25519KeyPair, generateEd25519, signEd25519 } from '../../lib/crypto/ed25519.ts';
import { toBase64url } from '../../lib/crypto/encoding.ts';
import type { Json } from '../../lib/crypto/jcs.ts';
import { formatVerifierKey } from '../../lib/crypto/note.ts';
import { formatSshPublicKey, sshPublicKeyOf } from '../../lib/crypto/ssh-key.ts';
import { createAuthorityCertificate, createCsr, generateP256, type P256KeyPair } from '../../lib/crypto/x509.ts';
import { createNodeCertificates } from '../../lib/identity/certificates.ts';
import { fleetPin, formatDescriptor } from '../../lib/identity/descriptor.ts';
import { type EnrollClaim, enrollRequestJson } from '../../lib/identity/enroll-request.ts';
import { formatEnvelope } from '../../lib/identity/envelope.ts';
import type { IssuanceDeps } from '../../lib/identity/issuance.ts';
import { renewRequestJson } from '../../lib/identity/renew.ts';
import { createEnrollmentToken, type TokenOrder } from '../../lib/identity/tokens.ts';
import type { Signer } from '../../lib/keys/port.ts';
import { createMemoryStore } from '../../lib/store/memory.ts';
import type { Store } from '../../lib/store/port.ts';
import { openSqliteStore } from '../../lib/store/sqlite.ts';
import { createFakeAudit, type FakeAudit } from './audit.ts';

export const operator: Actor = { id: 'ada', kind: 'user', role: 'admin', auth: 'basic' };

export type TestFleet = {
  readonly store: Store;
  readonly audit: FakeAudit;
  readonly clock: { now: number };
  readonly now: () => number;
  readonly authority: Uint8Array;
  readonly signer: Signer;
  readonly descriptor: Uint8Array;
  readonly issuance: IssuanceDeps;
  token(order?: Omit<TokenOrder, 'actor'>): Promise<string>;
};

/** A machine that wants to become a node. */
export type Machine = {
  readonly uuid: string;
  readonly hostname: string;
  readonly identity: Ed25519KeyPair;
  readonly sealingKey: Uint8Array;
  readonly tls: P256KeyPair;
  readonly csr: Uint8Array;
};

export async function createTestFleet(
  options: { store?: Store; audit?: FakeAudit; fleet?: string; startAt?: number } = {},
): Promise<TestFleet> {
  const fleet = options.fleet ?? 'testfleet';
  const store = options.store ?? createMemoryStore();
  const audit = options.audit ?? createFakeAudit(store);
  const clock = { now: options.startAt ?? Date.parse('2026-03-01T12:00:00.000Z') };
  const now = () => clock.now;
  const signer = testSigner();
  const authority = await createAuthorityCertificate({
    fleet,
    signer,
    notBefore: clock.now,
    notAfter: clock.now + 3650 * 86_400_000,
  });
  const descriptor = formatDescriptor({
    v: 1,
    fleet,
    ca: toBase64url(authority),
    operators: { threshold: 1, keys: [testOperatorKey()] },
    log: {
      origin: `holdfast.local/${fleet}`,
      key: formatVerifierKey(`holdfast.local/${fleet}`, generateEd25519().publicKey),
    },
  });
  const certificates = createNodeCertificates({ fleet, authority, signer, now });
  return {
    store,
    audit,
    clock,
    now,
    authority,
    signer,
    descriptor,
    issuance: { store, audit, now, certificates, gateway: 'gateway.test:8443' },
    async token(order = {}) {
      const deps = { store, audit, now, pin: fleetPin(descriptor) };
      return (await createEnrollmentToken(deps, { ...order, actor: operator })).token;
    },
  };
}

export async function createMachine(change: Partial<Machine> = {}): Promise<Machine> {
  const tls = generateP256();
  return {
    uuid: randomUUID(),
    hostname: 'web-1.example.com',
    identity: generateEd25519(),
    sealingKey: newSealingKey(),
    tls,
    csr: await createCsr(tls),
    ...change,
  };
}

/** The HTTP body of an honest enrollment, or of one in which `change` was made before it was signed. */
export function enrollBytes(machine: Machine, token: string, change: Partial<EnrollClaim> = {}): Uint8Array {
  return signedBytes('enroll', machine, enrollJson(machine, token, change));
}

export function enrollJson(
  machine: Machine,
  token: string,
  change: Partial<EnrollClaim> = {},
): { [name: string]: Json } {
  const { uuid, hostname, identity, sealingKey, csr } = machine;
  const claim = { uuid, hostname, sealingKey, csr, token, identityKey: identity.publicKey, platform: 'linux-x64' };
  return enrollRequestJson({ ...claim, version: '0.1.0', ...change }) as { [name: string]: Json };
}

export function renewBytes(machine: Machine, time: number): Uint8Array {
  return signedBytes('renew', machine, renewRequestJson({ uuid: machine.uuid, time, csr: machine.csr }));
}

export function signedBytes(purpose: 'enroll' | 'renew', machine: Machine, request: Json): Uint8Array {
  return formatEnvelope(purpose, request, (message) => signEd25519(machine.identity.privateKey, message));
}

export function testOperatorKey(): string {
  return formatSshPublicKey(sshPublicKeyOf(generateEd25519().publicKey));
}

export function testSigner(): Signer {
  const pair = generateP256();
  return {
    algorithm: 'ecdsa-p256-sha256',
    publicKey: createPublicKey(pair.privateKey).export({ format: 'der', type: 'spki' }),
    sign: async (message) => sign('sha256', message, pair.privateKey),
  };
}

/** The raw 32 bytes are the end of the SubjectPublicKeyInfo (RFC 8410 §4). */
function newSealingKey(): Uint8Array {
  return generateKeyPairSync('x25519').publicKey.export({ format: 'der', type: 'spki' }).subarray(-32);
}

/** A store that goes away with its test. */
export async function openStore(
  t: { after(fn: () => Promise<void>): void },
  kind: 'memory' | 'sqlite',
): Promise<Store> {
  if (kind === 'memory') return createMemoryStore();
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-test-'));
  const store = openSqliteStore(join(directory, 'store.db'));
  t.after(async () => {
    await store.close();
    await rm(directory, { recursive: true, force: true });
  });
  return store;
}
