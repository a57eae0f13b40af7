/**
 * Amazon EventBridge, `PutEvents`: ten events in a call, each answered for itself. It keeps no order and drops no
 * duplicates; the sequence and id in each event are what a rule's target goes by.
 */
import type { ConfigOf } from '../config.ts';
import type { Destination, Rejection, SendResult } from '../destination.ts';
import type { Batch, FeedEvent } from '../event.ts';
import {
  createHttpClient,
  type HttpAnswer,
  type HttpRequest,
  jsonOf,
  member,
  resultOfStatus,
  sendAndJudge,
} from '../http.ts';
import { safeJson } from '../mappings/escape.ts';
import { contextOf, mapToDocument } from '../mappings/map.ts';
import { type Context, timeOf } from '../mappings/place.ts';
import { awsDomain, ownRole, signFor } from './aws.ts';
import type { AwsDeps } from './s3.ts';
import { baseUrl } from './url.ts';

type Config = ConfigOf<'eventbridge'>;

/** API reference, PutEvents. */
const eventsPerCall = 10;
const bytesPerCall = 256 * 1024;

export function openEventbridge(config: Config, deps: AwsDeps = { now: Date.now }): Destination {
  const client = createHttpClient(config.network);
  const role = deps.role ?? ownRole(config.region);
  const url = baseUrl(config.url ?? `https://events.${config.region}.${awsDomain(config.region)}`, '');

  return {
    limits: { maxEvents: 100, maxBytes: 256 * 1024 },
    async send(batch, credentials, signal) {
      const rejected: Rejection[] = [];
      for (const texts of calls(config, batch, rejected)) {
        const unsigned: HttpRequest = {
          method: 'POST',
          url,
          headers: { 'content-type': 'application/x-amz-json-1.1', 'x-amz-target': 'AWSEvents.PutEvents' },
          body: `{"Entries":[${texts.map(({ text }) => text).join(',')}]}`,
        };
        let signed: HttpRequest;
        try {
          signed = await signFor(config, 'events', unsigned, { credentials, role, now: deps.now });
        } catch {
          return { kind: 'auth', reason: 'the process has no AWS credentials' };
        }
        const result = await sendAndJudge(client, signed, signal, (answer) => judge(answer, texts.length));
        if (result.kind === 'partial') {
          rejected.push(...result.rejected.map(({ index, reason }) => ({ index: texts[index]!.index, reason })));
        } else if (result.kind !== 'delivered') {
          return result;
        }
      }
      if (rejected.length === 0) return { kind: 'delivered' };
      return { kind: 'partial', rejected: rejected.sort((a, b) => a.index - b.index) };
    },
    async close() {
      client.close();
    },
  };
}

type Call = readonly { readonly index: number; readonly text: string }[];

/** In the order of the batch, as many as a call may hold; what alone is too large for one is rejected at once. */
function calls(config: Config, batch: Batch, rejected: Rejection[]): readonly Call[] {
  const all: { index: number; text: string }[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const [index, event] of batch.events.entries()) {
    const text = formatEvent(config, event, contextOf(batch, index));
    const size = Buffer.byteLength(text, 'utf8');
    if (size > bytesPerCall) {
      rejected.push({ index, reason: 'oversize' });
      continue;
    }
    if (bytes + size > bytesPerCall || (all.at(-1)?.length ?? 0) >= eventsPerCall) {
      all.push([]);
      bytes = 0;
    }
    all.at(-1)?.push({ index, text });
    bytes += size;
  }
  return all;
}

function formatEvent({ mapping, bus, source }: Config, event: FeedEvent, context: Context): string {
  return safeJson({
    EventBusName: bus,
    Source: source,
    DetailType: event.kind === 'entry' ? event.entry.op.type : `holdfast.${event.kind}`,
    Time: Date.parse(timeOf(event)) / 1000,
    Detail: safeJson(mapToDocument(mapping, event, context)),
  });
}

function judge(answer: HttpAnswer, count: number): SendResult {
  if (answer.status !== 200) return refusal(answer);
  const entries = member(jsonOf(answer), 'Entries');
  if (!Array.isArray(entries) || entries.length !== count) return unclear;
  const rejected: Rejection[] = [];
  for (const [index, entry] of entries.entries()) {
    const code = member(entry, 'ErrorCode');
    if (typeof member(entry, 'EventId') === 'string' && code === undefined) continue;
    if (code !== 'MalformedDetail' && code !== 'InvalidArgument') {
      return { kind: 'transient', reason: `entry ${word(code)}` };
    }
    rejected.push({ index, reason: 'refused' });
  }
  return rejected.length === 0 ? { kind: 'delivered' } : { kind: 'partial', rejected };
}

/** The services' JSON protocol says most errors with 400. */
function refusal(answer: HttpAnswer): SendResult {
  const name = word(member(jsonOf(answer), '__type'));
  const reason = `HTTP ${answer.status}, ${name}`;
  if (/Throttling|InternalFailure|ServiceUnavailable|Timeout|LimitExceeded/.test(name))
    return { kind: 'transient', reason };
  if (/AccessDenied|UnrecognizedClient|Signature|Token|Authentication|NotAuthorized/.test(name))
    return { kind: 'auth', reason };
  if (/ResourceNotFound/.test(name)) return { kind: 'config', reason };
  return resultOfStatus(answer);
}

function word(value: unknown): string {
  return typeof value === 'string' ? (/[A-Za-z]{1,64}$/.exec(value)?.[0] ?? 'unknown') : 'unknown';
}

const unclear: SendResult = { kind: 'transient', reason: 'an answer that is not understood' };
