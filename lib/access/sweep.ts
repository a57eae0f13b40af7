/** The sweep: takes away what has expired (sessions, begun log-ins, lockouts, remembered answers). Nothing depends on it but space. */
import type { Store } from '../store/port.ts';
import { deleteAsRead, expiryOf } from './bounded-rows.ts';

const digits = [...'0123456789abcdef'];
const partitions = ['session', 'login', 'lockout', 'idempotency'].flatMap((kind) => digits.map((d) => `${kind}#${d}`));
const batch = 50;

/** Deletes expired items and returns how many. A failure leaves the rest for the next sweep. */
export async function sweepExpired({
  store,
  now,
}: {
  readonly store: Store;
  readonly now: () => number;
}): Promise<number> {
  let deleted = 0;
  for (const pk of partitions) {
    let after: string | undefined;
    do {
      const page = await store.query({ pk, limit: batch, ...(after === undefined ? {} : { after }) });
      const at = now();
      // Only as it was read: what was renewed meanwhile stays.
      deleted += await deleteAsRead(
        store,
        page.items.filter((item) => expiryOf(item) <= at),
      );
      after = page.next;
    } while (after !== undefined);
  }
  return deleted;
}
