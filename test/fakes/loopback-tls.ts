/** TLS for servers on loopback in tests: an own CA, and a certificate for 127.0.0.1 by the machine's clock. */
import { privateKeyToPem } from '../../lib/crypto/ed25519.ts';
import { generateP256, issueServerCertificate, pemEncode } from '../../lib/crypto/x509.ts';
import { createTestFleet } from './fleet.ts';

export type LoopbackTls = { readonly ca: string; readonly key: string; readonly cert: string };

export async function createLoopbackTls(): Promise<LoopbackTls> {
  const now = Date.now();
  const { authority, signer } = await createTestFleet({ startAt: now });
  const { privateKey, publicKeySpki } = generateP256();
  const certificate = await issueServerCertificate({
    authority,
    signer,
    fleet: 'testfleet',
    role: 'identity',
    publicKey: publicKeySpki,
    ipAddresses: ['127.0.0.1'],
    notBefore: now,
    notAfter: now + 86_400_000,
  });
  return {
    ca: pemEncode('CERTIFICATE', authority),
    key: privateKeyToPem(privateKey),
    cert: pemEncode('CERTIFICATE', certificate),
  };
}
