/** `auth` of the configuration: by which one method people log in. None, or an unknown one, and the server does not start. */
import { z } from 'zod';
import { sitePattern } from '../../lib/access/providers/isowebauth.ts';

const httpsUrl = z.url({ protocol: /^https$/ }).max(300);
const values = z.array(z.string().min(1).max(200)).min(1).max(64).optional();

export const authConfig = z.discriminatedUnion('method', [
  z.strictObject({ method: z.literal('basic') }),
  z.strictObject({
    method: z.literal('isowebauth'),
    /** The namespace that people sign for; the fleet's name unless given. */
    site: z.string().regex(sitePattern, 'must be like "cp.example.org"').optional(),
  }),
  z.strictObject({
    method: z.literal('oidc'),
    issuer: httpsUrl,
    clientId: z.string().min(1).max(200),
    /** As registered at the provider: `https://<this server>/v1/login/callback`. */
    redirectUri: httpsUrl.regex(/\/v1\/login\/callback$/, 'must end in /v1/login/callback'),
    scopes: z
      .array(z.string().regex(/^[!-~]{1,64}$/))
      .max(16)
      .default(['openid', 'profile', 'email']),
    algorithm: z.enum(['RS256', 'PS256', 'ES256', 'EdDSA']).default('RS256'),
    /** The claim that says what somebody may be, and its values for each role. What matches none has no access. */
    claim: z.string().min(1).max(100).default('groups'),
    roles: z.strictObject({ admin: values, viewer: values, compliance: values }),
    /** The provider's own CA, PEM; the system's unless given. */
    caFile: z.string().min(1).optional(),
  }),
]);

export type AuthConfig = z.output<typeof authConfig>;

/** Of a first start: keys that operators have anyway, no password to choose, and nobody registered yet. */
export const initialAuth: AuthConfig = { method: 'isowebauth' };
