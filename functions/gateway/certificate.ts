/**
 * The gateway's certificate on AWS: a key made in this process and never stored, and a certificate over it from the
 * identity function, which IAM allows this task to invoke. The gateway itself may not sign anything.
 */
import { z } from 'zod';
import { privateKeyToPem } from '../../lib/crypto/ed25519.ts';
import { fromBase64url, toBase64url } from '../../lib/crypto/encoding.ts';
import { generateP256 } from '../../lib/crypto/x509.ts';
import { type SigningCredentials, signRequest } from '../aws/sigv4.ts';

export type CertificateDeps = {
  readonly region: string;
  readonly functionArn: string;
  /** Another address than the region's own, for emulators. */
  readonly endpoint?: string | undefined;
  readonly credentials: () => Promise<SigningCredentials>;
  readonly now: () => number;
};

const answer = z.object({ certificate: z.string().max(10_000) });
const timeoutMs = 20_000;

export async function requestCertificate(deps: CertificateDeps): Promise<{ keyPem: string; certDer: Uint8Array }> {
  const { region, functionArn, now } = deps;
  const { privateKey, publicKeySpki } = generateP256();
  const name = /:function:([A-Za-z0-9-_]{1,64})(?::[A-Za-z0-9-_$]{1,128})?$/.exec(functionArn)?.[1];
  if (name === undefined) throw new TypeError('not the ARN of a function');
  const base = deps.endpoint ?? `https://lambda.${region}.amazonaws.com`;
  // AWS Lambda API reference, Invoke.
  const url = new URL(`/2015-03-31/functions/${name}/invocations`, base);
  const body = JSON.stringify({ holdfast: 'gateway-certificate', publicKey: toBase64url(publicKeySpki) });
  const headers = signRequest(
    { method: 'POST', url, headers: { 'content-type': 'application/json' }, body },
    { credentials: await deps.credentials(), region, service: 'lambda', now: now() },
  );
  const response = await fetch(url, {
    method: 'POST',
    headers,
    body,
    redirect: 'error',
    signal: AbortSignal.timeout(timeoutMs),
  });
  const text = await response.text();
  // A function that throws is answered with 200 and this header.
  if (!response.ok || response.headers.get('x-amz-function-error') !== null) {
    throw new Error(`the identity function did not issue a certificate (${response.status}): ${text.slice(0, 300)}`);
  }
  const { certificate } = answer.parse(JSON.parse(text));
  return { keyPem: privateKeyToPem(privateKey), certDer: fromBase64url(certificate) };
}
