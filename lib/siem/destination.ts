/**
 * The destination port: one receiver, spoken to in its own protocol. A destination formats, sends and judges the answer;
 * the dispatcher owns order, retries, back-off, positions and state, so a destination keeps nothing between calls but
 * connections, and never sends anything again by itself.
 *
 * Contract, for every kind (`test/conformance/destination.ts` runs it against each):
 * - `send` resolves with one of `SendResult`, always; it throws nothing but bugs (`TypeError`). What it does not
 *   understand of an answer is `transient`: the batch stays at the front of the feed.
 * - `delivered` means that the receiver has said, as its protocol lets it, that it has every event of the batch. A write
 *   to a socket is not that.
 * - When `signal` aborts, it ends soon, with `transient`. The dispatcher sets the deadline of a send by it.
 * - What it sends is a function of configuration, credentials and batch: no clock and no randomness in events. (A
 *   signature over the time of sending is of the envelope, not of events.)
 * - Calls for one destination are one at a time.
 * - No text in a result quotes a credential or a response body; `reason` is ours, or a status code.
 */
import type { Secret } from '../crypto/secret.ts';
import type { DestinationConfig } from './config.ts';
import type { Batch, StubReason } from './event.ts';

/**
 * The values behind the secret references of the configuration, fetched for this send, by the name of the configuration
 * field that refers to them (as `token`). UTF-8 text, without a newline at its end. There is one for each reference.
 */
export type Credentials = { readonly [field: string]: Secret<string> };

export type SendResult =
  /** The receiver has every event. */
  | { readonly kind: 'delivered' }
  /**
   * The receiver took the bytes and will say later whether it has them: asked by `confirm` with this token, which is kept
   * with the batch and survives a restart. At most 1 KiB of text, no secret.
   */
  | { readonly kind: 'pending'; readonly token: string }
  /**
   * The receiver has all events but those at these indexes (rising), which it will never take as they are. Only for
   * protocols that answer for each event. When any event failed for another reason, it is `transient` instead: the whole
   * batch comes again, and the receiver knows by their ids what it has.
   */
  | { readonly kind: 'partial'; readonly rejected: readonly Rejection[] }
  /** The receiver will never take the content of this batch, and does not say which event is at fault. */
  | { readonly kind: 'rejected'; readonly reason: string }
  /** The batch is larger than the receiver takes. It comes again in halves; one event alone becomes a stub. */
  | { readonly kind: 'too_large'; readonly reason: string }
  /** Anything that may be better later: no connection, a time-out, 408, 429, 5xx. `retryAfterMs` from the receiver. */
  | { readonly kind: 'transient'; readonly reason: string; readonly retryAfterMs?: number }
  /** The credentials are not accepted: 401, 403. */
  | { readonly kind: 'auth'; readonly reason: string }
  /** It can't work as configured: no such index or path, a wrong name in the certificate, an address that is not allowed. */
  | { readonly kind: 'config'; readonly reason: string };

export type Rejection = { readonly index: number; readonly reason: StubReason };

export interface Destination {
  /** The most that one batch may hold; `maxBytes` counts the raw bytes of entries. */
  readonly limits: { readonly maxEvents: number; readonly maxBytes: number };
  send(batch: Batch, credentials: Credentials, signal: AbortSignal): Promise<SendResult>;
  /**
   * For acknowledged protocols: what has become of a batch that was `pending`. `pending` again (with a token) while the
   * receiver does not know. The dispatcher asks with pauses, and sends the identical batch again when nothing is
   * confirmed within 2 minutes.
   */
  confirm?(token: string, credentials: Credentials, signal: AbortSignal): Promise<SendResult>;
  /** Ends connections that were kept. Idempotent; a later `send` opens anew. */
  close(): Promise<void>;
}

/** Makes the destination of a configuration. Opens nothing yet. The registry of kinds is the one implementation. */
export type OpenDestination = (config: DestinationConfig) => Destination;
