/**
 * The provider `oidc`: OpenID Connect by authorization code with PKCE, state and nonce, or by the device flow, through
 * a certified library. An account is bound to a user by issuer and subject, never by a name or an address in a claim.
 */
import * as oidc from 'openid-client';
import { z } from 'zod';
import { AccessError, refusedLogin } from '../errors.ts';
import { beginLogin, loginValue, takeLogin } from '../login-state.ts';
import { createOidcUsers, type OidcUserDeps } from '../oidc-users.ts';
import { defineProvider, type Finished, type Provider } from '../provider.ts';
import type { RoleClaims } from '../role-claims.ts';

export type OidcConfig = RoleClaims & {
  /** https; compared exactly with what discovery and every ID token say. */
  readonly issuer: string;
  readonly clientId: string;
  /** As registered: `https://<this server>/v1/login/callback`. */
  readonly redirectUri: string;
  readonly scopes: readonly string[];
  /** The one algorithm that ID tokens are signed with. */
  readonly algorithm: 'RS256' | 'PS256' | 'ES256' | 'EdDSA';
};

export type OidcDeps = OidcUserDeps & {
  readonly config: OidcConfig;
  /** Reaches the identity provider; trusts its CA, follows no redirects. */
  readonly fetch: oidc.CustomFetch;
  readonly random?: (bytes: number) => Uint8Array;
};

const loginLifeMs = 10 * 60_000;
const discoveryLifeMs = 3_600_000;
const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code';
/** RFC 8252 §7.3: an application on the person's own machine listens there on any port. */
const loopbackRedirect = /^http:\/\/127\.0\.0\.1:[1-9][0-9]{0,4}\/callback$/;

const beginSchema = z.union([
  z.strictObject({
    flow: z.literal('code').optional(),
    redirectUri: z.string().max(200).regex(loopbackRedirect).optional(),
  }),
  z.strictObject({ flow: z.literal('device') }),
]);
const begunCode = z.strictObject({ url: z.string() });
const begunDevice = z.strictObject({
  deviceCode: z.string(),
  userCode: z.string(),
  verificationUri: z.string(),
  verificationUriComplete: z.string().optional(),
  intervalMs: z.number(),
  expiresInMs: z.number(),
});
const parameter = z.string().max(4096).optional();
const finishSchema = z.union([
  z.strictObject({ deviceCode: z.string().min(1).max(2048) }),
  // As the provider sent it, which may add parameters of its own.
  z.object({ code: parameter, state: parameter, iss: parameter, error: parameter }),
]);

export function createOidcProvider(deps: OidcDeps): Provider {
  const { config } = deps;
  const client = createClient(deps);
  const users = createOidcUsers(deps, config);
  const scope = config.scopes.join(' ');

  return defineProvider({
    method: 'oidc',
    facts: { issuer: config.issuer },
    beginSchema,
    finishSchema,
    begunSchemas: [begunCode, begunDevice],
    async begin(input) {
      if (input.flow === 'device') return beginDevice(await client(), scope);
      const redirectUri = ('redirectUri' in input ? input.redirectUri : undefined) ?? config.redirectUri;
      const known = await client();
      const login = await beginLogin(deps, { method: 'oidc', ttlMs: loginLifeMs, data: { redirectUri } });
      const url = oidc.buildAuthorizationUrl(known, {
        redirect_uri: redirectUri,
        scope,
        state: loginValue(login.id, 'state'),
        nonce: loginValue(login.id, 'nonce'),
        code_challenge: await oidc.calculatePKCECodeChallenge(loginValue(login.id, 'verifier')),
        code_challenge_method: 'S256',
      });
      return { loginId: login.id, expiresAt: login.expiresAt, answer: { url: url.href } };
    },
    async finish(input, loginId): Promise<Finished> {
      if ('deviceCode' in input) return finishDevice(await client(), input.deviceCode);
      const { redirectUri = '' } = await takeLogin(deps, loginId, 'oidc');
      const url = new URL(redirectUri);
      for (const [name, value] of Object.entries(input))
        if (typeof value === 'string') url.searchParams.set(name, value);
      const id = loginId ?? '';
      const known = await client();
      const answer = await orRefused('oidc_code', () =>
        oidc.authorizationCodeGrant(known, url, {
          pkceCodeVerifier: loginValue(id, 'verifier'),
          expectedState: loginValue(id, 'state'),
          expectedNonce: loginValue(id, 'nonce'),
          idTokenExpected: true,
        }),
      );
      return { kind: 'identified', user: await users.userOf(requireClaims(answer.claims(), config)) };
    },
  });

  async function finishDevice(known: oidc.Configuration, deviceCode: string): Promise<Finished> {
    try {
      const answer = await oidc.genericGrantRequest(known, deviceGrant, { device_code: deviceCode });
      return { kind: 'identified', user: await users.userOf(requireClaims(answer.claims(), config)) };
    } catch (error) {
      // RFC 8628 §3.5.
      if (error instanceof oidc.ResponseBodyError && error.error === 'authorization_pending')
        return { kind: 'pending', retryAfterMs: 5_000 };
      if (error instanceof oidc.ResponseBodyError && error.error === 'slow_down')
        return { kind: 'pending', retryAfterMs: 10_000 };
      if (error instanceof AccessError) throw error;
      throw refusedLogin('oidc_device', error);
    }
  }
}

async function beginDevice(known: oidc.Configuration, scope: string) {
  const begun = await orRefused('oidc_device', () => oidc.initiateDeviceAuthorization(known, { scope }));
  return {
    answer: {
      deviceCode: begun.device_code,
      userCode: begun.user_code,
      verificationUri: begun.verification_uri,
      ...(begun.verification_uri_complete === undefined
        ? {}
        : { verificationUriComplete: begun.verification_uri_complete }),
      intervalMs: (begun.interval ?? 5) * 1000,
      expiresInMs: begun.expires_in * 1000,
    },
  };
}

/** Discovered when first needed, and again after an hour; a failure is not remembered. */
function createClient({ config, fetch, now }: OidcDeps): () => Promise<oidc.Configuration> {
  let held: { readonly at: number; readonly client: Promise<oidc.Configuration> } | undefined;
  return async () => {
    if (held === undefined || now() - held.at > discoveryLifeMs) {
      const client = oidc.discovery(
        new URL(config.issuer),
        config.clientId,
        { id_token_signed_response_alg: config.algorithm, [oidc.clockTolerance]: 5 },
        // A public client (RFC 8252 §8.4): PKCE proves who began the log-in, so no secret lies in a configuration.
        oidc.None(),
        // Signatures of ID tokens are verified although they came by TLS: a departure from OpenID Connect Core §3.1.3.7.
        { [oidc.customFetch]: fetch, execute: [oidc.enableNonRepudiationChecks], timeout: 10 },
      );
      held = { at: now(), client };
    }
    const current = held;
    try {
      return await current.client;
    } catch (error) {
      if (held === current) held = undefined;
      throw new AccessError('unavailable', 'the identity provider can not be used at the moment', { cause: error });
    }
  };
}

/** The library has checked signature, algorithm, iss, aud, exp, nonce; `azp` it checks for several audiences only. */
function requireClaims(claims: oidc.IDToken | undefined, config: OidcConfig): oidc.IDToken {
  if (claims === undefined) throw refusedLogin('oidc_no_id_token');
  if (claims.iss !== config.issuer) throw refusedLogin('oidc_iss');
  const audiences = Array.isArray(claims.aud) ? claims.aud : [claims.aud];
  if (!audiences.includes(config.clientId)) throw refusedLogin('oidc_aud');
  // OpenID Connect Core §3.1.3.7, steps 4 and 5.
  if (claims.azp !== undefined ? claims.azp !== config.clientId : audiences.length > 1) throw refusedLogin('oidc_azp');
  if (typeof claims.sub !== 'string' || claims.sub === '' || claims.sub.length > 255) throw refusedLogin('oidc_sub');
  return claims;
}

async function orRefused<T>(reason: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    throw refusedLogin(reason, error);
  }
}
