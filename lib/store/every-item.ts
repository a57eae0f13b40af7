/** Every item of a range, page after page: what decides something must not end where a page does. */
import type { Item, Query, Store } from './port.ts';

export async function* everyItem(
  store: Pick<Store, 'query'>,
  range: Omit<Query, 'after' | 'limit'>,
): AsyncGenerator<Item> {
  let after: string | undefined;
  do {
    const page = await store.query({ ...range, ...(after === undefined ? {} : { after }) });
    yield* page.items;
    after = page.next;
  } while (after !== undefined);
}
