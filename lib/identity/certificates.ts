/**
 * Node certificates: how long they live, and the only place that has one signed. The fleet CA's key is a port; on AWS
 * only the identity service may use it.
 */
import { randomBytes } from 'node:crypto';
import { fromHex, toHex } from '../crypto/encoding.ts';
import { CryptoError } from '../crypto/errors.ts';
import { issueNodeCertificate } from '../crypto/x509.ts';
import { verifyCsr } from '../crypto/x509-csr.ts';
import type { Signer } from '../keys/port.ts';

const hourMs = 3_600_000;
export const defaultLifeMs = 24 * hourMs;
export const minLifeMs = hourMs;
export const maxLifeMs = 7 * 24 * hourMs;

/** A certificate as it will be issued, so that it can be recorded before it exists. */
export type CertificatePlan = {
  /** Hexadecimal. */
  readonly serial: string;
  readonly notBefore: number;
  readonly notAfter: number;
};

export interface NodeCertificates {
  /** The fleet CA's certificate, DER. */
  readonly authority: Uint8Array;
  plan(): CertificatePlan;
  /** Whether this is a PKCS#10 request that `issue` takes: P-256, signed by its own key. Attacker-controlled. */
  accepts(csr: Uint8Array): Promise<boolean>;
  /** The certificate, DER. Its names come from `uuid` and the fleet; of the request only the key is taken. */
  issue(order: {
    readonly uuid: string;
    readonly csr: Uint8Array;
    readonly plan: CertificatePlan;
  }): Promise<Uint8Array>;
}

export type CertificateDeps = {
  readonly fleet: string;
  readonly authority: Uint8Array;
  readonly signer: Signer;
  readonly now: () => number;
  readonly random?: (bytes: number) => Uint8Array;
  /** Taken to the nearest allowed value: one hour to seven days; 24 hours unless told. */
  readonly lifeMs?: number;
};

export function createNodeCertificates(deps: CertificateDeps): NodeCertificates {
  const { fleet, authority, signer, now } = deps;
  const random = deps.random ?? randomBytes;
  const lifeMs = clampLife(deps.lifeMs ?? defaultLifeMs);
  return {
    authority,
    plan() {
      // X.509 times have whole seconds (RFC 5280 §4.1.2.5).
      const from = Math.floor(now() / 1000) * 1000;
      return { serial: newSerial(random), notBefore: from, notAfter: from + lifeMs };
    },
    async accepts(csr) {
      try {
        await verifyCsr(csr);
        return true;
      } catch (error) {
        if (error instanceof CryptoError) return false;
        throw error;
      }
    },
    issue({ uuid, csr, plan }) {
      const { notBefore, notAfter } = plan;
      const serial = fromHex(plan.serial);
      return issueNodeCertificate({ authority, signer, fleet, uuid, csr, notBefore, notAfter, serial });
    },
  };
}

/** A life that is no number is the default, never "for ever". */
export function clampLife(lifeMs: number): number {
  if (!Number.isFinite(lifeMs)) return defaultLifeMs;
  return Math.min(maxLifeMs, Math.max(minLifeMs, Math.floor(lifeMs)));
}

/** RFC 5280 §4.1.2.2: positive, at most 20 octets. 16 random bytes with the top bit clear and the next one set. */
function newSerial(random: (bytes: number) => Uint8Array): string {
  const bytes = Uint8Array.from(random(16));
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return toHex(bytes);
}
