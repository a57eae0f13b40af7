/**
 * The gateway's certificate on AWS: a key made in this process and never stored, and a certificate over it from the
 * identity function, which IAM allows this task to invoke. The gateway itself may not sign anything.
 */
import { z } from 'zod';
import { privateKeyToPem } from '../../lib/crypto/ed25519.ts';
import { fromBase64url, toBase64url } from '../../lib/crypto/encoding.ts';
import { generateP256 } from '../../lib/crypto/x509.ts';
import { type InvokeDeps, invokeFunction } from '../aws/invoke.ts';

const answer = z.object({ certificate: z.string().max(10_000) });

/** `deps` name the identity function. */
export async function requestCertificate(deps: InvokeDeps): Promise<{ keyPem: string; certDer: Uint8Array }> {
  const { privateKey, publicKeySpki } = generateP256();
  const order = { holdfast: 'gateway-certificate', publicKey: toBase64url(publicKeySpki) };
  const { certificate } = answer.parse(await invokeFunction(deps, order));
  return { keyPem: privateKeyToPem(privateKey), certDer: fromBase64url(certificate) };
}
