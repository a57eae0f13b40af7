/** The last version that a deleted secret had, so that its number is not given again: for a provider that forgets. */
import type { Condition, Key, Store } from '../store/port.ts';
import { SecretsError } from './errors.ts';

export interface VersionFloors {
  /** 0 for a secret that was never deleted. */
  read(path: string): Promise<number>;
  /** Durable when it returns; never lowers one. */
  raise(path: string, version: number): Promise<void>;
}

const attempts = 10;

export function createVersionFloors(store: Pick<Store, 'get' | 'transact'>): VersionFloors {
  const keyOf = (path: string): Key => ({ pk: 'secrets', sk: `floor#${path}` });

  async function read(path: string): Promise<number> {
    const version = (await store.get(keyOf(path)))?.['version'] ?? 0;
    if (typeof version === 'number' && Number.isSafeInteger(version) && version >= 0) return version;
    throw new SecretsError('not_authentic', 'the last version of a deleted secret can not be read');
  }

  return {
    read,
    async raise(path, version) {
      const when: Condition = {
        kind: 'any',
        of: [{ kind: 'absent' }, { kind: 'less', name: 'version', value: version }],
      };
      for (let attempt = 0; attempt < attempts; attempt++) {
        if ((await read(path)) >= version) return;
        const done = await store.transact([{ kind: 'put', item: { ...keyOf(path), version }, when }]);
        if (done.ok) return;
      }
      throw new SecretsError('unavailable', 'the last version of a deleted secret could not be recorded');
    },
  };
}
