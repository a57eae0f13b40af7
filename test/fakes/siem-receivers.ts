/**
 * Receivers for tests: each speaks its product's protocol as far as a sender can see, over HTTPS or TLS on loopback, and
 * keeps the events that it has taken, by what their raw bytes were.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { gunzipSync } from 'node:zlib';
import { Secret } from '../../lib/crypto/secret.ts';
import {
  type ConfigOf,
  type DestinationConfig,
  type DestinationKind,
  destinationConfig,
} from '../../lib/siem/config.ts';
import type { Credentials, Destination } from '../../lib/siem/destination.ts';
import { openDatadog } from '../../lib/siem/destinations/datadog.ts';
import { openElastic } from '../../lib/siem/destinations/elastic.ts';
import { openEventbridge } from '../../lib/siem/destinations/eventbridge.ts';
import { openOtlp } from '../../lib/siem/destinations/otlp.ts';
import { openS3 } from '../../lib/siem/destinations/s3.ts';
import { openSentinel } from '../../lib/siem/destinations/sentinel.ts';
import { openSplunkHec } from '../../lib/siem/destinations/splunk-hec.ts';
import { openWebhook } from '../../lib/siem/destinations/webhook.ts';

export type Received = {
  readonly path: string;
  readonly method: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
};
export type Answer = { readonly status: number; readonly headers?: Record<string, string>; readonly body?: unknown };

/** What an event was when it came: its id, and its raw bytes as text where it had any. */
export type Taken = { readonly id: string; readonly raw?: string | undefined };

export type Receiver = {
  /** Events in the order that they came, duplicates dropped as the product drops them. */
  readonly taken: Taken[];
  readonly handle: (request: Received) => Answer;
  /** Ids of entries that it will never take, each as too large or for what it says. Stubs in their place it takes. */
  readonly refuse: Map<string, 'oversize' | 'refused'>;
  /** How many events it takes in one request. */
  most: number;
};

export type HttpKind = Exclude<DestinationKind, 'syslog'>;
export type Network = { readonly allow: readonly string[]; readonly ca?: string; readonly pins: readonly string[] };

export type KindFixture = {
  readonly kind: HttpKind;
  readonly credentials: Credentials;
  /** `base` is https://host:port. */
  readonly open: (base: string, network: Network) => Destination;
  readonly receiver: () => Receiver;
  /** How one event is refused for good, where the protocol answers for each. */
  readonly isPartial: boolean;
  /** Whether an answer of 200 without a sense is not taken for success. */
  readonly readsAnswers: boolean;
};

const key = 'canary-credential-7d1f';
export const testNow = () => Date.UTC(2026, 0, 2, 3, 4, 5);

function parseConfig<K extends DestinationKind>(kind: K, fields: object): ConfigOf<K> {
  const config: DestinationConfig = destinationConfig.parse({ kind, name: 'test', ...fields });
  return config as ConfigOf<K>;
}

const json = (body: Buffer) => JSON.parse(body.toString('utf8'));
const jsonLines = (body: Buffer) =>
  body
    .toString('utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
const unauthorized: Answer = { status: 401, body: { message: 'no' } };

/** What became of one event: `known` it had already. */
type Verdict = { readonly id: string; readonly outcome: 'taken' | 'known' | 'oversize' | 'refused' };

/** What is of one product alone; the rest is alike for all of them. */
type Protocol = {
  /** The events of a request, or what is answered instead of looking at any. */
  readonly read: (request: Received) => readonly Taken[] | Answer;
  readonly answer: (verdicts: readonly Verdict[], request: Received) => Answer;
  /** Answers for each event, and takes those that are good; otherwise one that is refused takes all with it. */
  readonly isEach?: boolean;
};

/** Takes events in order, once each. */
function receive({ read, answer, isEach = false }: Protocol): Receiver {
  const taken: Taken[] = [];
  const ids = new Set<string>();
  const judge = ({ id, raw }: Taken): Verdict => {
    const refused = raw === undefined ? undefined : receiver.refuse.get(id);
    return { id, outcome: refused ?? (ids.has(id) ? 'known' : 'taken') };
  };
  const receiver: Receiver = {
    taken,
    refuse: new Map(),
    most: Number.POSITIVE_INFINITY,
    handle(request) {
      const events = read(request);
      if ('status' in events) return events;
      if (events.length > receiver.most) return { status: 413 };
      const verdicts = events.map(judge);
      if (!isEach && verdicts.some(({ outcome }) => outcome === 'oversize')) return { status: 413 };
      if (!isEach && verdicts.some(({ outcome }) => outcome === 'refused')) return { status: 400 };
      for (const [i, { id, outcome }] of verdicts.entries()) {
        if (outcome !== 'taken' || ids.has(id)) continue;
        ids.add(id);
        taken.push(events[i]!);
      }
      return answer(verdicts, request);
    },
  };
  return receiver;
}

type Loose = { readonly [name: string]: Loose | undefined } & { readonly [name: string]: unknown };

/** Of a raw document, or of one in a schema. */
function takenOf(document: Loose): Taken {
  const place = document['unmapped']?.['holdfast'] ?? document['holdfast'] ?? document;
  const raw = document['raw_data'] ?? document['event']?.['original'] ?? document['raw'];
  return { id: `${place['id']}`, raw: raw === undefined ? undefined : `${raw}` };
}

function splunk(acknowledge: boolean): KindFixture {
  return {
    kind: 'splunk-hec',
    credentials: { token: new Secret(key) },
    isPartial: false,
    readsAnswers: true,
    open: (url, network) =>
      openSplunkHec(parseConfig('splunk-hec', { url, network, token: 'secret:siem/hec', index: 'main', acknowledge })),
    receiver: () => {
      const channels = new Map<string, number>();
      return receive({
        read({ path, headers, body }) {
          if (headers.authorization !== `Splunk ${key}`)
            return { status: 403, body: { text: 'Invalid token', code: 4 } };
          const channel = channelOf(headers);
          if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(channel)) return { status: 400, body: { code: 11 } };
          if (path === '/services/collector/ack') {
            const asked = json(body).acks as number[];
            const known = channels.get(channel) ?? 0;
            return { status: 200, body: { acks: Object.fromEntries(asked.map((id) => [id, id < known])) } };
          }
          if (path !== '/services/collector/event') return { status: 404 };
          const events = jsonLines(body);
          if (events.some(({ sourcetype, index }) => sourcetype !== 'holdfast:audit' || index !== 'main'))
            return { status: 400, body: { code: 7 } };
          const read = events.map(({ event }) => takenOf(event));
          const isSame = read.every(({ id }, i) => id === events[i].fields.hf_id);
          return isSame ? read : { status: 400, body: { code: 6 } };
        },
        answer(_, { headers }) {
          const channel = channelOf(headers);
          const ackId = channels.get(channel) ?? 0;
          channels.set(channel, ackId + 1);
          return { status: 200, body: { text: 'Success', code: 0, ...(acknowledge && { ackId }) } };
        },
      });
    },
  };
}

const channelOf = (headers: IncomingHttpHeaders) => `${headers['x-splunk-request-channel']}`;

const elastic: KindFixture = {
  kind: 'elastic',
  credentials: { apiKey: new Secret(key) },
  isPartial: true,
  readsAnswers: true,
  open: (url, network) =>
    openElastic(parseConfig('elastic', { url, network, index: 'holdfast-audit', apiKey: 'secret:siem/es' })),
  receiver: () =>
    receive({
      isEach: true,
      read({ path, headers, body }) {
        if (headers.authorization !== `ApiKey ${key}`) return unauthorized;
        if (path !== '/holdfast-audit/_bulk') return { status: 404 };
        const lines = jsonLines(body);
        if (body.at(-1) !== 10 || lines.length % 2 !== 0) return { status: 400 };
        const documents = lines.filter((_, i) => i % 2 === 1);
        // A data stream takes no document without it.
        if (documents.some((document) => document['@timestamp'] === undefined)) return { status: 400 };
        return documents.map((document, i) => ({ ...takenOf(document), id: lines[2 * i].create._id }));
      },
      answer(verdicts) {
        const statuses = { taken: 201, known: 409, oversize: 413, refused: 400 };
        const items = verdicts.map(({ id, outcome }) => ({ create: { _id: id, status: statuses[outcome] } }));
        return { status: 200, body: { errors: items.some(({ create }) => create.status !== 201), items } };
      },
    }),
};

const whsec = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
const webhook: KindFixture = {
  kind: 'webhook',
  credentials: { secret: new Secret(whsec) },
  isPartial: false,
  readsAnswers: false,
  open: (base, network) =>
    openWebhook(parseConfig('webhook', { url: `${base}/hook`, network, secret: 'secret:siem/hook' }), testNow),
  receiver: () =>
    receive({
      read({ headers, body }) {
        // Standard Webhooks, "Verifying webhooks".
        const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body.toString('utf8')}`;
        const expected = createHmac('sha256', Buffer.alloc(32, 7)).update(signed).digest();
        const given = Buffer.from(`${headers['webhook-signature']}`.slice('v1,'.length), 'base64');
        if (given.length !== 32 || !timingSafeEqual(given, expected)) return unauthorized;
        return json(body).data.events.map(takenOf);
      },
      answer: () => ({ status: 204 }),
    }),
};

const tenant = '11111111-2222-4333-8444-555555555555';
const rule = `dcr-${'0a'.repeat(16)}`;
const sentinel: KindFixture = {
  kind: 'sentinel',
  credentials: { clientSecret: new Secret(key) },
  isPartial: false,
  readsAnswers: false,
  open: (url, network) =>
    openSentinel(
      parseConfig('sentinel', {
        url,
        network,
        ruleId: rule,
        stream: 'Custom-Holdfast',
        tenant,
        client: tenant,
        clientSecret: 'secret:siem/azure',
      }),
      { now: testNow, login: { url, network: { ...network, allow: [...network.allow], pins: [] } } },
    ),
  receiver: () =>
    receive({
      read({ path, headers, body }) {
        if (path === `/${tenant}/oauth2/v2.0/token`) {
          const form = new URLSearchParams(body.toString('utf8'));
          if (form.get('client_secret') !== key || form.get('grant_type') !== 'client_credentials')
            return { status: 400 };
          return { status: 200, body: { token_type: 'Bearer', expires_in: 3599, access_token: 'token-1' } };
        }
        if (headers.authorization !== 'Bearer token-1') return unauthorized;
        if (path !== `/dataCollectionRules/${rule}/streams/Custom-Holdfast?api-version=2023-01-01`)
          return { status: 404 };
        return json(body).map((row: { EventId: string; Raw?: string }) => ({ id: row.EventId, raw: row.Raw }));
      },
      answer: () => ({ status: 204 }),
    }),
};

const datadog: KindFixture = {
  kind: 'datadog',
  credentials: { apiKey: new Secret(key) },
  isPartial: false,
  readsAnswers: false,
  open: (url, network) => openDatadog(parseConfig('datadog', { url, network, apiKey: 'secret:siem/dd' })),
  receiver: () =>
    receive({
      read({ path, headers, body }) {
        if (headers['dd-api-key'] !== key) return { status: 403 };
        if (path !== '/api/v2/logs') return { status: 404 };
        return json(body).map((log: { holdfast: Taken; ocsf: { raw_data?: string } }) => ({
          id: log.holdfast.id,
          raw: log.ocsf.raw_data,
        }));
      },
      answer: () => ({ status: 202, body: {} }),
    }),
};

const otlp: KindFixture = {
  kind: 'otlp',
  credentials: { authorization: new Secret(key) },
  isPartial: false,
  readsAnswers: false,
  open: (base, network) =>
    openOtlp(parseConfig('otlp', { url: `${base}/v1/logs`, network, authorization: 'secret:siem/otlp' })),
  receiver: () =>
    receive({
      read({ path, headers, body }) {
        if (headers.authorization !== key) return unauthorized;
        if (path !== '/v1/logs') return { status: 404 };
        return json(body).resourceLogs[0].scopeLogs[0].logRecords.map(({ attributes }: { attributes: Attribute[] }) => {
          const find = (name: string) => attributes.find((each) => each.key === name)?.value.stringValue;
          return { id: find('holdfast.id'), raw: find('log.record.original') };
        });
      },
      answer: () => ({ status: 200, body: {} }),
    }),
};
type Attribute = { readonly key: string; readonly value: { readonly stringValue?: string } };

const accessKeyId = 'AKIDEXAMPLE00000';
const awsCredentials = { accessKeyId, secretAccessKey: 'secret:siem/aws', region: 'eu-central-1' };
/** The signature itself is tested against published values; here it is that what arrived is what was signed. */
const isSigned = (headers: IncomingHttpHeaders, service: string) =>
  `${headers.authorization}`.startsWith(
    `AWS4-HMAC-SHA256 Credential=${accessKeyId}/20260102/eu-central-1/${service}/aws4_request, `,
  );

const s3: KindFixture = {
  kind: 's3',
  credentials: { secretAccessKey: new Secret(key) },
  isPartial: false,
  readsAnswers: false,
  open: (url, network) =>
    openS3(parseConfig('s3', { url, network, ...awsCredentials, bucket: 'audit', prefix: 'holdfast/' }), {
      now: testNow,
    }),
  receiver: () => {
    const objects = new Set<string>();
    return receive({
      read({ path, method, headers, body }) {
        if (!isSigned(headers, 's3')) return { status: 403 };
        if (method !== 'PUT' || !path.startsWith('/audit/holdfast/') || headers['if-none-match'] !== '*')
          return { status: 400 };
        if (headers['x-amz-content-sha256'] !== createHash('sha256').update(body).digest('hex')) return { status: 400 };
        return objects.has(path) ? { status: 412 } : jsonLines(gunzipSync(body)).map(takenOf);
      },
      answer(_, { path }) {
        objects.add(path);
        return { status: 200 };
      },
    });
  },
};

const eventbridge: KindFixture = {
  kind: 'eventbridge',
  credentials: { secretAccessKey: new Secret(key) },
  isPartial: true,
  readsAnswers: true,
  open: (url, network) =>
    openEventbridge(parseConfig('eventbridge', { url, network, ...awsCredentials, bus: 'audit' }), { now: testNow }),
  receiver: () =>
    receive({
      isEach: true,
      read({ headers, body }) {
        if (!isSigned(headers, 'events')) return { status: 400, body: { __type: 'AccessDeniedException' } };
        const entries = json(body).Entries as { Detail: string; EventBusName: string }[];
        if (entries.length > 10 || entries.some(({ EventBusName }) => EventBusName !== 'audit'))
          return { status: 400, body: { __type: 'ValidationException' } };
        return entries.map(({ Detail }) => takenOf(JSON.parse(Detail)));
      },
      answer(verdicts) {
        const entries = verdicts.map(({ outcome }) =>
          outcome === 'taken' || outcome === 'known'
            ? { EventId: '11710aed-b79e-4468-a20b-bb3c0c3b4860' }
            : { ErrorCode: 'MalformedDetail', ErrorMessage: 'no' },
        );
        return { status: 200, body: { FailedEntryCount: 0, Entries: entries } };
      },
    }),
};

export const httpFixtures: Readonly<Record<string, KindFixture>> = {
  'splunk-hec with acknowledgement': splunk(true),
  'splunk-hec': splunk(false),
  elastic,
  webhook,
  sentinel,
  datadog,
  otlp,
  s3,
  eventbridge,
};
