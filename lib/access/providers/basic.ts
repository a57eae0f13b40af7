/** The provider `basic`: name and password. Unknown name and wrong password cost the same and read the same. */
import { z } from 'zod';
import type { Store } from '../../store/port.ts';
import { refusedLogin } from '../errors.ts';
import { beginAttempt, clearLockout } from '../lockout.ts';
import { normalizeName } from '../names.ts';
import type { Passwords } from '../passwords.ts';
import { defineProvider, type Provider } from '../provider.ts';
import { getUser } from '../users.ts';

export function createBasicProvider(deps: {
  readonly store: Store;
  readonly now: () => number;
  readonly passwords: Passwords;
}): Provider {
  return defineProvider({
    method: 'basic',
    facts: {},
    beginSchema: z.strictObject({}),
    begunSchemas: [z.strictObject({})],
    finishSchema: z.strictObject({ name: z.string().min(1).max(256), password: z.string().min(1).max(1024) }),
    begin: async () => ({ answer: {} }),
    async finish({ name, password }) {
      const normal = normalizeName(name);
      // Counted before the slow hash, and as failed until it is known to be right.
      await beginAttempt(deps, normal);
      const user = await getUser(deps.store, normal);
      const isRight = await deps.passwords.verify(user?.uid, password);
      if (user === undefined) throw refusedLogin('unknown_user');
      if (!isRight) throw refusedLogin('wrong_password');
      if (user.state !== 'active') throw refusedLogin('user_disabled');
      await deps.store.transact([clearLockout(normal)]);
      return { kind: 'identified', user };
    },
  });
}
