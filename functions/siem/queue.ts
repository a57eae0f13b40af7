/** The queue of rings: SQS, by its JSON protocol (Amazon SQS API Reference, "SendMessage"), for which no client is shipped. */
import { type SigningCredentials, signRequest } from '../../lib/crypto/sigv4.ts';
import { formatRing, type Ring } from './rings.ts';

export type QueueDeps = {
  readonly url: string;
  readonly region: string;
  readonly credentials: () => SigningCredentials;
  readonly now: () => number;
  readonly fetch?: typeof fetch;
};

const timeoutMs = 5_000;
/** The most that SQS delays a message. */
const maxDelaySeconds = 900;

/** Throws when the queue does not take the message: the caller fails, and is called again. */
export function openQueue({ url, region, credentials, now, fetch: send = fetch }: QueueDeps): Ring {
  const endpoint = new URL('/', url);
  return async (name, delaySeconds) => {
    const body = JSON.stringify({
      QueueUrl: url,
      MessageBody: formatRing(name),
      DelaySeconds: Math.min(delaySeconds, maxDelaySeconds),
    });
    const headers = { 'content-type': 'application/x-amz-json-1.0', 'x-amz-target': 'AmazonSQS.SendMessage' };
    const { host: _host, ...signed } = signRequest(
      { method: 'POST', url: endpoint, headers, body },
      { credentials: credentials(), region, service: 'sqs', now: now() },
    );
    const answer = await send(endpoint, {
      method: 'POST',
      headers: signed,
      body,
      redirect: 'error',
      signal: AbortSignal.timeout(timeoutMs),
    });
    await answer.arrayBuffer();
    if (answer.status !== 200) throw new Error(`the queue of rings answered ${answer.status}`);
  };
}
