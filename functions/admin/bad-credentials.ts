/**
 * Bad credentials by connection: after a few, each further answer on that connection is held back for about a second.
 * Who sends on instead of waiting is read no more, and loses the connection with that answer: what has piled up by then
 * is never looked at, because even reading hundreds of requests at once would delay everybody else's. So a flood waits,
 * and who waits keeps the connection. A token that is wrong by its form alone is answered before anything is made of the request, and ends
 * the connection after some hundreds.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { unauthenticated } from '../../lib/access/principal.ts';
import { isApiTokenFormat } from '../../lib/access/token-format.ts';
import type { AuditLog } from '../../lib/audit/port.ts';
import { bearerToken } from './bearer.ts';
import { Problem, problemMessage, unreadableRequest } from './problem.ts';

/** So many credentials that had to be looked up before the connection has to wait. */
const maxLookedUp = 5;
/** So many of a wrong form before it ends. They cost so little that holding them back would cost more. */
const maxMalformed = 200;
/** Requests of one connection at the same time: of what is sent ahead, no more is looked up before the first is known. */
const maxInFlight = 8;
/** Spread, so that a flood on many connections does not come back all at once. */
const holdMs = { least: 500, most: 2_000 } as const;
/** Beyond so many held answers the next ones are not: holding must not be a way to use up memory. */
const maxHeld = 2_000;

type Socket = { readonly pause?: () => unknown };
/** `held`: an answer is being held back. `isOver`: more was sent meanwhile, so the connection ends with that answer. */
type Connection = { lookedUp: number; malformed: number; inFlight: number; isHeld: boolean; isOver: boolean };
const connections = new WeakMap<object, Connection>();
let held = 0;

/** Waits; real time unless told. */
export type Wait = (ms: number) => Promise<unknown>;
const realTime: Wait = (ms) => sleep(ms, undefined, { ref: false });

/** Charges the request's connection, and resolves when it may be answered. True: the answer is the last one on it. */
export async function chargeBadCredential(environment: unknown, wait: Wait = realTime): Promise<boolean> {
  const { incoming } = (environment ?? {}) as { incoming?: { socket?: Socket } };
  const socket = incoming?.socket;
  // Served without a connection of its own, as in a Lambda: whoever holds the connections protects them.
  if (socket === undefined) return false;
  const connection = connectionOf(socket);
  connection.lookedUp += 1;
  if (connection.lookedUp <= maxLookedUp || connection.isHeld || held >= maxHeld) return connection.isOver;
  connection.isHeld = true;
  held += 1;
  try {
    await wait(holdMs.least + Math.random() * (holdMs.most - holdMs.least));
  } finally {
    held -= 1;
    connection.isHeld = false;
  }
  return connection.isOver;
}

/** For a connection that is over. Later, because Node reads on by itself once a request is whole. */
function stopReading(socket: Socket): void {
  setImmediate(() => socket.pause?.());
}

function connectionOf(socket: Socket): Connection {
  const known = connections.get(socket) ?? { lookedUp: 0, malformed: 0, inFlight: 0, isHeld: false, isOver: false };
  connections.set(socket, known);
  return known;
}

/** What stands before the app: true when the request needs no more than what was done here. */
export type Gate = (incoming: IncomingMessage, outgoing: ServerResponse) => boolean;

/** `refusal` is the answer that the app gives to a request without a good credential. */
export function createGate(
  { audit }: { readonly audit: AuditLog },
  refusal: { readonly headers: Record<string, string>; readonly body: string },
): Gate {
  return (incoming, outgoing) => {
    const connection = connectionOf(incoming.socket);
    // Sent ahead while the answer before it is held back: not looked at, and the connection ends with that answer.
    if (connection.isHeld) connection.isOver = true;
    if (connection.isOver) {
      stopReading(incoming.socket);
      return true;
    }
    // RFC 9112 §3.2: several hosts are no host. Node takes the first, somebody in front may have taken another.
    if (incoming.headersDistinct?.['host']?.length !== 1) {
      end(outgoing, unreadableRequest(400));
      return true;
    }
    const token = bearerToken(incoming.headers.authorization ?? null);
    if (token?.startsWith('vgot_') && !isApiTokenFormat(token)) {
      // Floods become one entry; never throws.
      void audit.deny({
        type: 'access.refuse',
        actor: unauthenticated,
        object: { kind: 'route', id: 'unknown' },
        outcome: 'denied',
        detail: { reason: 'malformed_token', route: 'unknown' },
      });
      connection.malformed += 1;
      connection.isOver = connection.malformed >= maxMalformed;
      outgoing.writeHead(401, connection.isOver ? { ...refusal.headers, connection: 'close' } : refusal.headers);
      outgoing.end(refusal.body);
      return true;
    }
    // Where credentials keep being bad, one at a time.
    if (connection.inFlight >= (connection.lookedUp > maxLookedUp ? 1 : maxInFlight)) {
      connection.isOver = true;
      end(outgoing, tooManyAtOnce);
      return true;
    }
    connection.inFlight += 1;
    outgoing.once('close', () => {
      connection.inFlight -= 1;
    });
    return false;
  };
}

function end(outgoing: ServerResponse, { status, headers, body }: ReturnType<typeof problemMessage>): void {
  outgoing.writeHead(status, { ...headers, connection: 'close' });
  outgoing.end(body);
}

const tooManyAtOnce = problemMessage(
  new Problem('too-many-requests', `at most ${maxInFlight} requests at the same time on one connection`, {
    retryAfterMs: 1_000,
  }),
);

/** The refusal, as the app itself words it: so nobody can tell where it was made. */
export async function refusalOf(app: {
  request(path: string): Response | Promise<Response>;
}): Promise<{ readonly headers: Record<string, string>; readonly body: string }> {
  const response = await app.request('https://localhost/v1/whoami');
  return { headers: Object.fromEntries(response.headers), body: await response.text() };
}
