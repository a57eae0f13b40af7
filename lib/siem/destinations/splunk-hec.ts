/**
 * Splunk's HTTP Event Collector (Splunk docs, "Format events for HTTP Event Collector", "About HTTP Event Collector Indexer
 * Acknowledgment"). With acknowledgement an answer of 200 means no more than that the event is in a pipeline; it is
 * delivered once an indexer has it on disk. Each batch has a channel of its own, made from its id: acknowledgement ids
 * begin at 0 in each channel, so that one of another batch, or of a receiver that was started anew, is never taken for it.
 */
import type { ConfigOf } from '../config.ts';
import type { Credentials, Destination, SendResult } from '../destination.ts';
import type { Batch, FeedEvent } from '../event.ts';
import { createHttpClient, type HttpAnswer, jsonOf, member, resultOfStatus, sendAndJudge } from '../http.ts';
import { safeJson } from '../mappings/escape.ts';
import { contextOf, mapToValue } from '../mappings/map.ts';
import { type Context, placeOf, timeOf } from '../mappings/place.ts';
import { baseUrl } from './url.ts';

type Config = ConfigOf<'splunk-hec'>;

export function openSplunkHec(config: Config): Destination {
  const client = createHttpClient(config.network);
  const url = (path: string) => baseUrl(config.url, path);

  function headers(credentials: Credentials, channel: string): Record<string, string> {
    return {
      authorization: `Splunk ${credentials['token']?.reveal()}`,
      'content-type': 'application/json',
      'x-splunk-request-channel': channel,
    };
  }

  return {
    // Splunk Cloud takes 1 MB in a request; an event is about three times as long as its entry.
    limits: { maxEvents: 500, maxBytes: 300 * 1024 },
    send(batch, credentials, signal) {
      const channel = channelOf(batch.id);
      const body = batch.events.map((event, i) => formatEvent(config, event, contextOf(batch, i))).join('\n');
      const sent = {
        method: 'POST' as const,
        url: url('services/collector/event'),
        headers: headers(credentials, channel),
        body,
      };
      return sendAndJudge(client, sent, signal, (answer) => judge(config, channel, answer));
    },
    confirm(token, credentials, signal) {
      const [channel = '', id = ''] = token.split(' ');
      const sent = {
        method: 'POST' as const,
        url: url('services/collector/ack'),
        headers: headers(credentials, channel),
        body: JSON.stringify({ acks: [Number(id)] }),
      };
      return sendAndJudge(client, sent, signal, (answer) => {
        const acks = answer.status === 200 ? member(jsonOf(answer), 'acks') : undefined;
        if (acks === undefined) return answer.status === 200 ? unclear : refusal(answer);
        return member(acks, id) === true ? { kind: 'delivered' } : { kind: 'pending', token };
      });
    },
    async close() {
      client.close();
    },
  };
}

const unclear: SendResult = { kind: 'transient', reason: 'an answer that is not understood' };

function judge(config: Config, channel: string, answer: HttpAnswer): SendResult {
  if (answer.status !== 200) return refusal(answer);
  const result = jsonOf(answer);
  if (member(result, 'code') !== 0) return unclear;
  if (!config.acknowledge) return { kind: 'delivered' };
  const id = member(result, 'ackId');
  // A token without acknowledgement takes the channel and answers without an id: nobody could know what it has.
  if (!Number.isSafeInteger(id)) return { kind: 'config', reason: 'the token has no indexer acknowledgement' };
  return { kind: 'pending', token: `${channel} ${id}` };
}

/** Splunk docs, "Troubleshoot HTTP Event Collector", status codes. */
function refusal(answer: HttpAnswer): SendResult {
  const code = member(jsonOf(answer), 'code');
  if (typeof code !== 'number') return resultOfStatus(answer);
  const reason = `HTTP ${answer.status}, HEC code ${code}`;
  if ([1, 2, 3, 4].includes(code)) return { kind: 'auth', reason };
  if ([7, 10, 11, 14, 16].includes(code)) return { kind: 'config', reason };
  return resultOfStatus(answer);
}

/** Where an event stands is in indexed fields of its own, whatever schema it has: the shipped searches use these. */
function formatEvent(config: Config, event: FeedEvent, context: Context): string {
  const place = placeOf(event, context);
  const fields = indexed.flatMap((name) => (place[name] === undefined ? [] : [[`hf_${name}`, `${place[name]}`]]));
  return safeJson({
    time: Date.parse(timeOf(event)) / 1000,
    host: context.log,
    source: config.source ?? `holdfast:${context.log}`,
    sourcetype: config.sourcetype,
    ...(config.index !== undefined && { index: config.index }),
    event: mapToValue(config.mapping, event, context),
    fields: Object.fromEntries(fields),
  });
}

const indexed = ['kind', 'id', 'log', 'seq', 'dseq', 'body', 'chain', 'previous'] as const;

/** A GUID, as a channel must be. */
function channelOf(id: Batch['id']): string {
  return [id.slice(0, 8), id.slice(8, 12), id.slice(12, 16), id.slice(16, 20), id.slice(20, 32)].join('-');
}
