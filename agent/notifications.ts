/**
 * Notifications: resources that a change asked to run again. Kept on disk until they are answered, because the change
 * itself leaves no trace: a run that is killed between a new configuration and its reload would never reload.
 */
import { z } from 'zod';
import { type StateDirectory, stateFiles } from './state.ts';

export type Notifications = {
  has(key: string): boolean;
  /** When this returns, the notifications survive a kill. */
  add(keys: readonly string[]): Promise<void>;
  remove(key: string): Promise<void>;
};

const schema = z.array(z.string().max(2048)).max(10_000);

/** Opens the notifications that wait. A damaged file counts as none: the next change notifies again. */
export async function openNotifications(state: StateDirectory): Promise<Notifications> {
  return inMemory(parse(await state.read(stateFiles.notified)), async (waiting) => {
    await state.write(stateFiles.notified, new TextEncoder().encode(JSON.stringify([...waiting])));
  });
}

/** Notifications that last as long as the process. */
export function memoryNotifications(keys: readonly string[] = []): Notifications {
  return inMemory(new Set(keys), async () => undefined);
}

function inMemory(waiting: Set<string>, save: (waiting: ReadonlySet<string>) => Promise<void>): Notifications {
  return {
    has: (key) => waiting.has(key),
    async add(keys) {
      const added = keys.filter((key) => !waiting.has(key));
      if (added.length > 0) {
        for (const key of added) {
          waiting.add(key);
        }
        await save(waiting);
      }
    },
    async remove(key) {
      if (waiting.delete(key)) {
        await save(waiting);
      }
    },
  };
}

function parse(bytes: Uint8Array | undefined): Set<string> {
  if (bytes === undefined) {
    return new Set();
  }
  try {
    return new Set(schema.parse(JSON.parse(Buffer.from(bytes).toString('utf8'))));
  } catch (_damaged) {
    return new Set();
  }
}
