/**
 * The routes of revealing a value, mounted only where the configuration enables it. The value is in no request and in no
 * answer in plaintext: it is sealed to the key that the asking command sent.
 */
import { z } from 'zod';
import { fromBase64url, toBase64url } from '../../../lib/crypto/encoding.ts';
import { isSecretPath } from '../../../lib/secrets/reference.ts';
import {
  approveReveal,
  askForReveal,
  listReveals,
  type Reveal,
  type RevealDeps,
  takeReveal,
} from '../../../lib/secrets/reveal.ts';
import { type Route, route } from '../route.ts';
import { base64url, pageSchema, shortId, time, type View } from '../view.ts';
import { isoTime, type PageOf } from './page.ts';

const revealView = z
  .strictObject({
    id: shortId,
    path: z.string(),
    state: z.enum(['open', 'approved', 'taken']),
    /** User names. */
    askedBy: z.string(),
    approvedBy: z.string().optional(),
    reason: z.string(),
    expires: time,
  })
  .meta({ id: 'Reveal', description: 'A request to reveal a secret.' });
export type RevealView = View<typeof revealView>;

const revealedView = z
  .strictObject({ path: z.string(), version: z.int().min(1), enc: base64url, ciphertext: base64url })
  .meta({ id: 'RevealedSecret', description: 'The value, sealed to the key of who asked (RFC 9180).' });
/** `enc` and `ciphertext` are base64url. */
export type RevealedView = View<typeof revealedView>;

const secret = z.strictObject({
  path: z.string().refine(isSecretPath, 'not the path of a secret, such as db/password'),
});
const request = z.strictObject({ id: z.string().regex(/^[0-9a-f]{16}$/, 'not the id of a request to reveal') });
const question = z.strictObject({
  /** For the other administrator, and for the audit log. */
  reason: z
    .string()
    .min(1)
    .max(200)
    .regex(/^[^\p{Cc}\p{Cf}]+$/u, 'must not have control characters'),
  /** X25519, base64url. */
  key: z.string().regex(/^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/, 'not an X25519 public key'),
});

export function revealRoutes(deps: RevealDeps): Route[] {
  return [
    route({
      method: 'POST',
      path: '/v1/secrets/:path/reveal',
      permission: 'secrets.reveal',
      schema: { params: secret, body: question },
      answer: revealView,
      handler: async ({ caller, params: { path }, body: { reason, key } }) =>
        viewOf(await askForReveal(deps, { path, reason, key: fromBase64url(key), caller })),
    }),
    route({
      method: 'GET',
      path: '/v1/secret-reveals',
      permission: 'secrets.reveal',
      answer: pageSchema(revealView),
      handler: async (): Promise<PageOf<RevealView>> => ({ items: (await listReveals(deps)).map(viewOf) }),
    }),
    route({
      method: 'POST',
      path: '/v1/secret-reveals/:id/approve',
      permission: 'secrets.reveal',
      schema: { params: request },
      answer: revealView,
      handler: async ({ caller, params: { id } }) => viewOf(await approveReveal(deps, { id, caller })),
    }),
    route({
      method: 'POST',
      path: '/v1/secret-reveals/:id/take',
      permission: 'secrets.reveal',
      schema: { params: request },
      answer: revealedView,
      handler: async ({ caller, params: { id } }): Promise<RevealedView> => {
        const { path, version, sealed } = await takeReveal(deps, { id, caller });
        return { path, version, enc: toBase64url(sealed.enc), ciphertext: toBase64url(sealed.ciphertext) };
      },
    }),
  ];
}

function viewOf({ expiresAt, ...rest }: Reveal): RevealView {
  return { ...rest, expires: isoTime(expiresAt) };
}
