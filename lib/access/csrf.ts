/**
 * Cross-site request forgery: what a browser sends by itself proves only that a browser sent it. A mutation under a
 * cookie also needs an `Origin` that is ours, fetch metadata that agrees, and a token that other sites can't read.
 */
import { createHmac } from 'node:crypto';
import { equalBytes, utf8 } from '../crypto/encoding.ts';

export const csrfHeader = 'x-holdfast-csrf';

/** Derived from the session's id, which no other page can read; the hash at rest does not yield it. */
export function csrfToken(sessionId: string): string {
  return createHmac('sha256', sessionId).update('holdfast/csrf/v1').digest('base64url');
}

/** Whether our own page sent it: `Origin` (RFC 6454 §7) and, where the browser sends it, `Sec-Fetch-Site` (W3C Fetch Metadata). */
export function isSameOrigin(headers: Headers, ownOrigin: string): boolean {
  const site = headers.get('sec-fetch-site');
  return headers.get('origin') === ownOrigin && (site === null || site === 'same-origin');
}

export function isCsrfToken(presented: string | null, sessionId: string): boolean {
  return presented !== null && presented.length <= 100 && equalBytes(utf8(presented), utf8(csrfToken(sessionId)));
}
