/** An OpenID Provider that answers whatever a test wants: for the ID tokens that a certified one never makes. */
import { createHmac } from 'node:crypto';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { exportJWK, exportSPKI, generateKeyPair, SignJWT } from 'jose';
import type { LoopbackTls } from './loopback-tls.ts';

export type Claims = { readonly [name: string]: unknown };
/** Makes the ID token; `good` are the claims of an honest one. */
export type MakeToken = (good: Claims) => Promise<string>;

export async function startRogueProvider(tls: LoopbackTls) {
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
  const other = await generateKeyPair('ES256', { extractable: true });
  const jwk = { ...(await exportJWK(publicKey)), alg: 'ES256', use: 'sig', kid: 'k' };
  const publicPem = await exportSPKI(publicKey);
  const state = {
    make: undefined as MakeToken | undefined,
    claims: {} as Claims,
    discoveryIssuer: '',
    requests: [] as string[],
  };
  const server = createServer({ key: tls.key, cert: tls.cert }, async (request, response) => {
    const path = request.url ?? '';
    state.requests.push(path);
    const answer = (body: object) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify(body));
    };
    if (path === '/.well-known/openid-configuration')
      return answer({
        issuer: state.discoveryIssuer,
        authorization_endpoint: `${issuer}/auth`,
        token_endpoint: `${issuer}/token`,
        jwks_uri: `${issuer}/jwks`,
        response_types_supported: ['code'],
        subject_types_supported: ['public'],
        id_token_signing_alg_values_supported: ['ES256', 'HS256', 'none'],
      });
    if (path === '/jwks') return answer({ keys: [jwk] });
    if (path === '/token' && state.make !== undefined)
      return answer({ access_token: 'a', token_type: 'Bearer', id_token: await state.make(state.claims) });
    response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const issuer = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  state.discoveryIssuer = issuer;
  const sign = (claims: Claims, key = privateKey, header: object = {}) =>
    new SignJWT({ ...claims }).setProtectedHeader({ alg: 'ES256', kid: 'k', ...header }).sign(key);
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return {
    issuer,
    state,
    sign: (claims: Claims) => sign(claims),
    signWithOtherKey: (claims: Claims) => sign(claims, other.privateKey),
    signWithUnknownKey: (claims: Claims) => sign(claims, other.privateKey, { kid: 'other' }),
    /** RFC 8725 §2.1: no signature at all, and the public key as the secret of an HMAC. */
    unsigned: async (claims: Claims) => `${part({ alg: 'none' })}.${part(claims)}.`,
    confused: async (claims: Claims) => {
      const text = `${part({ alg: 'HS256', kid: 'k' })}.${part(claims)}`;
      return `${text}.${createHmac('sha256', publicPem).update(text).digest('base64url')}`;
    },
    close: () => {
      server.closeAllConnections();
      return new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
