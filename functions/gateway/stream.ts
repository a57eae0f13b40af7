/**
 * A stream under way: envelopes come in, each passes the verifier, is decoded, and is handed on; answers go out as the
 * peer takes them. A stream that fails verification ends, with one uniform status.
 */
import type { Logger } from 'pino';
import type { AuditLog } from '../../lib/audit/port.ts';
import type { NodeDirectory } from '../../lib/identity/directory.ts';
import { StoreError } from '../../lib/store/port.ts';
import type { Challenge } from '../../lib/wire/gen/holdfast/agent/v1/gateway_pb.ts';
import type { GatewayMethod } from '../../lib/wire/methods.ts';
import { malformedRequest, unauthenticated, unavailable, type WireStatus, wireStatus } from '../../lib/wire/status.ts';
import type { VerifiedEnvelope, Verifier } from './authenticate.ts';
import type { Connection, OpenStream, RawCall } from './connections.ts';
import { denyNode, denyRequest } from './denials.ts';
import type { GatewayLimits } from './limits.ts';
import { RequestRefused } from './refusals.ts';

/** What a handler sees: a node that proved itself, and what it asks. */
export type VerifiedRequest<T> = Pick<VerifiedEnvelope, 'node' | 'counter' | 'proof'> & { readonly request: T };

export type Reply = {
  /** False once the stream ended: what is sent then goes nowhere. */
  readonly open: boolean;
  send(message: Buffer): void;
  /** Resolves when the peer's flow control took the message, or the stream ended. */
  sendAndWait(message: Buffer): Promise<void>;
};

/** One method of the service. Only `encode…` know the message type of its answers. */
export type StreamHandler<T> = {
  readonly maxBodyBytes: number;
  readonly maxInFlight: number;
  encodeChallenge(challenge: Challenge): Buffer;
  encodeRefusal(counter: number, refusal: { readonly reason: string; readonly message: string }): Buffer;
  /** Called with the bytes that the signature covers, after it was verified. */
  decode(body: Uint8Array): T | undefined;
  /** Answers through `reply`, or throws `RequestRefused`. Synchronous where it can be. */
  handle(verified: VerifiedRequest<T>, reply: Reply): Promise<void> | undefined;
};

export type StreamContext = {
  readonly directory: Pick<NodeDirectory, 'fresh'>;
  readonly audit: Pick<AuditLog, 'deny'>;
  readonly logger: Logger;
  readonly limits: GatewayLimits;
  readonly connection: Connection;
  readonly method: GatewayMethod;
  readonly handler: StreamHandler<unknown>;
  readonly verify: Verifier;
};

const silent: WireStatus = wireStatus(4, 'no request came in time', 'IDLE');

export function serveStream(call: RawCall, context: StreamContext): void {
  const { directory, audit, logger, limits, connection, method, handler, verify } = context;
  const waiting = new Set<() => void>();
  let open = true;
  let halfClosed = false;
  let inFlight = 0;
  let idle = setTimeout(end, limits.firstEnvelopeTimeoutMs, silent);
  let heard = false;

  const reply: Reply = {
    get open() {
      return open;
    },
    send,
    sendAndWait: (message) =>
      new Promise((resolve) => {
        if (!open) return resolve();
        waiting.add(resolve);
        call.write(message, () => {
          waiting.delete(resolve);
          resolve();
        });
      }),
  };
  const stream: OpenStream = {
    method: method.name,
    end,
    push(message) {
      // A peer that has stopped reading gets no pushes: they would only pile up.
      if (!call.writableNeedDrain) send(message);
    },
  };

  connection.streams.add(stream);
  call.on('data', receive);
  call.on('drain', paceReading);
  call.on('end', () => {
    halfClosed = true;
    finishWhenDone();
  });
  call.on('cancelled', close);
  call.on('close', close);

  function receive(raw: Buffer): void {
    if (!open) return;
    if (!directory.fresh()) {
      end(unavailable);
      return;
    }
    const verified = verify(raw);
    if (verified.refused !== undefined) {
      denyRequest(audit, { reason: verified.refused, method: method.path, claimed: connection.uuid });
      end(unauthenticated);
      return;
    }
    noteEnvelope();
    const request = handler.decode(verified.body);
    if (request === undefined) {
      denyNode(audit, { reason: 'malformed_body', method: method.path, uuid: verified.node.uuid });
      end(malformedRequest);
      return;
    }
    serve(verified, request);
    paceReading();
  }

  function serve({ node, counter, proof }: VerifiedEnvelope, request: unknown): void {
    try {
      const pending = handler.handle({ node, request, counter, proof }, reply);
      if (!pending) return;
      inFlight += 1;
      pending
        .catch((error: unknown) => refuse(counter, error))
        .finally(() => {
          inFlight -= 1;
          paceReading();
          finishWhenDone();
        });
    } catch (error) {
      refuse(counter, error);
    }
  }

  function refuse(counter: number, error: unknown): void {
    const refusal = asRefusal(error);
    if (refusal.code === 'INTERNAL' || refusal.code === 'UNAVAILABLE') {
      logger.error({ err: error, method: method.path, node: connection.uuid }, 'A request could not be served');
    }
    send(handler.encodeRefusal(counter, { reason: refusal.code, message: refusal.message }));
  }

  function send(message: Buffer): void {
    if (open) call.write(message);
  }

  /** Reading stops while the peer does not take its answers, or enough requests are under way: TCP carries that back. */
  function paceReading(): void {
    if (!open) return;
    const busy = inFlight >= handler.maxInFlight || call.writableNeedDrain;
    if (busy !== call.isPaused()) busy ? call.pause() : call.resume();
  }

  function noteEnvelope(): void {
    if (heard) {
      idle.refresh();
      return;
    }
    heard = true;
    clearTimeout(idle);
    idle = setTimeout(end, limits.streamIdleTimeoutMs, silent).unref();
  }

  function finishWhenDone(): void {
    if (!open || !halfClosed || inFlight > 0) return;
    close();
    call.end();
  }

  function end(status: WireStatus): void {
    if (!open) return;
    close();
    call.emit('error', status);
    // What the peer still sends is read and dropped, so that it can't fill the connection's window.
    call.resume();
  }

  function close(): void {
    if (!open) return;
    open = false;
    clearTimeout(idle);
    connection.streams.delete(stream);
    for (const resolve of waiting) resolve();
    waiting.clear();
  }
}

/** An unforeseen error never tells the peer anything. */
function asRefusal(error: unknown): RequestRefused {
  if (error instanceof RequestRefused) return error;
  if (error instanceof StoreError && error.code !== 'invalid' && error.code !== 'corrupt') {
    return new RequestRefused('UNAVAILABLE', 'The store can not be reached; try again later.', { cause: error });
  }
  return new RequestRefused('INTERNAL', 'The request failed.', { cause: error });
}
