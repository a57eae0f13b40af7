/**
 * Standard Webhooks (standardwebhooks.com): the batch as JSON, its id as `webhook-id`, and an HMAC-SHA-256 over id, time
 * and body. Any answer of 2xx means that the receiver has taken all of it.
 */
import { createHmac } from 'node:crypto';
import type { ConfigOf } from '../config.ts';
import type { Destination } from '../destination.ts';
import type { Batch } from '../event.ts';
import { createHttpClient, resultOfStatus, sendAndJudge } from '../http.ts';
import { safeJson } from '../mappings/escape.ts';
import { contextOf, mapToValue } from '../mappings/map.ts';

type Config = ConfigOf<'webhook'>;

export function openWebhook(config: Config, now: () => number = Date.now): Destination {
  const client = createHttpClient(config.network);
  return {
    limits: { maxEvents: 500, maxBytes: 512 * 1024 },
    async send(batch, credentials, signal) {
      const key = signingKey(credentials['secret']?.reveal() ?? '');
      if (key === undefined) return { kind: 'auth', reason: 'the signing secret is not whsec_ and base64' };
      const body = formatBatch(config, batch);
      const time = `${Math.floor(now() / 1000)}`;
      const signature = createHmac('sha256', key).update(`${batch.id}.${time}.${body}`).digest('base64');
      const headers = {
        'content-type': 'application/json',
        'webhook-id': batch.id,
        'webhook-timestamp': time,
        'webhook-signature': `v1,${signature}`,
      };
      return sendAndJudge(client, { method: 'POST', url: new URL(config.url), headers, body }, signal, resultOfStatus);
    },
    async close() {
      client.close();
    },
  };
}

function formatBatch({ mapping }: Config, batch: Batch): string {
  return safeJson({
    type: 'holdfast.audit',
    timestamp: new Date(batch.madeAt).toISOString(),
    data: {
      log: batch.log,
      destination: batch.destination,
      events: batch.events.map((event, i) => mapToValue(mapping, event, contextOf(batch, i))),
    },
  });
}

/** Standard Webhooks, "Signature scheme": 24 to 64 bytes in base64 after `whsec_`. */
function signingKey(secret: string): Buffer | undefined {
  const text = /^whsec_([A-Za-z0-9+/]{32,88}={0,2})$/.exec(secret)?.[1];
  const key = text === undefined ? undefined : Buffer.from(text, 'base64');
  return key !== undefined && key.length >= 24 && key.length <= 64 ? key : undefined;
}
