/** What running a destination takes, and what it says when it ends. */
import type { Logger } from 'pino';
import type { AuditLog } from '../audit/port.ts';
import type { Store } from '../store/port.ts';
import type { CredentialReader } from './credentials.ts';
import type { Destination } from './destination.ts';
import type { DestinationRecord } from './record.ts';
import type { SealedReader } from './sealed-reader.ts';
import type { Timer } from './send-deadline.ts';

export type RunDeps = {
  readonly store: Store;
  readonly audit: Pick<AuditLog, 'append'>;
  readonly origin: string;
  readonly reader: SealedReader;
  readonly credentials: CredentialReader;
  /** The destination of a record; the same one while its configuration is the same. */
  readonly destinationOf: (record: DestinationRecord) => Destination;
  readonly now: () => number;
  /** Names this worker among those that may run at the same time. A lease that it left behind is its own again. */
  readonly owner: string;
  readonly logger: Pick<Logger, 'warn' | 'error'>;
  readonly random?: (n: number) => Uint8Array;
  /** In [0, 1). */
  readonly jitter?: () => number;
  readonly timer?: Timer;
};

/**
 * `idle`: all is delivered; nothing to do before then, unless something is sealed or an operator changes something.
 * `backing_off`: not to be tried before then, unless an operator wants it. `held`: another worker has the lease until
 * then. `asleep`: paused or on hold, until an operator changes it. `more`: the deadline came first.
 */
export type RunOutcome =
  | { readonly kind: 'idle' | 'backing_off' | 'held'; readonly until: number }
  | { readonly kind: 'asleep' | 'more' | 'gone' };
