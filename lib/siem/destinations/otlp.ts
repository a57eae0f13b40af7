/**
 * OTLP over HTTP, logs, in JSON (OpenTelemetry protocol specification 1.x, "OTLP/HTTP"). The body of a record is the event
 * as text, its attributes say where it stands.
 */
import type { ConfigOf } from '../config.ts';
import type { Destination, SendResult } from '../destination.ts';
import type { Batch, FeedEvent } from '../event.ts';
import { createHttpClient, type HttpAnswer, jsonOf, member, resultOfStatus, sendAndJudge } from '../http.ts';
import { safeJson } from '../mappings/escape.ts';
import { contextOf, mapToText } from '../mappings/map.ts';
import { type Context, levelOf, placeOf, rawText, timeOf } from '../mappings/place.ts';
import { mappingOf } from '../mappings/table.ts';

type Config = ConfigOf<'otlp'>;

export function openOtlp(config: Config): Destination {
  const client = createHttpClient(config.network);
  return {
    limits: { maxEvents: 500, maxBytes: 512 * 1024 },
    send(batch, credentials, signal) {
      const headers: Record<string, string> = { 'content-type': 'application/json' };
      if (credentials['authorization'] !== undefined) headers[config.header] = credentials['authorization'].reveal();
      const sent = { method: 'POST' as const, url: new URL(config.url), headers, body: formatBatch(config, batch) };
      return sendAndJudge(client, sent, signal, judge);
    },
    async close() {
      client.close();
    },
  };
}

/** "Partial success": the receiver must not be sent these again as they are, and it does not say which they were. */
function judge(answer: HttpAnswer): SendResult {
  if (answer.status !== 200) return resultOfStatus(answer);
  const rejected = member(member(jsonOf(answer), 'partialSuccess'), 'rejectedLogRecords') ?? 0;
  // 64-bit integers are strings in JSON, and readers take both.
  return Number(rejected) === 0 ? { kind: 'delivered' } : { kind: 'rejected', reason: 'partial success' };
}

function formatBatch(config: Config, batch: Batch): string {
  return safeJson({
    resourceLogs: [
      {
        resource: { attributes: attributes({ 'service.name': 'holdfast', 'service.instance.id': batch.log }) },
        scopeLogs: [
          {
            scope: { name: 'holdfast.audit' },
            logRecords: batch.events.map((event, i) => record(config, event, contextOf(batch, i))),
          },
        ],
      },
    ],
  });
}

/** SeverityNumber: INFO, INFO2, WARN, ERROR. */
const severities = [9, 9, 10, 13, 17];

function record({ mapping }: Config, event: FeedEvent, context: Context) {
  const time = `${BigInt(Date.parse(timeOf(event))) * 1_000_000n}`;
  const level = levelOf(event, event.kind === 'entry' ? mappingOf(event.entry.op.type).level : 1);
  const raw = rawText(event);
  const { kind, id, log, seq, dseq, body, chain, previous } = placeOf(event, context);
  return {
    timeUnixNano: time,
    observedTimeUnixNano: time,
    severityNumber: severities[level],
    eventName: event.kind === 'entry' ? event.entry.op.type : `holdfast.${event.kind}`,
    body: { stringValue: mapToText(mapping, event, context) },
    attributes: attributes({
      ...prefixed({ kind, id, log, seq, dseq, body, chain, previous }),
      ...(raw !== undefined && { 'log.record.original': raw }),
    }),
  };
}

function prefixed(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [`holdfast.${name}`, value]));
}

function attributes(fields: Readonly<Record<string, unknown>>) {
  return Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ({
      key,
      value: typeof value === 'number' ? { intValue: `${value}` } : { stringValue: `${value}` },
    }));
}
