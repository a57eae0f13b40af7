/** A real, certified OpenID Provider on loopback, with accounts by name, and a client that drives its pages as a person would. */
import type { RequestListener } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair } from 'jose';
import { Provider } from 'oidc-provider';
import { createHttpsFetch, type HttpsFetch } from '../../functions/standalone/https-fetch.ts';
import type { LoopbackTls } from './loopback-tls.ts';

export const testClientId = 'holdfast';

export type Accounts = { readonly [sub: string]: { readonly [claim: string]: unknown } };

export async function startOidcProvider(
  tls: LoopbackTls,
  options: { readonly accounts: Accounts; readonly redirectUris: readonly string[]; readonly port?: number },
) {
  let handler: RequestListener = (_request, response) => response.end();
  const server = createServer({ key: tls.key, cert: tls.cert }, (request, response) => handler(request, response));
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, '127.0.0.1', resolve));
  const issuer = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const { privateKey } = await generateKeyPair('ES256', { extractable: true });
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: testClientId,
        // A native one may come back to any port of loopback, a web one only by https.
        application_type: options.redirectUris.some((uri) => uri.startsWith('http:')) ? 'native' : 'web',
        token_endpoint_auth_method: 'none',
        id_token_signed_response_alg: 'ES256',
        grant_types: ['authorization_code', 'urn:ietf:params:oauth:grant-type:device_code'],
        redirect_uris: [...options.redirectUris],
      },
    ],
    jwks: { keys: [{ ...(await exportJWK(privateKey)), alg: 'ES256', use: 'sig', kid: 'test' }] },
    claims: { openid: ['sub'], profile: ['preferred_username'], groups: ['groups'] },
    conformIdTokenClaims: false,
    cookies: { keys: ['test'] },
    features: { deviceFlow: { enabled: true } },
    findAccount: (_context, sub) =>
      options.accounts[sub] && { accountId: sub, claims: async () => ({ sub, ...options.accounts[sub] }) },
  });
  handler = provider.callback() as unknown as RequestListener;
  return {
    issuer,
    fetch: createHttpsFetch(tls.ca),
    close: () => {
      server.closeAllConnections();
      return new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

export type OidcServer = Awaited<ReturnType<typeof startOidcProvider>>;

/** A person's browser at the provider: follows redirects, keeps cookies, answers log-in and consent. Ends where it leaves. */
export async function visitAs(fetch: HttpsFetch, issuer: string, start: string, account: string): Promise<URL> {
  const jar = new Map<string, string>();
  let url = new URL(start);
  let form: Record<string, string> | undefined;
  for (let step = 0; step < 20; step++) {
    if (url.origin !== issuer) return url;
    const response = await fetch(url.href, {
      method: form === undefined ? 'GET' : 'POST',
      headers: {
        cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; '),
        ...(form === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded' }),
      },
      ...(form === undefined ? {} : { body: new URLSearchParams(form).toString() }),
    });
    for (const line of response.headers.getSetCookie()) {
      const [name = '', value = ''] = line.split(';')[0]?.split('=') ?? [];
      jar.set(name, value);
    }
    const location = response.headers.get('location');
    if (location !== null) {
      url = new URL(location, url);
      form = undefined;
      continue;
    }
    const page = await response.text();
    if (response.status >= 400) throw new Error(`the provider answered ${response.status}: ${page.slice(0, 300)}`);
    const fields = fieldsOf(page);
    if (fields === undefined) return url;
    url = new URL(fields.action || url.href, url);
    form = 'login' in fields.values ? { ...fields.values, login: account, password: 'any' } : fields.values;
  }
  throw new Error('the provider redirects without end');
}

/** The first form of a page, its action and what it would send. */
function fieldsOf(page: string): { action: string; values: Record<string, string> } | undefined {
  const form = /<form[^>]*>[\s\S]*?<\/form>/.exec(page)?.[0];
  if (form === undefined) return undefined;
  const attribute = (tag: string, name: string) => new RegExp(`\\b${name}="([^"]*)"`).exec(tag)?.[1];
  const values: Record<string, string> = {};
  for (const [input] of form.matchAll(/<(?:input|button)[^>]*>/g)) {
    const name = attribute(input, 'name');
    if (name !== undefined && name !== 'abort') values[name] = attribute(input, 'value') ?? '';
  }
  return { action: (attribute(form.slice(0, form.indexOf('>') + 1), 'action') ?? '').replaceAll('&amp;', '&'), values };
}
