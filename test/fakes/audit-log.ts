/** A whole audit log for tests: writer, sealer and publication in memory, with a clock and randomness that are given. */

import type { AuditEvent } from '../../lib/audit/port.ts';
import { createSealer, type SealerDeps } from '../../lib/audit/sealer.ts';
import { type AuditWriterDeps, openAuditWriter } from '../../lib/audit/writer.ts';
import { type Ed25519PublicKey, ed25519ToSpki, generateEd25519, signEd25519 } from '../../lib/crypto/ed25519.ts';
import { formatVerifierKey, noteVerifier } from '../../lib/crypto/note.ts';
import type { Signer } from '../../lib/keys/port.ts';
import { createMemoryStore } from '../../lib/store/memory.ts';
import type { Store } from '../../lib/store/port.ts';
import { createFakePublication } from './publication.ts';

export const testOrigin = 'holdfast.local/test';
export const testStart = Date.parse('2026-01-01T00:00:00.000Z');

export const testEvent: AuditEvent = {
  type: 'token.cancel',
  actor: { id: 'local-admin', kind: 'local-admin', auth: 'local-admin' },
  object: { kind: 'token', id: 'a1' },
  outcome: 'success',
};

export type TestSigner = Signer & { readonly raw: Ed25519PublicKey };

export function createTestSigner(): TestSigner {
  const { publicKey, privateKey } = generateEd25519();
  const sign = async (message: Uint8Array) => signEd25519(privateKey, message);
  return { algorithm: 'ed25519', publicKey: ed25519ToSpki(publicKey), raw: publicKey, sign };
}

export type TestLogOptions = {
  readonly store?: Store;
  readonly signer?: TestSigner;
  readonly writer?: Partial<AuditWriterDeps>;
  readonly sealer?: Partial<SealerDeps>;
};

export async function createTestLog(options: TestLogOptions = {}) {
  const { store = createMemoryStore(), signer = createTestSigner() } = options;
  const clock = { time: testStart };
  const now = () => clock.time;
  const publication = createFakePublication();
  const timer = () => () => undefined;
  const common = { store, origin: testOrigin, now, random: countingRandom(), delay: async () => undefined };
  const writer = await openAuditWriter({ ...common, writerId: 'w', lanes: 1, timer, ...options.writer });
  const sealer = createSealer({ ...common, signer, publication, ...options.sealer });
  const verifiers = [noteVerifier(testOrigin, signer.raw)];
  return {
    ...{ store, clock, now, publication, writer, sealer, signer, verifiers },
    verifierKey: formatVerifierKey(testOrigin, signer.raw),
  };
}

/** Distinct bytes, the same in every run. */
export function countingRandom(): (n: number) => Uint8Array {
  let count = 0;
  return (n) => {
    count += 1;
    const bytes = Buffer.alloc(n);
    for (let i = 0, rest = count; i < n; i++, rest = Math.floor(rest / 256)) bytes[n - 1 - i] = rest % 256;
    return bytes;
  };
}
