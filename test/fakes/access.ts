/** Everything that tests of access need: a store, a fake audit log, a clock, a sealer, and users of each role. */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { localAdminCaller } from '../../lib/access/caller.ts';
import type { Role } from '../../lib/access/principal.ts';
import { createUser, type User } from '../../lib/access/users.ts';
import { type DataSealer, KeysError } from '../../lib/keys/port.ts';
import { createMemoryStore } from '../../lib/store/memory.ts';
import type { Store } from '../../lib/store/port.ts';
import { createFakeAudit, type FakeAudit } from './audit.ts';

export function createAccessWorld(options: { readonly store?: Store; readonly audit?: FakeAudit } = {}) {
  const store = options.store ?? createMemoryStore();
  const audit = options.audit ?? createFakeAudit(store);
  const clock = { time: Date.UTC(2026, 0, 1) };
  const deps = { store, audit, now: () => clock.time };
  return {
    ...deps,
    deps,
    clock,
    sealer: createFakeSealer(),
    user: (name: string, role: Role): Promise<User> =>
      createUser(deps, { name, role, actor: localAdminCaller.principal }),
  };
}

/** Real authenticated encryption under a key that dies with the test. */
export function createFakeSealer(): DataSealer {
  const key = randomBytes(32);
  return {
    async seal(plaintext, context) {
      const nonce = randomBytes(12);
      const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(context));
      return Buffer.concat([nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
    },
    async open(sealed, context) {
      const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, 12)).setAAD(Buffer.from(context));
      decipher.setAuthTag(sealed.subarray(-16));
      try {
        return Buffer.concat([decipher.update(sealed.subarray(12, -16)), decipher.final()]);
      } catch (cause) {
        throw new KeysError('not_authentic', 'not what was sealed', { cause });
      }
    },
  };
}

/** Every item of a store, as the feed shows it and as text, to search for what must not be there. */
export async function dumpStore(store: Store, partitions: readonly string[]): Promise<string> {
  const items = [];
  for (const pk of partitions) {
    let after: string | undefined;
    do {
      const page = await store.query(after === undefined ? { pk } : { pk, after });
      items.push(...page.items);
      after = page.next;
    } while (after !== undefined);
  }
  return JSON.stringify(items, (_name, value) =>
    value instanceof Uint8Array
      ? [
          Buffer.from(value).toString('hex'),
          Buffer.from(value).toString('base64'),
          Buffer.from(value).toString('latin1'),
        ]
      : value,
  );
}
