/** Delivers the audit log of an embedded control plane to its destinations, beside everything else that it does. */
import type { Logger } from 'pino';
import type { AuditLog } from '../../lib/audit/port.ts';
import type { SecretsProvider } from '../../lib/secrets/provider.ts';
import { openDestination } from '../../lib/siem/destinations/open.ts';
import { createDispatcher } from '../../lib/siem/dispatcher.ts';
import type { Store } from '../../lib/store/port.ts';

export type DeliveryDeps = {
  readonly store: Store;
  readonly audit: AuditLog;
  readonly origin: string;
  readonly secrets: SecretsProvider;
  readonly now: () => number;
  readonly logger: Logger;
};

/** Returns what ends it: a batch that is on its way then is sent again, first, after the next start. */
export function startDelivery(deps: DeliveryDeps): () => Promise<void> {
  const stop = new AbortController();
  // The lock on the state directory lets one such process run: a lease that a dead one left is its own.
  const running = createDispatcher({ ...deps, open: openDestination, owner: 'standalone' }).run(stop.signal);
  return async () => {
    stop.abort();
    await running;
  };
}
