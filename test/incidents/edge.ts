/** A whole founded control plane for the incident suite, spoken to over its real HTTPS edge, as an attacker would. */
import { readFile } from 'node:fs/promises';
import { createHttpsFetch } from '../../functions/standalone/https-fetch.ts';
import { readLocalAdminToken } from '../../lib/access/local-admin.ts';
import { type AccessFleet, startAccessFleet } from '../e2e/access.ts';

export type Reply = {
  readonly status: number;
  readonly text: string;
  readonly headers: Headers;
  /** Of a JSON answer. */
  json(): never;
};

export type Edge = AccessFleet & {
  readonly localAdmin: string;
  /** Sends exactly this. `body` that is no text is sent as JSON. */
  call(
    method: string,
    path: string,
    sent?: { readonly token?: string; readonly headers?: Record<string, string>; readonly body?: unknown },
  ): Promise<Reply>;
  /** As local-admin; throws when it is refused. */
  asAdmin(method: string, path: string, body?: unknown): Promise<never>;
};

export async function startEdge(
  t: Parameters<typeof startAccessFleet>[0],
  auth?: Parameters<typeof startAccessFleet>[1],
): Promise<Edge> {
  const fleet = await startAccessFleet(t, auth);
  const { ca } = JSON.parse(await readFile(fleet.server.paths.endpoint, 'utf8')) as { ca: string };
  const fetch = createHttpsFetch(ca);
  const localAdmin = await readLocalAdminToken(fleet.server.paths.run);
  const call: Edge['call'] = async (method, path, { token, headers = {}, body } = {}) => {
    const response = await fetch(`${fleet.server.url}${path}`, {
      method,
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      body: body === undefined || typeof body === 'string' ? body : JSON.stringify(body),
    });
    const text = await response.text();
    return { status: response.status, text, headers: response.headers, json: () => JSON.parse(text) as never };
  };
  return {
    ...fleet,
    localAdmin,
    call,
    async asAdmin(method, path, body) {
      const reply = await call(method, path, { token: localAdmin, body });
      if (reply.status !== 200) throw new Error(`${method} ${path}: ${reply.status} ${reply.text}`);
      return reply.json();
    },
  };
}
