/**
 * Microsoft Sentinel, by the Logs Ingestion API of Azure Monitor: a bearer token by OAuth 2.0 client credentials
 * (RFC 6749 §4.4), kept until shortly before it ends; then rows of a data collection rule's stream. 204 means taken.
 */
import { createHash } from 'node:crypto';
import { Secret } from '../../crypto/secret.ts';
import type { ConfigOf, NetworkConfig } from '../config.ts';
import type { Credentials, Destination, SendResult } from '../destination.ts';
import type { FeedEvent } from '../event.ts';
import { createHttpClient, type HttpAnswer, jsonOf, member, resultOfStatus, sendAndJudge } from '../http.ts';
import { safeJson } from '../mappings/escape.ts';
import { contextOf, mapToDocument } from '../mappings/map.ts';
import { type Context, placeOf, rawText, timeOf } from '../mappings/place.ts';
import { resultOfError } from '../network-error.ts';
import { baseUrl } from './url.ts';

type Config = ConfigOf<'sentinel'>;

/** Azure docs, "National clouds": where tokens come from, and for whom. */
const clouds = {
  public: { login: 'https://login.microsoftonline.com', scope: 'https://monitor.azure.com/.default' },
  government: { login: 'https://login.microsoftonline.us', scope: 'https://monitor.azure.us/.default' },
  china: { login: 'https://login.partner.microsoftonline.cn', scope: 'https://monitor.azure.cn/.default' },
} as const;

export type SentinelDeps = {
  readonly now: () => number;
  /** Where tokens come from, and how that is reached: the destination's own pins and authorities are not for it. */
  readonly login?: { readonly url: string; readonly network: NetworkConfig };
};

type Token = { readonly value: Secret<string>; readonly until: number; readonly secret: string };

export function openSentinel(config: Config, deps: SentinelDeps = { now: Date.now }): Destination {
  const cloud = clouds[config.cloud];
  const login = deps.login ?? { url: cloud.login, network: { allow: [], pins: [] } };
  const client = createHttpClient(config.network);
  const loginClient = createHttpClient(login.network);
  let token: Token | undefined;

  async function fetchToken(secret: Secret<string>, signal: AbortSignal): Promise<Token | SendResult> {
    const form = new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: config.client,
      client_secret: secret.reveal(),
      scope: cloud.scope,
    });
    let answer: HttpAnswer;
    try {
      answer = await loginClient.send(
        {
          method: 'POST',
          url: baseUrl(login.url, `${config.tenant}/oauth2/v2.0/token`),
          headers: { 'content-type': 'application/x-www-form-urlencoded' },
          body: form.toString(),
        },
        signal,
      );
    } catch (error) {
      return resultOfError(error);
    }
    return parseToken(answer, secret, deps.now());
  }

  /** A token belongs to the secret that it was got with. */
  async function tokenFor(credentials: Credentials, signal: AbortSignal): Promise<Token | SendResult> {
    const secret = credentials['clientSecret'] ?? new Secret('');
    if (token !== undefined && token.until > deps.now() && token.secret === digest(secret)) return token;
    token = undefined;
    return fetchToken(secret, signal);
  }

  return {
    // The API takes 1 MB in a call; a row is about four times as long as its entry.
    limits: { maxEvents: 500, maxBytes: 200 * 1024 },
    async send(batch, credentials, signal) {
      const cached = token;
      const got = await tokenFor(credentials, signal);
      if ('kind' in got) return got;
      token = got;
      const url = baseUrl(config.url, `dataCollectionRules/${config.ruleId}/streams/${config.stream}`);
      url.searchParams.set('api-version', '2023-01-01');
      const sent = {
        method: 'POST' as const,
        url,
        headers: { authorization: `Bearer ${got.value.reveal()}`, 'content-type': 'application/json' },
        body: `[${batch.events.map((event, i) => formatRow(config, event, contextOf(batch, i))).join(',\n')}]`,
      };
      const result = await sendAndJudge(client, sent, signal, resultOfStatus);
      if (result.kind !== 'auth') return result;
      token = undefined;
      // One that was kept may have been revoked; whether a new one is better, the next send tells.
      return got === cached ? { kind: 'transient', reason: 'the token is no longer accepted' } : result;
    },
    async close() {
      token = undefined;
      client.close();
      loginClient.close();
    },
  };
}

/** Ends five minutes early, so that none runs out on its way. */
const marginMs = 300_000;

function parseToken(answer: HttpAnswer, secret: Secret<string>, now: number): Token | SendResult {
  // RFC 6749 §5.2: 400 is how a wrong client, secret or scope is answered.
  if (answer.status === 400) return { kind: 'auth', reason: 'the token request was refused' };
  if (answer.status !== 200) {
    const result = resultOfStatus(answer);
    return result.kind === 'delivered' ? unclear : result;
  }
  const body = jsonOf(answer);
  const value = member(body, 'access_token');
  const seconds = Number(member(body, 'expires_in'));
  if (typeof value !== 'string' || !/^[\x21-\x7e]+$/.test(value) || !(seconds > 0)) return unclear;
  return { value: new Secret(value), until: now + seconds * 1000 - marginMs, secret: digest(secret) };
}

const unclear: SendResult = { kind: 'transient', reason: 'a token answer that is not understood' };

function digest(secret: Secret<string>): string {
  return createHash('sha256').update(secret.reveal()).digest('hex');
}

/** The columns of `siem/sentinel/table.json`. */
function formatRow({ mapping }: Config, event: FeedEvent, context: Context): string {
  const { kind, id, log, seq, dseq, body, chain, previous, ...more } = placeOf(event, context);
  return safeJson({
    TimeGenerated: timeOf(event),
    Kind: kind,
    EventId: id,
    Log: log,
    Seq: seq,
    Dseq: dseq,
    Body: body,
    Chain: chain,
    Previous: previous,
    Raw: rawText(event),
    More: more,
    Event: mapToDocument(mapping, event, context),
  });
}
