/** A real identity service on loopback, for tests of whoever talks to it. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import type { TestContext } from 'node:test';
import { createIdentityApp } from '../../functions/identity/app.ts';
import { serveHttps } from '../../functions/identity/https.ts';
import { privateKeyToPem } from '../../lib/crypto/ed25519.ts';
import { generateP256, issueServerCertificate, pemEncode, type ServerRole } from '../../lib/crypto/x509.ts';
import { createTestFleet, type TestFleet } from './fleet.ts';

export const dayMs = 86_400_000;

export type Intercept = (request: Request, serve: () => Promise<Response>) => Promise<Response>;
export type ServerOptions = { role?: ServerRole; issuer?: TestFleet; intercept?: Intercept };

/** A real server on loopback; `requests` is what reached it. TLS on both sides has the machine's clock. */
export async function startServer(t: TestContext, fleet: TestFleet, options: ServerOptions = {}) {
  const issuer = options.issuer ?? fleet;
  const key = generateP256();
  const certificate = await issueServerCertificate({
    authority: issuer.authority,
    signer: issuer.signer,
    fleet: 'testfleet',
    role: options.role ?? 'identity',
    publicKey: key.publicKeySpki,
    ipAddresses: ['127.0.0.1'],
    notBefore: fleet.clock.now,
    notAfter: fleet.clock.now + 400 * dayMs,
  });
  const app = createIdentityApp({
    ...fleet.issuance,
    descriptor: fleet.descriptor,
    logger: { error: () => undefined },
  });
  const requests: string[] = [];
  const fetch = async (request: Request, env: unknown) => {
    requests.push(`${request.method} ${new URL(request.url).pathname}`);
    const serve = async () => app.fetch(request, env as never);
    return options.intercept ? options.intercept(request, serve) : serve();
  };
  const tls = { key: privateKeyToPem(key.privateKey), cert: pemEncode('CERTIFICATE', certificate) };
  const listener = await serveHttps({ app: { fetch }, tls, host: '127.0.0.1', port: 0 });
  t.after(() => listener.close(0));
  return { url: `https://127.0.0.1:${listener.port}`, requests };
}

/** TLS goes by the machine's clock, so the fleet's begins there too. */
export const openFleet = () => createTestFleet({ startAt: Date.now() });

export async function newDirectory(t: TestContext) {
  const parent = await mkdtemp(joinPath(tmpdir(), 'holdfast-join-'));
  t.after(() => rm(parent, { recursive: true, force: true }));
  return joinPath(parent, 'state');
}

/** The files of a directory by name; none when it does not exist. */
export async function contents(directory: string) {
  const names = await readdir(directory).catch(() => []);
  return Object.fromEntries(
    await Promise.all(names.sort().map(async (name) => [name, await readFile(joinPath(directory, name), 'latin1')])),
  );
}
