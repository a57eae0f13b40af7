/**
 * The provider `isowebauth`: log-in by an SSH key that is registered for the user. The client signs a challenge that is
 * good for one minute, once, for this site and for the client that asked; presenting a public key proves nothing.
 */
import { z } from 'zod';
import { equalBytes, utf8 } from '../../crypto/encoding.ts';
import { CryptoError } from '../../crypto/errors.ts';
import { parseSshPublicKey, type SshPublicKey } from '../../crypto/ssh-key.ts';
import { verifySshSignature } from '../../crypto/sshsig.ts';
import type { Store } from '../../store/port.ts';
import { refusedLogin } from '../errors.ts';
import { beginLogin, loginValue, takeLogin } from '../login-state.ts';
import { normalizeName } from '../names.ts';
import { defineProvider, type Provider } from '../provider.ts';
import { getUser } from '../users.ts';

export const challengeLifeMs = 60_000;
/** What the operator's signing helper takes as a namespace. */
export const sitePattern = /^[a-z0-9][a-z0-9.:-]{0,63}$/;

const finishSchema = z.strictObject({ name: z.string().min(1).max(256), signature: z.string().min(1).max(16_384) });

export function createIsowebauthProvider(deps: {
  readonly store: Store;
  readonly now: () => number;
  /** The namespace of every signature: this site, so that one made for another site is worth nothing here. */
  readonly site: string;
  readonly random?: (bytes: number) => Uint8Array;
}): Provider {
  const { site } = deps;
  if (!sitePattern.test(site)) throw new TypeError(`${JSON.stringify(site)} can't be the namespace of a signature`);
  return defineProvider({
    method: 'isowebauth',
    facts: { namespace: site },
    beginSchema: z.strictObject({}),
    finishSchema,
    begunSchemas: [z.strictObject({ challenge: z.string(), namespace: z.string() })],
    async begin() {
      const { id, expiresAt } = await beginLogin(deps, { method: 'isowebauth', ttlMs: challengeLifeMs });
      return { loginId: id, expiresAt, answer: { challenge: loginValue(id, 'challenge'), namespace: site } };
    },
    async finish({ name, signature }, loginId) {
      // Burned before anything is looked at: a failed attempt needs a new challenge, too.
      await takeLogin(deps, loginId, 'isowebauth');
      const signer = verify(signature, loginValue(loginId ?? '', 'challenge'), site);
      const user = await getUser(deps.store, normalizeName(name));
      if (user === undefined) throw refusedLogin('unknown_user');
      const isOwn = user.keys.some(({ line }) => equalBytes(parseSshPublicKey(line).blob, signer.blob));
      if (!isOwn) throw refusedLogin('key_not_registered');
      if (user.state !== 'active') throw refusedLogin('user_disabled');
      return { kind: 'identified', user };
    },
  });
}

/** The key that signed exactly the challenge's characters; certificates are no keys, and are refused by the verifier. */
function verify(signature: string, challenge: string, namespace: string): SshPublicKey {
  try {
    return verifySshSignature({ message: utf8(challenge), signature, namespace });
  } catch (error) {
    if (error instanceof CryptoError) throw refusedLogin(`signature_${error.code}`, error);
    throw error;
  }
}
