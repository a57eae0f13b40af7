/**
 * The master keys of the local provider: 32 random bytes each, in a file sealed by the key store, named by a random id
 * that every value carries. `current` names the one that new values are put under. A key is removed only when no value
 * is under it any more, so a rotation can be cut short anywhere.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { fromUtf8, utf8 } from '../crypto/encoding.ts';
import { type DataSealer, KeysError } from '../keys/port.ts';
import { createSealedBox, type SealedBox } from '../keys/sealed-box.ts';
import { SecretsError } from './errors.ts';
import { listNames, openPrivateDirectory, readWhole, removeFile, replaceWhole, type Step } from './private-store.ts';

export const keyIdBytes = 8;
const keyBytes = 32;
const idPattern = /^[0-9a-f]{16}$/;

export type MasterKey = { readonly id: string; readonly box: SealedBox };

export interface MasterKeys {
  current(): Promise<MasterKey>;
  /** Throws `not_authentic` when there is no such key: what is under it was not written here. */
  byId(id: string): Promise<MasterKey>;
  /** Makes a key and then makes it the current one. Nothing is written when the key store refuses. */
  create(): Promise<MasterKey>;
  /** Removes all but the current one. Only when nothing is under the others. */
  removeOthers(): Promise<void>;
}

export async function openMasterKeys(directory: string, sealer: DataSealer, step: Step): Promise<MasterKeys> {
  await openPrivateDirectory(directory);
  const pointer = join(directory, 'current');
  const held = new Map<string, MasterKey>();

  async function currentId(): Promise<string | undefined> {
    const bytes = await readWhole(pointer);
    if (bytes === undefined) return undefined;
    const id = Buffer.from(bytes).toString('latin1');
    if (!idPattern.test(id)) throw new SecretsError('not_authentic', 'the name of the current master key was changed');
    return id;
  }

  const keys: MasterKeys = {
    async current() {
      const id = await currentId();
      return id === undefined ? keys.create() : keys.byId(id);
    },
    async byId(id) {
      const known = held.get(id);
      if (known !== undefined) return known;
      const sealed = idPattern.test(id) ? await readWhole(join(directory, `${id}.key`)) : undefined;
      if (sealed === undefined)
        throw new SecretsError('not_authentic', 'a value is under a master key that is not here');
      const opened = await withSealer(() => sealer.open(sealed, context(id)));
      const key = { id, box: createSealedBox(opened, 'holdfast/secrets/v1') };
      opened.fill(0);
      held.set(id, key);
      return key;
    },
    async create() {
      const id = randomBytes(keyIdBytes).toString('hex');
      const raw = randomBytes(keyBytes);
      // Sealed before anything is written: a key store that refuses leaves no trace.
      const sealed = await withSealer(() => sealer.seal(raw, context(id)));
      raw.fill(0);
      await replaceWhole(join(directory, `${id}.key`), sealed, prefixed(step, 'master key'));
      const key = await keys.byId(id);
      await replaceWhole(pointer, utf8(id), prefixed(step, 'current'));
      return key;
    },
    async removeOthers() {
      const id = await currentId();
      if (id === undefined) return;
      for (const name of await listNames(directory)) {
        if (name === 'current' || name === `${id}.key`) continue;
        await removeFile(join(directory, name), prefixed(step, 'old master key'));
        held.delete(name.replace(/\.key$/, ''));
      }
    },
  };
  return keys;
}

export function prefixed(step: Step, what: string): Step {
  return (name) => step(`${what}: ${name}`);
}

/** The key store's refusal, in terms of secrets. */
async function withSealer<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (cause) {
    const isForged = cause instanceof KeysError && (cause.code === 'not_authentic' || cause.code === 'malformed');
    const message = isForged ? 'a master key of the secrets is not the one that was sealed' : 'the key store refused';
    throw new SecretsError(isForged ? 'not_authentic' : 'unavailable', message, { cause });
  }
}

function context(id: string): string {
  return `secrets-master-key|${id}`;
}

/** The id of the key that a stored value is under, and the box itself. */
export function splitStored(stored: Uint8Array): { readonly id: string; readonly sealed: Uint8Array } {
  const head = stored.subarray(0, keyIdBytes * 2);
  let id = '';
  try {
    id = fromUtf8(head);
  } catch {
    // Not text: no id of ours, which the pattern says.
  }
  if (!idPattern.test(id)) throw new SecretsError('not_authentic', 'a stored secret is not one that was written here');
  return { id, sealed: stored.subarray(head.length) };
}
