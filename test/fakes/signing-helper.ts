/**
 * A stand-in for the operator's local signing helper: the same wire protocol (`POST /sign` with challenge and
 * namespace, answered `{ok, signature}`), the same rules about both, and one origin that it signs for.
 */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export type SigningHelper = { readonly url: string; readonly server: Server; close(): Promise<void> };

const challengePattern = /^[A-Za-z0-9_-]{16,256}$/;
const namespacePattern = /^[A-Za-z0-9._:-]{1,64}$/;

export async function startSigningHelper(options: {
  readonly origin: string;
  readonly port?: number;
  readonly sign: (challenge: string, namespace: string) => string | Promise<string>;
}): Promise<SigningHelper> {
  const server = createServer(async (request, response) => {
    const answer = (status: number, body?: object) => {
      response.writeHead(status, {
        'access-control-allow-origin': options.origin,
        'access-control-allow-methods': 'POST, OPTIONS',
        'access-control-allow-headers': 'Content-Type',
        'access-control-allow-private-network': 'true',
        vary: 'Origin',
        'content-type': 'application/json',
      });
      response.end(body === undefined ? undefined : JSON.stringify(body));
    };
    if (request.url !== '/sign' || request.headers.origin !== options.origin)
      return answer(403, { ok: false, error: 'Origin not allowed' });
    if (request.method === 'OPTIONS') return answer(204);
    if (request.method !== 'POST') return answer(405, { ok: false, error: 'Method not allowed' });
    let text = '';
    for await (const chunk of request) text += chunk;
    const { challenge, namespace } = JSON.parse(text) as { challenge: string; namespace: string };
    if (!challengePattern.test(challenge) || !namespacePattern.test(namespace))
      return answer(403, { ok: false, error: 'Request denied by policy' });
    // The real one trims what ssh-keygen wrote.
    return answer(200, { ok: true, signature: (await options.sign(challenge, namespace)).trim() });
  });
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/sign`,
    server,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}
