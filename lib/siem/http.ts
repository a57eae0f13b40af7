/**
 * HTTPS to one origin, over connections that `network.ts` made. One request at a time is expected; a connection is kept
 * for the next one. Redirects are answers like any other, and no destination takes one for success; answers are read to
 * a limit; nothing is ever sent again by itself.
 */
import { Agent, type RequestOptions, request } from 'node:https';
import type { Duplex } from 'node:stream';
import type { NetworkConfig } from './config.ts';
import type { SendResult } from './destination.ts';
import { connectSecurely, type Resolve } from './network.ts';
import { NetworkError, resultOfError } from './network-error.ts';

export type HttpRequest = {
  readonly method: 'GET' | 'POST' | 'PUT';
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
};

export type HttpAnswer = {
  readonly status: number;
  readonly headers: { readonly [name: string]: string | readonly string[] | undefined };
  readonly body: Buffer;
};

export type HttpClient = {
  /** Throws `NetworkError`, or what the connection failed with: see `resultOfError`. */
  readonly send: (request: HttpRequest, signal: AbortSignal) => Promise<HttpAnswer>;
  readonly close: () => void;
};

/** An answer for each event of a batch fits; what is longer is not read. */
const maxAnswerBytes = 4 * 1024 * 1024;

export function createHttpClient(network: NetworkConfig, resolve?: Resolve): HttpClient {
  let agent: CheckedAgent | undefined;
  return {
    async send({ method, url, headers, body }, signal) {
      if (url.protocol !== 'https:' || url.username !== '' || url.password !== '') {
        throw new NetworkError('not_https', 'only https addresses without user information');
      }
      agent ??= new CheckedAgent(network, resolve);
      const bytes = typeof body === 'string' ? Buffer.from(body, 'utf8') : body;
      return exchange(agent, { method, url, headers, body: bytes }, signal);
    },
    close() {
      agent?.destroy();
      agent = undefined;
    },
  };
}

/** Sends, and leaves what is said of an answer to `judge`. Never throws for what a receiver or a network does. */
export async function sendAndJudge(
  client: HttpClient,
  sent: HttpRequest,
  signal: AbortSignal,
  judge: (answer: HttpAnswer) => SendResult,
): Promise<SendResult> {
  let answer: HttpAnswer;
  try {
    answer = await client.send(sent, signal);
  } catch (error) {
    return resultOfError(error);
  }
  return judge(answer);
}

/** What a status means unless a protocol says otherwise (RFC 9110 §15). */
export function resultOfStatus({ status, headers }: HttpAnswer): SendResult {
  const reason = `HTTP ${status}`;
  if (status >= 200 && status < 300) return { kind: 'delivered' };
  // A redirect would carry credentials and events to a place that nobody configured.
  if (status >= 300 && status < 400) return { kind: 'config', reason: `${reason}: redirects are not followed` };
  if (status === 401 || status === 403) return { kind: 'auth', reason };
  if (status === 413) return { kind: 'too_large', reason };
  if (status === 400 || status === 422) return { kind: 'rejected', reason };
  if ([404, 405, 406, 410, 411, 415, 421].includes(status)) return { kind: 'config', reason };
  const retryAfterMs = parseRetryAfter(headers['retry-after']);
  return { kind: 'transient', reason, ...(retryAfterMs !== undefined && { retryAfterMs }) };
}

/** The body as JSON, or undefined when it is none. */
export function jsonOf({ body }: HttpAnswer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
}

/** A member of what may be an object. */
export function member(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? (value as Record<string, unknown>)[name]
    : undefined;
}

/** RFC 9110 §10.2.3, seconds; a date is left alone, since the receiver's clock is not ours. At most an hour. */
function parseRetryAfter(header: string | readonly string[] | undefined): number | undefined {
  if (typeof header !== 'string' || !/^[0-9]{1,9}$/.test(header)) return undefined;
  return Math.min(Number(header), 3600) * 1000;
}

/** An agent whose every connection is made, and so checked, by `connectSecurely`. */
class CheckedAgent extends Agent {
  readonly #network: NetworkConfig;
  readonly #resolve: Resolve | undefined;
  /** Of the request that is being begun: a request hands a socket that it has to wait for no signal of its own. */
  signal: AbortSignal = AbortSignal.abort();

  constructor(network: NetworkConfig, resolve: Resolve | undefined) {
    super({ keepAlive: true, maxCachedSessions: 0 });
    this.#network = network;
    this.#resolve = resolve;
  }

  override createConnection(
    { host, port }: RequestOptions,
    callback?: (error: Error | null, stream: Duplex) => void,
  ): Duplex | null | undefined {
    const endpoint = { host: (host ?? '').replace(/^\[|\]$/g, ''), port: Number(port), network: this.#network };
    const resolve = this.#resolve === undefined ? {} : { resolve: this.#resolve };
    connectSecurely({ ...endpoint, ...resolve }, this.signal).then(
      (socket) => callback?.(null, socket),
      (error) => callback?.(error, undefined as never),
    );
    return undefined;
  }
}

type Bytes = Omit<HttpRequest, 'body'> & { readonly body: Uint8Array };

function exchange(
  agent: CheckedAgent,
  { method, url, headers, body }: Bytes,
  signal: AbortSignal,
): Promise<HttpAnswer> {
  agent.signal = signal;
  return new Promise((done, fail) => {
    const outgoing = request(
      url,
      { agent, method, signal, headers: { ...headers, 'content-length': `${body.length}`, 'user-agent': 'holdfast' } },
      (incoming) => {
        const chunks: Buffer[] = [];
        let length = 0;
        incoming.on('data', (chunk: Buffer) => {
          length += chunk.length;
          chunks.push(chunk);
          if (length > maxAnswerBytes) outgoing.destroy(new NetworkError('answer_too_large', 'the answer is too long'));
        });
        incoming.once('error', fail);
        incoming.once('end', () =>
          done({ status: incoming.statusCode ?? 0, headers: incoming.headers, body: Buffer.concat(chunks) }),
        );
        incoming.once('close', () => fail(new NetworkError('closed', 'the answer was cut off')));
      },
    );
    outgoing.once('error', fail);
    outgoing.end(body);
  });
}
