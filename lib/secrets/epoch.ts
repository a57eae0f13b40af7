/**
 * The secrets epoch: one number of the fleet that rises with every change of any secret, so that nodes learn that there
 * is something to resolve anew without learning what. It stands in the store, where every gateway's change feed sees it.
 */
import type { Key, Write } from '../store/port.ts';

export const secretsEpochKey: Key = { pk: 'secrets', sk: 'epoch' };

/** Raises it, in the transaction of whatever made it rise. */
export function raiseEpoch(): Write {
  return { kind: 'update', key: secretsEpochKey, add: { epoch: 1 } };
}
