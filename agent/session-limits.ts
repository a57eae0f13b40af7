/** How long an agent waits for its gateway, and how much it takes from it. */
import { maxBlobBytes } from '../lib/store/blobs.ts';

export type SessionLimits = {
  readonly challengeTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly downloadTimeoutMs: number;
  readonly maxBlobBytes: number;
  readonly maxReconnectDelayMs: number;
};

export const requestLimits: SessionLimits = {
  challengeTimeoutMs: 15_000,
  requestTimeoutMs: 30_000,
  downloadTimeoutMs: 10 * 60_000,
  maxBlobBytes,
  maxReconnectDelayMs: 5 * 60_000,
};
