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
  /** Ids that it refuses, for kinds that answer for each event. */
  readonly refuse: Set<string>;
};

export type HttpKind = Exclude<DestinationKind, 'syslog'>;
export type Network = { readonly allow: readonly string[]; readonly ca?: string; readonly pins: readonly string[] };

export type KindFixture = {
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
const unauthorized: Answer = { status: 401, body: { message: 'no' } };

/** Takes events in order, once each. */
function inbox() {
  const taken: Taken[] = [];
  const ids = new Set<string>();
  const take = (event: Taken): boolean => {
    if (ids.has(event.id)) return false;
    ids.add(event.id);
    taken.push(event);
    return true;
  };
  return { taken, take, refuse: new Set<string>() };
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
    credentials: { token: new Secret(key) },
    isPartial: false,
    readsAnswers: true,
    open: (url, network) =>
      openSplunkHec(parseConfig('splunk-hec', { url, network, token: 'secret:siem/hec', index: 'main', acknowledge })),
    receiver: () => {
      const { taken, take, refuse } = inbox();
      const channels = new Map<string, number>();
      return {
        taken,
        refuse,
        handle({ path, headers, body }) {
          if (headers.authorization !== `Splunk ${key}`)
            return { status: 403, body: { text: 'Invalid token', code: 4 } };
          const channel = `${headers['x-splunk-request-channel']}`;
          if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(channel)) return { status: 400, body: { code: 11 } };
          if (path === '/services/collector/ack') {
            const asked = json(body).acks as number[];
            const known = channels.get(channel) ?? 0;
            return { status: 200, body: { acks: Object.fromEntries(asked.map((id) => [id, id < known])) } };
          }
          if (path !== '/services/collector/event') return { status: 404 };
          const events = body
            .toString('utf8')
            .split('\n')
            .map((line) => JSON.parse(line));
          for (const { event, fields, sourcetype, index } of events) {
            if (sourcetype !== 'holdfast:audit' || index !== 'main') return { status: 400, body: { code: 7 } };
            const one = takenOf(event);
            if (one.id !== fields.hf_id) return { status: 400, body: { code: 6 } };
            take(one);
          }
          const ackId = channels.get(channel) ?? 0;
          channels.set(channel, ackId + 1);
          return { status: 200, body: { text: 'Success', code: 0, ...(acknowledge && { ackId }) } };
        },
      };
    },
  };
}

const elastic: KindFixture = {
  credentials: { apiKey: new Secret(key) },
  isPartial: true,
  readsAnswers: true,
  open: (url, network) =>
    openElastic(parseConfig('elastic', { url, network, index: 'holdfast-audit', apiKey: 'secret:siem/es' })),
  receiver: () => {
    const { taken, take, refuse } = inbox();
    return {
      taken,
      refuse,
      handle({ path, headers, body }) {
        if (headers.authorization !== `ApiKey ${key}`) return unauthorized;
        if (path !== '/holdfast-audit/_bulk') return { status: 404 };
        const lines = body.toString('utf8').split('\n');
        if (lines.pop() !== '' || lines.length % 2 !== 0) return { status: 400 };
        const items = [];
        for (let i = 0; i < lines.length; i += 2) {
          const { _id } = JSON.parse(lines[i]!).create;
          const document = JSON.parse(lines[i + 1]!);
          if (document['@timestamp'] === undefined || refuse.has(_id)) items.push({ create: { _id, status: 400 } });
          else items.push({ create: { _id, status: take(takenOf(document)) ? 201 : 409 } });
        }
        return { status: 200, body: { errors: items.some(({ create }) => create.status !== 201), items } };
      },
    };
  },
};

const whsec = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
const webhook: KindFixture = {
  credentials: { secret: new Secret(whsec) },
  isPartial: false,
  readsAnswers: false,
  open: (base, network) =>
    openWebhook(parseConfig('webhook', { url: `${base}/hook`, network, secret: 'secret:siem/hook' }), testNow),
  receiver: () => {
    const { taken, take, refuse } = inbox();
    return {
      taken,
      refuse,
      handle({ headers, body }) {
        // Standard Webhooks, "Verifying webhooks".
        const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body.toString('utf8')}`;
        const expected = createHmac('sha256', Buffer.alloc(32, 7)).update(signed).digest();
        const given = Buffer.from(`${headers['webhook-signature']}`.slice('v1,'.length), 'base64');
        if (given.length !== 32 || !timingSafeEqual(given, expected)) return unauthorized;
        for (const event of json(body).data.events) take(takenOf(event));
        return { status: 204 };
      },
    };
  },
};

const tenant = '11111111-2222-4333-8444-555555555555';
const rule = `dcr-${'0a'.repeat(16)}`;
const sentinel: KindFixture = {
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
  receiver: () => {
    const { taken, take, refuse } = inbox();
    return {
      taken,
      refuse,
      handle({ path, headers, body }) {
        if (path === `/${tenant}/oauth2/v2.0/token`) {
          const form = new URLSearchParams(body.toString('utf8'));
          if (form.get('client_secret') !== key || form.get('grant_type') !== 'client_credentials')
            return { status: 400 };
          return { status: 200, body: { token_type: 'Bearer', expires_in: 3599, access_token: 'token-1' } };
        }
        if (headers.authorization !== 'Bearer token-1') return unauthorized;
        if (path !== `/dataCollectionRules/${rule}/streams/Custom-Holdfast?api-version=2023-01-01`)
          return { status: 404 };
        for (const row of json(body)) take({ id: row.EventId, raw: row.Raw });
        return { status: 204 };
      },
    };
  },
};

const datadog: KindFixture = {
  credentials: { apiKey: new Secret(key) },
  isPartial: false,
  readsAnswers: false,
  open: (url, network) => openDatadog(parseConfig('datadog', { url, network, apiKey: 'secret:siem/dd' })),
  receiver: () => {
    const { taken, take, refuse } = inbox();
    return {
      taken,
      refuse,
      handle({ path, headers, body }) {
        if (headers['dd-api-key'] !== key) return { status: 403 };
        if (path !== '/api/v2/logs') return { status: 404 };
        for (const { ocsf, holdfast } of json(body)) take({ id: holdfast.id, raw: ocsf.raw_data });
        return { status: 202, body: {} };
      },
    };
  },
};

const otlp: KindFixture = {
  credentials: { authorization: new Secret(key) },
  isPartial: false,
  readsAnswers: false,
  open: (base, network) =>
    openOtlp(parseConfig('otlp', { url: `${base}/v1/logs`, network, authorization: 'secret:siem/otlp' })),
  receiver: () => {
    const { taken, take, refuse } = inbox();
    return {
      taken,
      refuse,
      handle({ path, headers, body }) {
        if (headers.authorization !== key) return unauthorized;
        if (path !== '/v1/logs') return { status: 404 };
        for (const { attributes } of json(body).resourceLogs[0].scopeLogs[0].logRecords) {
          const find = (name: string) =>
            attributes.find((each: { key: string }) => each.key === name)?.value.stringValue;
          take({ id: find('holdfast.id'), raw: find('log.record.original') });
        }
        return { status: 200, body: {} };
      },
    };
  },
};

const accessKeyId = 'AKIDEXAMPLE00000';
const awsCredentials = { accessKeyId, secretAccessKey: 'secret:siem/aws', region: 'eu-central-1' };
/** The signature itself is tested against published values; here it is that what arrived is what was signed. */
const isSigned = (headers: IncomingHttpHeaders, service: string) =>
  `${headers.authorization}`.startsWith(
    `AWS4-HMAC-SHA256 Credential=${accessKeyId}/20260102/eu-central-1/${service}/aws4_request, `,
  );

const s3: KindFixture = {
  credentials: { secretAccessKey: new Secret(key) },
  isPartial: false,
  readsAnswers: false,
  open: (url, network) =>
    openS3(parseConfig('s3', { url, network, ...awsCredentials, bucket: 'audit', prefix: 'holdfast/' }), {
      now: testNow,
    }),
  receiver: () => {
    const { taken, take, refuse } = inbox();
    const objects = new Set<string>();
    return {
      taken,
      refuse,
      handle({ path, method, headers, body }) {
        if (!isSigned(headers, 's3')) return { status: 403 };
        if (method !== 'PUT' || !path.startsWith('/audit/holdfast/') || headers['if-none-match'] !== '*')
          return { status: 400 };
        if (headers['x-amz-content-sha256'] !== createHash('sha256').update(body).digest('hex')) return { status: 400 };
        if (objects.has(path)) return { status: 412 };
        objects.add(path);
        for (const line of gunzipSync(body).toString('utf8').trimEnd().split('\n')) take(takenOf(JSON.parse(line)));
        return { status: 200 };
      },
    };
  },
};

const eventbridge: KindFixture = {
  credentials: { secretAccessKey: new Secret(key) },
  isPartial: true,
  readsAnswers: true,
  open: (url, network) =>
    openEventbridge(parseConfig('eventbridge', { url, network, ...awsCredentials, bus: 'audit' }), { now: testNow }),
  receiver: () => {
    const { taken, take, refuse } = inbox();
    return {
      taken,
      refuse,
      handle({ headers, body }) {
        if (!isSigned(headers, 'events')) return { status: 400, body: { __type: 'AccessDeniedException' } };
        const { Entries } = json(body);
        if (Entries.length > 10) return { status: 400, body: { __type: 'ValidationException' } };
        const entries = Entries.map(({ Detail, EventBusName }: { Detail: string; EventBusName: string }) => {
          const one = takenOf(JSON.parse(Detail));
          if (EventBusName !== 'audit' || refuse.has(one.id))
            return { ErrorCode: 'MalformedDetail', ErrorMessage: 'no' };
          take(one);
          return { EventId: '11710aed-b79e-4468-a20b-bb3c0c3b4860' };
        });
        return { status: 200, body: { FailedEntryCount: 0, Entries: entries } };
      },
    };
  },
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
