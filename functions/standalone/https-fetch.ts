/** `fetch` over HTTPS that trusts one given CA: what a configured identity provider is reached by. Follows no redirects. */
import { request } from 'node:https';

export type HttpsFetch = (
  url: string,
  options: {
    readonly method: string;
    readonly headers: Record<string, string>;
    readonly body?: unknown;
    readonly signal?: AbortSignal | undefined;
  },
) => Promise<Response>;

const maxBytes = 1024 * 1024;
const timeoutMs = 10_000;

/** `ca` is PEM; without it the system's authorities count. */
export function createHttpsFetch(ca?: string): HttpsFetch {
  return (url, { method, headers, body, signal }) =>
    new Promise((resolve, reject) => {
      const target = new URL(url);
      if (target.protocol !== 'https:') throw new TypeError('an identity provider is reached by https alone');
      const outgoing = request(
        target,
        { method, headers, minVersion: 'TLSv1.2', ...(ca === undefined ? {} : { ca }), ...(signal ? { signal } : {}) },
        (incoming) => {
          const chunks: Buffer[] = [];
          let total = 0;
          incoming.on('data', (chunk: Buffer) => {
            total += chunk.length;
            if (total > maxBytes) outgoing.destroy(new Error('the identity provider answers without end'));
            else chunks.push(chunk);
          });
          incoming.on('error', reject);
          incoming.on('end', () => resolve(toResponse(incoming.statusCode ?? 500, incoming.rawHeaders, chunks)));
        },
      );
      outgoing.setTimeout(timeoutMs, () => outgoing.destroy(new Error('the identity provider does not answer')));
      outgoing.on('error', reject);
      outgoing.end(body === undefined || body === null ? undefined : textOf(body));
    });
}

function textOf(body: unknown): string | Uint8Array {
  if (typeof body === 'string' || body instanceof Uint8Array) return body;
  if (body instanceof URLSearchParams) return body.toString();
  throw new TypeError('only text and forms are sent');
}

function toResponse(status: number, rawHeaders: readonly string[], chunks: readonly Buffer[]): Response {
  const headers = new Headers();
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) headers.append(rawHeaders[i] ?? '', rawHeaders[i + 1] ?? '');
  // Of these statuses a body is not allowed (Fetch Standard, "null body status").
  const isEmpty = status === 204 || status === 205 || status === 304;
  return new Response(isEmpty ? null : new Uint8Array(Buffer.concat(chunks)), { status, headers });
}
