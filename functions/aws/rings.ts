/**
 * The rings: a queue with one line for each destination, which wakes the function that delivers to it. A ring says only
 * that it is time; what is to be delivered, and from where, stands in the table. So one that is lost costs a minute.
 */
import { createHash } from 'node:crypto';
import { type SigningCredentials, signRequest } from '../../lib/crypto/sigv4.ts';

export type RingsDeps = {
  readonly region: string;
  readonly queueUrl: string;
  /** Another address than the queue's own, for emulators. */
  readonly endpoint?: string | undefined;
  readonly credentials: () => Promise<SigningCredentials>;
  readonly now: () => number;
};

export type Rings = { ring(destination: string): Promise<void> };

const timeoutMs = 5_000;

export function openRings({ region, queueUrl, endpoint, credentials, now }: RingsDeps): Rings {
  return {
    /** Throws when the queue did not take it. */
    async ring(destination) {
      const second = Math.floor(now() / 1000);
      // Amazon SQS API reference, SendMessage: one in a second is enough, and one group is served by one at a time.
      const body = JSON.stringify({
        QueueUrl: queueUrl,
        MessageBody: JSON.stringify({ destination }),
        MessageGroupId: destination,
        MessageDeduplicationId: createHash('sha256').update(`${destination} ${second}`).digest('hex'),
      });
      const url = new URL('/', endpoint ?? queueUrl);
      const headers = signRequest(
        {
          method: 'POST',
          url,
          headers: { 'content-type': 'application/x-amz-json-1.0', 'x-amz-target': 'AmazonSQS.SendMessage' },
          body,
        },
        { credentials: await credentials(), region, service: 'sqs', now: now() },
      );
      const signal = AbortSignal.timeout(timeoutMs);
      const response = await fetch(url, { method: 'POST', headers, body, redirect: 'error', signal });
      if (!response.ok)
        throw new Error(`the queue answered ${response.status}: ${(await response.text()).slice(0, 300)}`);
    },
  };
}
