/**
 * Renewal of the node certificate, at about half of its life. Signed by the identity key alone, so it works just as
 * well when the certificate expired, is missing or doesn't fit its key: a machine that slept comes back by itself.
 */
import { X509Certificate } from 'node:crypto';
import { sha256 } from '../lib/crypto/digest.ts';
import { signEd25519 } from '../lib/crypto/ed25519.ts';
import { fromBase64url, fromUtf8 } from '../lib/crypto/encoding.ts';
import { createCsr, generateP256, pemDecode } from '../lib/crypto/x509.ts';
import { parseDescriptor } from '../lib/identity/descriptor.ts';
import { formatEnvelope } from '../lib/identity/envelope.ts';
import { renewRequestJson } from '../lib/identity/renew.ts';
import { parseServerUrl, postEnvelope } from './identity-client.ts';
import { certificatePem, checkCertificate, isFor } from './node-certificate.ts';
import { pem, readIdentityKey, readNodeKeys } from './node-keys.ts';
import { formatNodeFile, readNode, readRequired, type StateDirectory, stateFiles } from './state.ts';

/** `nextAt`: when to ask again, Unix milliseconds. */
export type Renewal = { readonly renewed: boolean; readonly nextAt: number };

/**
 * Renews the certificate if it is time. Call it at start, before the first session, and again at `nextAt`. Throws
 * `AgentError`; the certificate at hand stays as it is then, and the caller says so and tries again.
 */
export async function renewIfDue(state: StateDirectory, now: () => number): Promise<Renewal> {
  const dueAt = await renewalTime(state);
  if (now() < dueAt) return { renewed: false, nextAt: dueAt };
  await renewNow(state, now);
  return { renewed: true, nextAt: await renewalTime(state) };
}

/** Renews the certificate, due or not. */
export async function renewNow(state: StateDirectory, now: () => number): Promise<void> {
  const node = await readNode(state);
  const descriptor = parseDescriptor(await readRequired(state, stateFiles.fleet));
  const trust = { fleet: descriptor.fleet, authority: fromBase64url(descriptor.ca), now };
  const identityKey = await readIdentityKey(state);
  const tls = generateP256();
  const request = renewRequestJson({ uuid: node.uuid, time: now(), csr: await createCsr(tls) });
  const envelope = formatEnvelope('renew', request, (message) => signEd25519(identityKey, message));
  const answer = await postEnvelope(parseServerUrl(node.server), '/v1/renew', envelope, trust);
  checkCertificate(answer, { ...trust, uuid: node.uuid, publicKeySpki: tls.publicKeySpki });

  // Killed between these two, key and certificate don't fit, and the next start renews again.
  await state.write(stateFiles.tlsKey, pem(tls.privateKey));
  await state.write(stateFiles.tlsCertificate, certificatePem(answer.certificate));
  if (answer.gateway !== node.gateway)
    await state.write(stateFiles.node, formatNodeFile({ ...node, gateway: answer.gateway }));
}

/** When the certificate at hand is to be renewed; 0 when there is none that fits. */
async function renewalTime(state: StateDirectory): Promise<number> {
  const bytes = await state.read(stateFiles.tlsCertificate);
  if (bytes === undefined) return 0;
  try {
    const der = pemDecode('CERTIFICATE', fromUtf8(bytes));
    const { tls } = await readNodeKeys(state);
    return isFor(der, tls.publicKeySpki) ? halfLife(der) : 0;
  } catch {
    return 0;
  }
}

/**
 * From 45 % to 55 % of the certificate's life, by its own digest: nodes that were enrolled together don't come back
 * together, and a restart doesn't draw another lot.
 */
function halfLife(der: Uint8Array): number {
  const { validFrom, validTo } = new X509Certificate(der);
  const from = Date.parse(validFrom);
  const lot = ((sha256(der)[0] ?? 0) * 256 + (sha256(der)[1] ?? 0)) / 65_536;
  return from + Math.floor((Date.parse(validTo) - from) * (0.45 + lot / 10));
}
