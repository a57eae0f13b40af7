/**
 * The gateway: the only gRPC endpoint. TLS ends in transport.ts, which hands over connections whose certificate was
 * verified; gRPC runs on those alone, through an injector, so there is no second way in.
 */

import type { TLSSocket } from 'node:tls';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import type { Logger } from 'pino';
import { recordOutcome } from '../../lib/artifacts/outcomes.ts';
import { recordTaken } from '../../lib/artifacts/silence.ts';
import type { AuditLog } from '../../lib/audit/port.ts';
import type { LogSource } from '../../lib/audit/publication.ts';
import { recordNodeFindings } from '../../lib/hardening/record.ts';
import type { DirectoryChange, NodeDirectory } from '../../lib/identity/directory.ts';
import type { BlobStore } from '../../lib/store/blobs.ts';
import type { Store } from '../../lib/store/port.ts';
import { unauthenticated } from '../../lib/wire/status.ts';
import { type Connection, createConnections } from './connections.ts';
import { createCurrentRelease } from './current-release.ts';
import { downloadHandler } from './download.ts';
import { createFactsStore } from './facts.ts';
import { defaultLimits, type GatewayLimits } from './limits.ts';
import { createLogFollowing } from './log-following.ts';
import { createPacing } from './pacing.ts';
import { createPushes, sessionsOf } from './pushes.ts';
import { createRunStore } from './runs.ts';
import { resolveSecretsHandler, type SecretSource } from './secrets.ts';
import { createSeenLog } from './seen.ts';
import { addGatewayService, type GatewayHandlers } from './service.ts';
import { sessionHandler } from './session.ts';
import { createSilenceWatch } from './silence-watch.ts';
import { type GatewayTls, listen } from './transport.ts';
import { createWantedBuilds } from './wanted-builds.ts';

export type GatewayDeps = {
  readonly store: Store;
  readonly blobs: Pick<BlobStore, 'get'>;
  readonly audit: Pick<AuditLog, 'deny' | 'append'>;
  readonly directory: NodeDirectory;
  /** Where the audit log is published, so that nodes can follow it. */
  readonly publication?: LogSource;
  /** Without it no secret is released. */
  readonly secrets?: SecretSource;
  readonly logger: Logger;
  readonly now: () => number;
  /** Challenges. */
  readonly randomBytes?: (bytes: number) => Uint8Array;
  /** Jitter, from 0 to below 1. */
  readonly random?: () => number;
  /** Wraps what runs behind the verifier, to measure or watch it; nothing here gets before the verifier. */
  readonly instrument?: (handlers: GatewayHandlers) => GatewayHandlers;
};

export type GatewayOptions = {
  readonly host: string;
  readonly port: number;
  readonly fleet: string;
  readonly tls: GatewayTls;
  readonly limits?: Partial<GatewayLimits>;
};

export type Gateway = {
  readonly address: { readonly host: string; readonly port: number };
  /** False before `drain` and once the directory has gone stale. */
  ready(): boolean;
  /** How many nodes' connections are held. */
  readonly connections: number;
  /** Whether a session of the node is open here. */
  isConnected(uuid: string): boolean;
  /** For a renewed gateway certificate. */
  replaceCertificate(tls: Pick<GatewayTls, 'keyPem' | 'certDer'>): void;
  /** Not ready any more, asks every agent to move, spread over `spreadMs`, then closes. */
  drain(options?: { readonly spreadMs?: number; readonly graceMs?: number }): Promise<void>;
  /** At once. Idempotent. */
  close(): Promise<void>;
};

export async function startGateway(deps: GatewayDeps, options: GatewayOptions): Promise<Gateway> {
  const limits: GatewayLimits = { ...defaultLimits, ...options.limits };
  const random = deps.random ?? Math.random;
  const { directory, logger, now, audit, store, instrument = (handlers) => handlers } = deps;
  const connections = createConnections();
  const pushes = createPushes({ connections, directory, random, pushSpreadMs: limits.pushSpreadMs });
  const seen = createSeenLog({ store, now, logger, connected: () => connections.size });
  const currentRelease = createCurrentRelease({ store, announced: directory.release });
  const pacing = createPacing({
    intervalMs: limits.checkInIntervalMs,
    maxPerSecond: limits.maxCheckInsPerSecond,
    connected: () => connections.size,
    random,
  });
  const builds = createWantedBuilds({ store, rings: directory.rings });
  const handlers: GatewayHandlers = {
    session: sessionHandler({
      directory,
      currentRelease,
      pacing,
      seen,
      log: createLogFollowing({ publication: deps.publication, now }),
      runs: createRunStore({ store, now }),
      facts: createFactsStore({ store, now }),
      builds,
      recordFindings: (node, findings) => recordNodeFindings(audit, node.uuid, findings),
      recordUpdate: (node, outcome) => recordOutcome({ store, audit, now }, node, outcome),
      resolveSecrets: resolveSecretsHandler({
        store,
        blobs: deps.blobs,
        audit,
        currentRelease,
        source: deps.secrets,
        epoch: directory.secretsEpoch,
      }),
      now,
      limits,
    }),
    download: downloadHandler({
      store,
      blobs: deps.blobs,
      audit,
      currentRelease,
      builds,
      recordTaken: (node, ring) => recordTaken({ store, now }, node.uuid, ring),
    }),
  };
  let draining = false;
  let closed = false;

  const grpc = new Server(grpcOptions(limits));
  const service = { directory, audit, logger, now, connections, limits, draining: () => draining };
  addGatewayService(grpc, deps.randomBytes ? { ...service, random: deps.randomBytes } : service, instrument(handlers));
  const injector = grpc.createConnectionInjector(ServerCredentials.createInsecure());
  const admit = (socket: TLSSocket) => {
    injector.injectConnection(socket);
    askToMoveInTime(socket);
  };
  const transport = await listen(
    { audit, logger, now, fleet: options.fleet, tls: options.tls, limits, connections, admit },
    options.host,
    options.port,
  );
  const stopWatching = directory.onChange(changed);
  const isListening = () => !draining && directory.fresh();
  const silence = createSilenceWatch({ store, audit, now, isListening, logger }, limits.silenceLookMs);

  return {
    address: { host: transport.address.address, port: transport.address.port },
    ready: isListening,
    get connections() {
      return connections.size;
    },
    isConnected: (uuid) => sessionsOf(connections, uuid).length > 0,
    replaceCertificate: transport.replaceCertificate,
    async drain({ spreadMs = 90_000, graceMs = 20_000 } = {}) {
      if (draining) return;
      draining = true;
      transport.stopListening();
      const leaving = connections.all();
      await Promise.all(leaving.map((connection, index) => ask(connection, (spreadMs * index) / leaving.length)));
      injector.drain(graceMs);
      await Promise.race([emptied(), pause(graceMs)]);
      await close();
    },
    close,
  };

  function changed(change: DirectoryChange): void {
    switch (change.kind) {
      case 'release':
        pushes.release();
        return;
      case 'wake':
        if (pushes.wake(change.uuid, change)) seen.woken(change.uuid);
        return;
      case 'secrets':
      case 'rings':
        pushes.checkIn();
        return;
      case 'node':
        if (!change.node || change.node.state === 'revoked') cut(change.uuid);
        else pushes.wake(change.uuid);
        return;
      default:
        change satisfies never;
    }
  }

  /** Ends everything that a node has open. Its requests were refused from the moment that the directory knew. */
  function cut(uuid: string): void {
    for (const connection of connections.ofNode(uuid)) {
      for (const stream of [...connection.streams]) stream.end(unauthenticated);
      setTimeout(connection.destroy, limits.cutGraceMs);
    }
  }

  /** Before grpc-js closes a connection for its age, its agent is asked to move, so that nothing under way is lost. */
  function askToMoveInTime(socket: TLSSocket): void {
    const peer = `${socket.remoteAddress}:${socket.remotePort}`;
    const timer = setTimeout(
      () => {
        const connection = connections.all().find((candidate) => candidate.peer === peer);
        for (const stream of connection?.streams ?? []) pushes.drain(stream, Math.round(random() * 1000));
      },
      limits.maxConnectionAgeMs * (0.7 + 0.15 * random()),
    ).unref();
    socket.once('close', () => clearTimeout(timer));
  }

  async function ask({ streams }: Connection, afterMs: number): Promise<void> {
    await pause(afterMs);
    for (const stream of streams) pushes.drain(stream, Math.round(random() * 1000));
  }

  /** Resolves when the last connection is gone. */
  async function emptied(): Promise<void> {
    while (connections.size > 0 && !closed) await pause(50);
  }

  async function close(): Promise<void> {
    if (closed) return;
    closed = true;
    draining = true;
    stopWatching();
    pushes.close();
    transport.stopListening();
    injector.destroy();
    grpc.forceShutdown();
    for (const connection of connections.all()) connection.destroy();
    await Promise.all([seen.settled(), silence.close()]);
  }
}

function grpcOptions(limits: GatewayLimits) {
  return {
    'grpc.max_receive_message_length': limits.maxMessageBytes,
    'grpc.max_send_message_length': limits.maxMessageBytes,
    'grpc.max_concurrent_streams': limits.maxStreamsPerConnection,
    'grpc.max_connection_idle_ms': limits.connectionIdleTimeoutMs,
    'grpc.max_connection_age_ms': limits.maxConnectionAgeMs,
    'grpc.max_connection_age_grace_ms': limits.connectionGraceMs,
    'grpc.keepalive_time_ms': limits.keepaliveMs,
    'grpc.keepalive_timeout_ms': limits.keepaliveTimeoutMs,
    // Its bookkeeping costs time on every message and is read by nobody here.
    'grpc.enable_channelz': 0,
  };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
