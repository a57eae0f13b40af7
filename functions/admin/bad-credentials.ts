/**
 * Bad credentials by connection: a client that keeps sending them loses its connection after a few, and the requests
 * that it has waiting on it. The next ones cost it a TLS handshake, and everybody else nothing. A token that is wrong by
 * its form alone is answered before anything is made of the request.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { unauthenticated } from '../../lib/access/principal.ts';
import { isApiTokenFormat } from '../../lib/access/token-format.ts';
import type { AuditLog } from '../../lib/audit/port.ts';
import { bearerToken } from './bearer.ts';

/** What a connection may cost. Measured: a credential that is looked up costs about eight times one of a wrong form. */
const budget = 200;
const cost = { malformed: 1, other: 8 } as const;
const spent = new WeakMap<object, number>();

/** Charges the request's connection. True: this answer is to be the last one on it. */
export function noteBadCredential(environment: unknown, kind: keyof typeof cost = 'other'): boolean {
  const { incoming } = (environment ?? {}) as { incoming?: { socket?: object } };
  const socket = incoming?.socket;
  // Served without a connection of its own, as in a Lambda: whoever holds the connections protects them.
  if (socket === undefined) return false;
  const total = (spent.get(socket) ?? 0) + cost[kind];
  spent.set(socket, total);
  return total >= budget;
}

/** What stands before the app: true when the request needs no more than what was done here. */
export type Gate = (incoming: IncomingMessage, outgoing: ServerResponse) => boolean;

/** `refusal` is the answer that the app gives to a request without a good credential. */
export function createGate(
  { audit }: { readonly audit: AuditLog },
  refusal: { readonly headers: Record<string, string>; readonly body: string },
): Gate {
  return (incoming, outgoing) => {
    // Already told that it is closed: what was sent ahead is not looked at, and the connection ends by itself.
    if ((spent.get(incoming.socket) ?? 0) >= budget) return true;
    // RFC 9112 §3.2: several hosts are no host. Node takes the first, somebody in front may have taken another.
    if (incoming.headersDistinct?.['host']?.length !== 1) {
      outgoing.writeHead(400, { connection: 'close' });
      outgoing.end();
      return true;
    }
    const token = bearerToken(incoming.headers.authorization ?? null);
    if (token === undefined || !token.startsWith('vgot_') || isApiTokenFormat(token)) return false;
    const isLast = noteBadCredential({ incoming }, 'malformed');
    outgoing.writeHead(401, isLast ? { ...refusal.headers, connection: 'close' } : refusal.headers);
    outgoing.end(refusal.body);
    // Floods become one entry; never throws.
    void audit.deny({
      type: 'access.refuse',
      actor: unauthenticated,
      object: { kind: 'route', id: 'unknown' },
      outcome: 'denied',
      detail: { reason: 'malformed_token', route: 'unknown' },
    });
    return true;
  };
}

/** The refusal, as the app itself words it: so nobody can tell where it was made. */
export async function refusalOf(app: {
  request(path: string): Response | Promise<Response>;
}): Promise<{ readonly headers: Record<string, string>; readonly body: string }> {
  const response = await app.request('https://localhost/v1/whoami');
  return { headers: Object.fromEntries(response.headers), body: await response.text() };
}
