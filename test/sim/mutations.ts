/** Bugs put in on purpose, one of each class: a simulation that does not find them shows nothing. */
import type { Publication } from '../../lib/audit/publication.ts';
import { type Store, StoreError, type Write } from '../../lib/store/port.ts';
import type { FakePublication } from '../fakes/publication.ts';

export type Mutation = {
  readonly name: string;
  /** Between the network and the store. */
  readonly store?: (store: Store) => Store;
  /** Between a process and the network. */
  readonly client?: (store: Store) => Store;
  readonly publication?: (publication: FakePublication) => Publication;
};

const keyOf = (write: Write) => (write.kind === 'put' ? write.item : write.key);

/** Writes to these partitions lose their condition. */
function unconditional(matches: (pk: string) => boolean) {
  return (store: Store): Store => ({
    ...store,
    transact: (writes) =>
      store.transact(
        writes.map((write) => {
          if (write.kind === 'check' || !matches(keyOf(write).pk)) return write;
          const { when: _, ...rest } = write;
          return rest as Write;
        }),
      ),
  });
}

export const mutations: readonly Mutation[] = [
  {
    name: 'the head moves without compare-and-swap',
    store: unconditional((pk) => pk === 'log' || pk.startsWith('block#') || pk === 'lane#log'),
  },
  { name: 'a slot is taken without asking whether it is free', store: unconditional((pk) => /^lane#(?!log)/.test(pk)) },
  { name: 'an intent is settled without asking whether it is open', store: unconditional((pk) => pk === 'intents') },
  {
    name: 'the operation and its entry are two transactions',
    client: (store) => ({
      ...store,
      async transact(writes) {
        const things = writes.filter((write) => keyOf(write).pk === 'things');
        const others = writes.filter((write) => keyOf(write).pk !== 'things');
        if (things.length === 0 || others.length === 0) return store.transact(writes);
        const first = await store.transact(things);
        return first.ok ? store.transact(others) : first;
      },
    }),
  },
  {
    name: 'no answer is taken for success',
    client: (store) => ({
      ...store,
      async transact(writes) {
        try {
          return await store.transact(writes);
        } catch (error) {
          if (error instanceof StoreError && error.code === 'unknown_outcome') return { ok: true };
          throw error;
        }
      },
    }),
  },
  {
    name: 'what stands in a slot is taken for one’s own',
    client: (store) => {
      const tried = new Map<string, Write>();
      return {
        ...store,
        async get(key) {
          const found = await store.get(key);
          const own = tried.get(`${key.pk} ${key.sk}`);
          return found !== undefined && own?.kind === 'put' ? own.item : found;
        },
        transact(writes) {
          for (const write of writes) {
            const { pk, sk } = keyOf(write);
            if (pk.startsWith('lane#')) tried.set(`${pk} ${sk}`, write);
          }
          return store.transact(writes);
        },
      };
    },
  },
  {
    name: 'a smaller checkpoint replaces a larger one',
    publication: (publication) => ({
      ...publication,
      async publishCheckpoint(note) {
        publication.files.set('checkpoint', Uint8Array.from(note));
        return true;
      },
    }),
  },
];
