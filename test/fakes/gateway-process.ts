/** A gateway as a process of its own, on a store in a file: `node gateway-process.ts`, told all by a message from its parent. */

import { startGateway } from '../../functions/gateway/server.ts';
import type { AuditEvent, AuditLog } from '../../lib/audit/port.ts';
import { openNodeDirectory } from '../../lib/identity/directory.ts';
import { createMemoryBlobs } from '../../lib/store/blobs-memory.ts';
import { openSqliteStore } from '../../lib/store/sqlite.ts';
import { silentLogger } from './gateway-fleet.ts';

/** DER and keys are base64 and PEM. */
export type ProcessOrder = {
  readonly storePath: string;
  readonly fleet: string;
  readonly keyPem: string;
  readonly certDer: string;
  readonly authorityDer: string;
};

process.once('message', async (order: ProcessOrder) => {
  const store = openSqliteStore(order.storePath);
  const deny = async (event: AuditEvent) => void process.send?.({ denied: event.detail?.['reason'] });
  const append: AuditLog['append'] = () => Promise.reject(new TypeError('nothing here is recorded'));
  const directory = await openNodeDirectory({ store, now: Date.now, logger: silentLogger });
  const gateway = await startGateway(
    { store, blobs: createMemoryBlobs(), audit: { deny, append }, directory, logger: silentLogger, now: Date.now },
    {
      host: '127.0.0.1',
      port: 0,
      fleet: order.fleet,
      tls: {
        keyPem: order.keyPem,
        certDer: Buffer.from(order.certDer, 'base64'),
        authorityDer: Buffer.from(order.authorityDer, 'base64'),
      },
    },
  );
  process.send?.({ port: gateway.address.port });
  process.once('disconnect', () => process.exit(0));
});
