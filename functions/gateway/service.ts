/**
 * The gateway's gRPC service, assembled by walking the generated descriptor: each method gets its handler behind the
 * one verifier, and there is no other way to register one. A method without a handler does not compile, and does not start.
 */
import { randomBytes } from 'node:crypto';
import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { Server, ServiceDefinition } from '@grpc/grpc-js';
import type { Logger } from 'pino';
import type { AuditLog } from '../../lib/audit/port.ts';
import type { NodeDirectory } from '../../lib/identity/directory.ts';
import {
  ChallengeSchema,
  type DownloadRequest,
  type Request,
} from '../../lib/wire/gen/holdfast/agent/v1/gateway_pb.ts';
import { type GatewayMethod, type GatewayMethodName, gatewayMethods, rawMethod } from '../../lib/wire/methods.ts';
import { unauthenticated, unavailable } from '../../lib/wire/status.ts';
import { createVerifier } from './authenticate.ts';
import type { Connections, RawCall } from './connections.ts';
import { denyRequest } from './denials.ts';
import type { GatewayLimits } from './limits.ts';
import { type StreamHandler, serveStream } from './stream.ts';

/** What each method's body decodes to. A method that is added to the proto fails to compile until it is here. */
type RequestOf = { readonly session: Request; readonly download: DownloadRequest };

export type GatewayHandlers = { readonly [Name in GatewayMethodName]: StreamHandler<RequestOf[Name]> };

export type ServiceDeps = {
  readonly directory: Pick<NodeDirectory, 'get' | 'fresh'>;
  readonly audit: Pick<AuditLog, 'deny'>;
  readonly logger: Logger;
  readonly now: () => number;
  /** Challenges; `node:crypto` unless a test injects it. */
  readonly random?: (bytes: number) => Uint8Array;
  readonly connections: Connections;
  readonly limits: GatewayLimits;
  readonly draining: () => boolean;
};

export function addGatewayService(server: Server, deps: ServiceDeps, handlers: GatewayHandlers): void {
  const definition: Record<string, ServiceDefinition[string]> = {};
  const implementation: Record<string, (call: RawCall) => void> = {};
  for (const method of gatewayMethods) {
    const handler = Object.hasOwn(handlers, method.name) ? handlers[method.name] : undefined;
    if (!handler) throw new TypeError(`The method ${method.path} has no handler`);
    definition[method.name] = rawMethod(method);
    implementation[method.name] = (call) => open(call, deps, method, handler as StreamHandler<unknown>);
  }
  server.addService(definition, implementation);
}

function open(call: RawCall, deps: ServiceDeps, method: GatewayMethod, handler: StreamHandler<unknown>): void {
  const connection = deps.connections.ofCall(call);
  if (!connection) {
    denyRequest(deps.audit, { reason: 'unknown_connection', method: method.path });
    call.emit('error', unauthenticated);
    return;
  }
  if (deps.draining() || !deps.directory.fresh()) {
    call.emit('error', unavailable);
    return;
  }
  const challenge = (deps.random ?? randomBytes)(32);
  const { maxBodyBytes, maxInFlight } = handler;
  const verify = createVerifier(deps, { connection, method: method.path, challenge, maxBodyBytes });
  serveStream(call, { ...deps, connection, method, handler, verify });
  call.write(
    handler.encodeChallenge(
      create(ChallengeSchema, {
        challenge,
        serverTime: timestampFromMs(deps.now()),
        limits: { maxBodyBytes, maxInFlight },
      }),
    ),
  );
}
