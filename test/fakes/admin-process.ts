/** The admin API as a process of its own, on a store in a file: `node admin-process.ts STORE`, asked by messages. */
import { openSqliteStore } from '../../lib/store/sqlite.ts';
import { createAdminWorld, testSite } from './admin.ts';

export type Asked = { readonly id: number; readonly path: string; readonly headers: Record<string, string> };
export type Answered = { readonly id: number; readonly status: number };

const store = openSqliteStore(process.argv[2] ?? '');
const { app } = await createAdminWorld({ store });
process.on('message', async ({ id, path, headers }: Asked) => {
  const { status } = await app.request(`${testSite}${path}`, { headers });
  process.send?.({ id, status } satisfies Answered);
});
process.once('disconnect', () => process.exit(0));
process.send?.('ready');
