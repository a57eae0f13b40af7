/**
 * The secrets epoch: one number of the fleet that rises with every change of any secret, so that nodes learn that there
 * is something to resolve anew without learning what. It stands in the store, where every gateway's change feed sees it.
 */
import { z } from 'zod';
import type { Key, Store, Write } from '../store/port.ts';

export const secretsEpochKey: Key = { pk: 'secrets', sk: 'epoch' };

const stored = z.object({ epoch: z.int().min(0) });

/** Raises it, in the transaction of whatever made it rise. */
export function raiseEpoch(): Write {
  return { kind: 'update', key: secretsEpochKey, add: { epoch: 1 } };
}

/** 0 before the first secret. */
export async function readEpoch(store: Pick<Store, 'get'>): Promise<number> {
  const item = await store.get(secretsEpochKey);
  const parsed = stored.safeParse(item);
  return parsed.success ? parsed.data.epoch : 0;
}
