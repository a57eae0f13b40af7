/**
 * Passwords: Argon2id (RFC 9106) at OWASP's parameters, and the hash itself sealed under a key that is not in the store,
 * so that a copy of the store is not even something to guess against.
 */
import { argon2, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { z } from 'zod';
import { equalBytes, fromBase64url, fromUtf8, toBase64url, utf8 } from '../crypto/encoding.ts';
import type { DataSealer } from '../keys/port.ts';
import type { Key, Store, Write } from '../store/port.ts';
import { AccessError } from './errors.ts';

/** OWASP Password Storage Cheat Sheet, "Argon2id": 19 MiB of memory, 2 iterations, 1 degree of parallelism. */
const parameters = { memory: 19_456, passes: 2, parallelism: 1 } as const;
const tagBytes = 32;
const saltBytes = 16;
const characters = { least: 12, most: 256 };
/** Each hash takes 19 MiB and a thread: more at once would be a way to exhaust the server. */
const maxAtOnce = 2;
const maxWaiting = 32;

const record = z.strictObject({
  v: z.literal(1),
  algorithm: z.literal('argon2id'),
  memory: z.int().min(8).max(1_048_576),
  passes: z.int().min(1).max(16),
  parallelism: z.int().min(1).max(16),
  salt: z.string(),
  tag: z.string(),
});

const hash = promisify(argon2);

export interface Passwords {
  /** The write that sets the user's password. Throws `AccessError` `malformed` for one that is too short or too long. */
  set(uid: string, password: string): Promise<Write>;
  remove(uid: string): Write;
  /** The same work whether or not there is such a user or a password: no answer comes sooner than another. */
  verify(uid: string | undefined, password: string): Promise<boolean>;
}

function passwordKey(uid: string): Key {
  return { pk: 'credential', sk: `password#${uid}` };
}

const contextOf = (uid: string) => `holdfast/password/v1/${uid}`;
/** No user has this uid; its record is compared with when there is no other. */
const nobody = 'nobody';

export async function createPasswords(deps: {
  readonly store: Store;
  readonly sealer: DataSealer;
  readonly random?: (bytes: number) => Uint8Array;
}): Promise<Passwords> {
  const { store, sealer, random = randomBytes } = deps;
  const gate = createGate();
  const derive = (password: string, salt: Uint8Array, cost: typeof parameters | z.infer<typeof record>) =>
    gate(() =>
      hash('argon2id', {
        message: utf8(password),
        nonce: salt,
        tagLength: tagBytes,
        memory: cost.memory,
        passes: cost.passes,
        parallelism: cost.parallelism,
      }),
    );
  const seal = async (uid: string, password: string) => {
    const salt = random(saltBytes);
    const tag = await derive(password, salt, parameters);
    const text = { v: 1, algorithm: 'argon2id', ...parameters, salt: toBase64url(salt), tag: toBase64url(tag) };
    return sealer.seal(utf8(JSON.stringify(text)), contextOf(uid));
  };
  const decoy = await seal(nobody, toBase64url(random(32)));

  return {
    async set(uid, password) {
      const normal = normalize(password);
      if (normal.length < characters.least || normal.length > characters.most)
        throw new AccessError('malformed', `a password has ${characters.least} to ${characters.most} characters`);
      return { kind: 'put', item: { ...passwordKey(uid), sealed: await seal(uid, normal) } };
    },
    remove: (uid) => ({ kind: 'delete', key: passwordKey(uid) }),
    async verify(uid, password) {
      const item = await store.get(passwordKey(uid ?? nobody));
      const held = item?.['sealed'];
      const isReal = uid !== undefined && held instanceof Uint8Array;
      const opened = isReal ? await sealer.open(held, contextOf(uid)) : await sealer.open(decoy, contextOf(nobody));
      const stored = record.parse(JSON.parse(fromUtf8(opened)));
      const presented = normalize(password);
      const tag = await derive(presented.slice(0, characters.most), fromBase64url(stored.salt), stored);
      const matches = equalBytes(tag, fromBase64url(stored.tag));
      return isReal && matches && presented.length <= characters.most;
    },
  };
}

/** RFC 8265 §4.2.2: one password typed on two keyboards is the same; nothing is trimmed or folded. */
function normalize(password: string): string {
  return password.normalize('NFC');
}

/** Lets `maxAtOnce` through; beyond `maxWaiting` in line it refuses at once. */
function createGate() {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async <T>(act: () => Promise<T>): Promise<T> => {
    if (running >= maxAtOnce) {
      if (waiting.length >= maxWaiting)
        throw new AccessError('throttled', 'too many log-ins at the same time; try again', {
          reason: 'busy',
          retryAfterMs: 1000,
        });
      await new Promise<void>((resolve) => waiting.push(resolve));
    }
    running += 1;
    try {
      return await act();
    } finally {
      running -= 1;
      waiting.shift()?.();
    }
  };
}
