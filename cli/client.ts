/** The client of the admin API: HTTPS under the fleet's own CA, the local-admin token, problem details as errors. */
import { readFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { AccessError } from '../lib/access/errors.ts';
import { readLocalAdminToken } from '../lib/access/local-admin.ts';
import { CliError } from './errors.ts';

/** What a running server leaves in `<state>/run/endpoint.json` for clients on its host. */
export const endpointFile = z.strictObject({
  v: z.literal(1),
  /** As `https://127.0.0.1:7443`. */
  url: z.string().regex(/^https:\/\/[^/\s]+$/),
  /** The fleet CA certificate, PEM. */
  ca: z.string().startsWith('-----BEGIN CERTIFICATE-----'),
});

/** A server and a way to prove oneself to it. */
export type Connection = {
  readonly url: string;
  /** The only CA that may vouch for it, PEM; the system's unless given. */
  readonly ca?: string | undefined;
  /** A bearer credential; none for the routes of a log-in. */
  readonly token?: string | undefined;
  /** What to do when the credential is not accepted. */
  readonly remedy: string;
  /** Waits; real time unless told. */
  readonly pause?: ((ms: number) => Promise<unknown>) | undefined;
};

export interface Client {
  readonly url: string;
  get<T>(path: string, query?: { readonly [name: string]: string | number | undefined }): Promise<T>;
  /** The raw body; `undefined` when there is no such thing. */
  getBytes(path: string): Promise<Uint8Array | undefined>;
  post<T>(path: string, body: object): Promise<T>;
  put<T>(path: string, bytes: Uint8Array): Promise<T>;
  /** Changes what two may edit: reads its revision, and fails when somebody else was faster. */
  change<T>(method: 'PUT' | 'DELETE', path: string, body?: object): Promise<T>;
  /** Waits for the next live event of the fleet since the one before; false when none came in the time. */
  nextEvent(timeoutMs: number, signal: AbortSignal): Promise<boolean>;
  close(): void;
}

/** A large fleet takes more requests than a server takes at once. A longer wait is for a person to decide. */
const mostPauseMs = 5_000;
const mostPauses = 60;

/** What the server says of a log-in that failed, whatever the cause. */
const loginRefused = 'the log-in was not accepted';

const problemBody = z.object({ title: z.string(), detail: z.string().optional(), reason: z.string().optional() });

/** Connects to nothing yet: reads where the server of this state directory is and the token of its present boot. */
export async function openClient(stateDirectory: string): Promise<Client> {
  const run = join(stateDirectory, 'run');
  const [endpoint, token] = await Promise.all([readEndpoint(stateDirectory), readToken(run, stateDirectory)]);
  return connect({
    ...endpoint,
    token,
    remedy: 'a token lives as long as one boot of its server: is this the state directory of the server that runs?',
  });
}

/** A client that sends the credential to this server and nobody else. Connects to nothing yet. */
export function connect({ url, ca, token, remedy, pause = delay }: Connection): Client {
  // One CA where one is given: the system's roots can't vouch for a server of that fleet.
  const trust = ca === undefined ? {} : { ca };
  const agent = new Agent({ keepAlive: true, maxSockets: 4, minVersion: 'TLSv1.3', ...trust });

  /** Comes back when the server said so: what it refuses for being too much, it has not done. */
  const exchange: typeof send = async (...asked) => {
    for (let pauses = 0; ; pauses += 1) {
      const response = await send(...asked);
      const waitMs = Number(response.headers['retry-after']) * 1000;
      if (response.statusCode !== 429 || !(waitMs <= mostPauseMs) || pauses === mostPauses) return response;
      response.resume();
      await pause(waitMs);
    }
  };

  const send = (method: string, path: string, body?: { type: string; bytes: Uint8Array }, extra: object = {}) =>
    new Promise<IncomingMessage>((resolve, reject) => {
      const outgoing = request(
        new URL(path, url),
        {
          method,
          agent,
          headers: {
            ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
            accept: 'application/json',
            ...extra,
            ...(body === undefined ? {} : { 'content-type': body.type, 'content-length': body.bytes.length }),
          },
        },
        resolve,
      );
      outgoing.setTimeout(60_000, () => outgoing.destroy(Object.assign(new Error('no answer'), { code: 'ETIMEDOUT' })));
      outgoing.on('error', (error: NodeJS.ErrnoException) => reject(unreachable(error, url)));
      outgoing.end(body?.bytes);
    });

  /** Of the live events: how far this client has been told. */
  let lastEventId: string | undefined;

  const json = async <T>(response: IncomingMessage): Promise<T> => {
    const bytes = await readBody(response);
    if (response.statusCode === 200) return JSON.parse(bytes.toString('utf8')) as T;
    throw refusal(response.statusCode ?? 0, bytes, remedy);
  };

  return {
    url,
    get: async (path, query = {}) => json(await exchange('GET', `${path}${formatQuery(query)}`)),
    post: async (path, body) =>
      json(await exchange('POST', path, { type: 'application/json', bytes: Buffer.from(JSON.stringify(body)) })),
    put: async (path, bytes) => json(await exchange('PUT', path, { type: 'application/octet-stream', bytes })),
    async getBytes(path) {
      const response = await exchange('GET', path);
      const bytes = await readBody(response);
      if (response.statusCode === 200) return bytes;
      if (response.statusCode === 404) return undefined;
      throw refusal(response.statusCode ?? 0, bytes, remedy);
    },
    async change(method, path, body) {
      const shown = await exchange('GET', path);
      await json(shown);
      const sent = body && { type: 'application/json', bytes: Buffer.from(JSON.stringify(body)) };
      return json(await exchange(method, path, sent, { 'if-match': shown.headers.etag ?? '' }));
    },
    async nextEvent(timeoutMs, signal) {
      const headers = lastEventId === undefined ? {} : { 'last-event-id': lastEventId };
      const stream = await exchange('GET', '/v1/events', undefined, headers);
      // No live events here, or none more: then it is the time alone that passes.
      const hasEvents = stream.statusCode !== 503 && stream.statusCode !== 429;
      if (stream.statusCode !== 200) {
        const body = await readBody(stream);
        if (hasEvents) throw refusal(stream.statusCode ?? 0, body, remedy);
        await delay(timeoutMs, undefined, { signal }).catch(() => undefined);
        return false;
      }
      const timer = setTimeout(() => stream.destroy(), timeoutMs);
      const stop = () => stream.destroy();
      signal.addEventListener('abort', stop, { once: true });
      if (signal.aborted) stop();
      let hasChanged = false;
      try {
        for await (const { id, isEvent } of blocksOf(stream)) {
          lastEventId = id ?? lastEventId;
          hasChanged ||= isEvent;
          // The id of several events stands at the last of them.
          if (hasChanged && id !== undefined) return true;
        }
      } catch {
        // Cut by the timer or the signal.
      } finally {
        clearTimeout(timer);
        signal.removeEventListener('abort', stop);
        stream.destroy();
      }
      return hasChanged;
    },
    close: () => agent.destroy(),
  };
}

/** The blocks of a stream of events (WHATWG HTML §9.2.6), each whole. */
async function* blocksOf(stream: IncomingMessage): AsyncGenerator<{ readonly id?: string; readonly isEvent: boolean }> {
  let text = '';
  for await (const chunk of stream.setEncoding('utf8')) {
    const blocks = `${text}${chunk}`.split('\n\n');
    text = blocks.pop() ?? '';
    for (const block of blocks) {
      const [, id] = /^id: (.+)$/m.exec(block) ?? [];
      yield { isEvent: /^event: /m.test(block), ...(id === undefined ? {} : { id }) };
    }
  }
}

/** Every item of a paged list, page after page. */
export async function* allItems<T>(
  client: Pick<Client, 'get'>,
  path: string,
  query: { readonly [name: string]: string | number | undefined } = {},
): AsyncGenerator<T> {
  let cursor: string | undefined;
  do {
    const page = await client.get<{ items: readonly T[]; next?: string }>(path, { ...query, cursor });
    yield* page.items;
    cursor = page.next;
  } while (cursor !== undefined);
}

function formatQuery(query: { readonly [name: string]: string | number | undefined }): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value !== undefined) parameters.set(name, String(value));
  return parameters.size === 0 ? '' : `?${parameters}`;
}

async function readBody(response: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** Where the server of this state directory listens, and its CA. */
export async function readEndpoint(stateDirectory: string): Promise<z.infer<typeof endpointFile>> {
  const path = join(stateDirectory, 'run', 'endpoint.json');
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw notRunning(stateDirectory, error);
  }
  try {
    return endpointFile.parse(JSON.parse(text));
  } catch (error) {
    throw new CliError('failure', `${path} is damaged`, {
      hint: 'restart the server, which writes it anew',
      cause: error,
    });
  }
}

async function readToken(run: string, stateDirectory: string): Promise<string> {
  try {
    return await readLocalAdminToken(run);
  } catch (error) {
    if (!(error instanceof AccessError)) throw error;
    if (error.code === 'missing') throw notRunning(stateDirectory, error);
    throw new CliError('refused', error.message, {
      hint: 'run this command as the account that runs the server, or restart the server',
      cause: error,
    });
  }
}

function notRunning(stateDirectory: string, cause: unknown): CliError {
  return new CliError('unreachable', `no server runs with the state directory ${JSON.stringify(stateDirectory)}`, {
    hint: 'start it with `holdfast up`, or name another directory with --state or HOLDFAST_STATE',
    cause,
  });
}

function unreachable(error: NodeJS.ErrnoException, url: string): CliError {
  const code = error.code ?? error.message;
  if (/CERT|SELF_SIGNED|ALTNAME|SIGNATURE|SSL/.test(code))
    return new CliError('refused', `what answers at ${url} is not a server of this fleet (${code})`, {
      hint: 'something else listens there; nothing was sent to it',
      cause: error,
    });
  return new CliError('unreachable', `can't reach the server at ${url} (${code})`, {
    hint: 'is it still running? start it with `holdfast up`',
    cause: error,
  });
}

function refusal(status: number, bytes: Buffer, remedy: string): CliError {
  let body: z.infer<typeof problemBody> | undefined;
  try {
    body = problemBody.parse(JSON.parse(bytes.toString('utf8')));
  } catch (_notProblemDetails) {
    return new CliError('failure', `the server answered ${status} in a form that is not its own`);
  }
  const message = body.detail ?? body.title.toLowerCase();
  if (status === 401)
    return new CliError(
      'refused',
      body.detail === loginRefused ? message : 'the server does not accept this credential',
      {
        hint: remedy,
      },
    );
  if (status >= 500) return new CliError(status === 503 ? 'unreachable' : 'failure', message);
  return new CliError('refused', message, { details: body.reason === undefined ? [] : [`reason: ${body.reason}`] });
}
