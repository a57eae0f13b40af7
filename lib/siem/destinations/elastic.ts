/**
 * Elasticsearch and OpenSearch, by `_bulk` with `create` and the event's id as `_id`: what is there already answers 409,
 * which is as good as created.
 */
import type { ConfigOf } from '../config.ts';
import type { Credentials, Destination, Rejection, SendResult } from '../destination.ts';
import type { FeedEvent } from '../event.ts';
import { createHttpClient, type HttpAnswer, jsonOf, member, resultOfStatus, sendAndJudge } from '../http.ts';
import { safeJson } from '../mappings/escape.ts';
import { contextOf, mapToDocument } from '../mappings/map.ts';
import { type Context, placeOf, timeOf } from '../mappings/place.ts';
import { baseUrl } from './url.ts';

type Config = ConfigOf<'elastic'>;

export function openElastic(config: Config): Destination {
  const client = createHttpClient(config.network);
  return {
    limits: { maxEvents: 1000, maxBytes: 1024 * 1024 },
    send(batch, credentials, signal) {
      const body = batch.events.map((event, i) => formatEvent(config, event, contextOf(batch, i))).join('');
      const sent = {
        method: 'POST' as const,
        url: baseUrl(config.url, `${config.index}/_bulk`),
        headers: { authorization: authorization(config, credentials), 'content-type': 'application/x-ndjson' },
        body,
      };
      return sendAndJudge(client, sent, signal, (answer) => judge(answer, batch.events.length));
    },
    async close() {
      client.close();
    },
  };
}

function authorization({ user }: Config, credentials: Credentials): string {
  const { apiKey, password } = credentials;
  if (apiKey !== undefined) return `ApiKey ${apiKey.reveal()}`;
  return `Basic ${Buffer.from(`${user}:${password?.reveal()}`, 'utf8').toString('base64')}`;
}

/** A document has `@timestamp`, which data streams demand, and `holdfast`, which the shipped queries use. */
function formatEvent({ mapping }: Config, event: FeedEvent, context: Context): string {
  const document = mapToDocument(mapping, event, context);
  const whole = { '@timestamp': timeOf(event), holdfast: placeOf(event, context), ...document };
  return `${safeJson({ create: { _id: event.id } })}\n${safeJson(whole)}\n`;
}

function judge(answer: HttpAnswer, count: number): SendResult {
  if (answer.status !== 200) return resultOfStatus(answer);
  const items = member(jsonOf(answer), 'items');
  if (!Array.isArray(items) || items.length !== count) return unclear;
  const rejected: Rejection[] = [];
  for (const [index, item] of items.entries()) {
    const status = member(member(item, 'create'), 'status');
    if (typeof status !== 'number') return unclear;
    if (status === 413) rejected.push({ index, reason: 'oversize' });
    else if (status === 400) rejected.push({ index, reason: 'refused' });
    else if (status === 401 || status === 403) return { kind: 'auth', reason: `item HTTP ${status}` };
    else if (status === 404) return { kind: 'config', reason: 'no such index' };
    else if (status !== 409 && (status < 200 || status > 299)) {
      return { kind: 'transient', reason: `item HTTP ${status}` };
    }
  }
  return rejected.length === 0 ? { kind: 'delivered' } : { kind: 'partial', rejected };
}

const unclear: SendResult = { kind: 'transient', reason: 'an answer that is not understood' };
