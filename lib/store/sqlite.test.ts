import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { storeConformance } from '../../test/conformance/store.ts';
import type { Store } from './port.ts';
import { openSqliteStore } from './sqlite.ts';

storeConformance('sqlite', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-store-'));
  const opened: Store[] = [];
  const open = () => {
    const store = openSqliteStore(join(directory, 'store.sqlite'));
    opened.push(store);
    return store;
  };
  return {
    store: open(),
    reopen: async () => open(),
    dispose: async () => {
      for (const store of opened) await store.close();
      rmSync(directory, { recursive: true });
    },
  };
});
