/** TLS for servers on loopback in tests: an own CA, and a certificate for 127.0.0.1 and .2 by the machine's clock. */
import { privateKeyToPem } from '../../lib/crypto/ed25519.ts';
import {
  createCsr,
  generateP256,
  issueNodeCertificate,
  issueServerCertificate,
  pemEncode,
} from '../../lib/crypto/x509.ts';
import { createTestFleet } from './fleet.ts';

export type LoopbackTls = {
  readonly ca: string;
  readonly key: string;
  readonly cert: string;
  /** For a client, of the same authority. */
  readonly client: { readonly key: string; readonly cert: string };
};

export type ServerCertificate = Pick<LoopbackTls, 'key' | 'cert'>;
export type Authority = LoopbackTls & {
  /** Another server of this authority: for another address, or of another time (Unix milliseconds). */
  readonly issue: (change: { address?: string; notAfter?: number }) => Promise<ServerCertificate>;
};

export async function createLoopbackTls(): Promise<LoopbackTls> {
  const { issue: _, ...tls } = await createLoopbackAuthority();
  return tls;
}

export async function createLoopbackAuthority(): Promise<Authority> {
  const now = Date.now();
  const { authority, signer } = await createTestFleet({ startAt: now });
  const issue = async (ipAddresses: readonly string[], notBefore: number, notAfter: number) => {
    const { privateKey, publicKeySpki } = generateP256();
    const common = { authority, signer, fleet: 'testfleet', role: 'identity', publicKey: publicKeySpki } as const;
    const certificate = await issueServerCertificate({ ...common, ipAddresses, notBefore, notAfter });
    return { key: privateKeyToPem(privateKey), cert: pemEncode('CERTIFICATE', certificate) };
  };
  const clientKey = generateP256();
  const client = await issueNodeCertificate({
    authority,
    signer,
    fleet: 'testfleet',
    uuid: '0b9f7a52-3d0c-4d5e-9a53-3a3f5f0f7a10',
    csr: await createCsr(clientKey),
    notBefore: now,
    notAfter: now + dayMs,
  });
  return {
    client: { key: privateKeyToPem(clientKey.privateKey), cert: pemEncode('CERTIFICATE', client) },
    ca: pemEncode('CERTIFICATE', authority),
    ...(await issue(['127.0.0.1', '127.0.0.2'], now, now + dayMs)),
    issue: ({ address = '127.0.0.1', notAfter = now + dayMs }) =>
      issue([address], Math.min(now, notAfter - dayMs), notAfter),
  };
}

const dayMs = 86_400_000;
