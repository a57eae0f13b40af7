/** Certificates of this control plane's own listeners: issued by the fleet CA at each boot, renewed while it runs, kept nowhere. */
import { isIP } from 'node:net';
import { privateKeyToPem } from '../../lib/crypto/ed25519.ts';
import { generateP256, issueServerCertificate, pemEncode } from '../../lib/crypto/x509.ts';
import type { Signer } from '../../lib/keys/port.ts';
import type { Fleet } from './fleet.ts';

export const serverCertificateLifeMs = 7 * 86_400_000;

export type ServerTls = {
  readonly keyPem: string;
  readonly certDer: Uint8Array;
  readonly certPem: string;
};

/** By which names this host is reached: always itself, and what the configuration adds. */
const ownNames = ['localhost', '127.0.0.1', '::1'] as const;

/** A new key and a certificate over it, for `role`, from now on. */
export async function issueServerTls(
  role: 'gateway' | 'identity',
  deps: {
    readonly fleet: Fleet;
    readonly signer: Signer;
    readonly names: readonly string[];
    readonly now: () => number;
  },
): Promise<ServerTls> {
  const { fleet, signer, now } = deps;
  const names = [...new Set([...ownNames, ...deps.names])];
  const { privateKey, publicKeySpki } = generateP256();
  const certDer = await issueServerCertificate({
    authority: fleet.authority,
    signer,
    fleet: fleet.descriptor.fleet,
    role,
    publicKey: publicKeySpki,
    dnsNames: names.filter((name) => isIP(name) === 0),
    ipAddresses: names.filter((name) => isIP(name) !== 0),
    notBefore: now(),
    notAfter: now() + serverCertificateLifeMs,
  });
  return { keyPem: privateKeyToPem(privateKey), certDer, certPem: pemEncode('CERTIFICATE', certDer) };
}
