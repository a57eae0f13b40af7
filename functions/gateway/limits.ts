/** The gateway's limits, in one place. They protect it from load, never from a lack of authentication. */

export type GatewayLimits = {
  /** Largest gRPC message in either direction. */
  readonly maxMessageBytes: number;
  /** Largest request body on a session. */
  readonly maxBodyBytes: number;
  /** Requests of one stream that are served at the same time; reading pauses beyond. */
  readonly maxInFlight: number;
  readonly maxStreamsPerConnection: number;
  readonly maxConnections: number;
  readonly maxConnectionsPerAddress: number;
  /** Beyond these the oldest unfinished handshake makes room, so that stalled ones never keep a healthy agent out. */
  readonly maxPendingHandshakes: number;
  readonly maxPendingHandshakesPerAddress: number;
  /** From the TCP connection to the end of the TLS handshake, however slowly bytes trickle. */
  readonly handshakeTimeoutMs: number;
  /** From the challenge to the first envelope of a stream. */
  readonly firstEnvelopeTimeoutMs: number;
  /** Between two envelopes of a stream. */
  readonly streamIdleTimeoutMs: number;
  /** A connection without streams. */
  readonly connectionIdleTimeoutMs: number;
  /** Below the idle time-out of the load balancer, 350 s, and of most NATs. */
  readonly keepaliveMs: number;
  readonly keepaliveTimeoutMs: number;
  /** Connections are asked to move after 70–85 % of this, told to (GOAWAY) at 90–110 %, and cut `connectionGraceMs` later. */
  readonly maxConnectionAgeMs: number;
  readonly connectionGraceMs: number;
  /** Between the status that ends a revoked node's streams and the cut of its connections, for the status to arrive. */
  readonly cutGraceMs: number;
  /** A node's check-in interval while the fleet is small; see pacing.ts. */
  readonly checkInIntervalMs: number;
  readonly maxCheckInsPerSecond: number;
  /** A new release is pushed to all sessions within this. */
  readonly pushSpreadMs: number;
  /** Between two looks for nodes that took a build and fell silent. */
  readonly silenceLookMs: number;
};

export const defaultLimits: GatewayLimits = {
  maxMessageBytes: 4 * 1024 * 1024,
  maxBodyBytes: 1024 * 1024,
  maxInFlight: 8,
  maxStreamsPerConnection: 8,
  maxConnections: 20_000,
  maxConnectionsPerAddress: 10_000,
  maxPendingHandshakes: 2048,
  maxPendingHandshakesPerAddress: 1024,
  handshakeTimeoutMs: 5_000,
  firstEnvelopeTimeoutMs: 10_000,
  streamIdleTimeoutMs: 30 * 60_000,
  connectionIdleTimeoutMs: 60_000,
  keepaliveMs: 120_000,
  keepaliveTimeoutMs: 20_000,
  maxConnectionAgeMs: 30 * 60_000,
  connectionGraceMs: 60_000,
  cutGraceMs: 100,
  checkInIntervalMs: 60_000,
  maxCheckInsPerSecond: 4_000,
  pushSpreadMs: 500,
  silenceLookMs: 5 * 60_000,
};
