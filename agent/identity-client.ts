/**
 * The agent's side of the identity service's HTTP. Follows no redirects, caps every answer, waits only so long, and
 * sends nothing before the server proved with the pinned authority (or a public one) that it is the fleet's.
 */

import { X509Certificate } from 'node:crypto';
import { type RequestOptions, request } from 'node:https';
import { checkServerIdentity, type PeerCertificate, rootCertificates } from 'node:tls';
import { fromUtf8 } from '../lib/crypto/encoding.ts';
import { parseServerCertificate, pemEncode } from '../lib/crypto/x509.ts';
import { type EnrollAnswer, parseEnrollAnswer } from '../lib/identity/answer.ts';
import { maxDescriptorBytes } from '../lib/identity/descriptor.ts';
import { maxEnvelopeBytes } from '../lib/identity/envelope.ts';
import { AgentError, messageOf, systemCode } from './errors.ts';

/** For a whole exchange, from the connection to the last byte. */
const timeoutMs = 20_000;

/** What the server must be: known only after the descriptor was compared with its pin. */
export type ServerTrust = {
  readonly fleet: string;
  /** The fleet CA's certificate, DER. */
  readonly authority: Uint8Array;
  readonly now: () => number;
};

/** `https://host[:port]` and nothing else. Throws `usage`. */
export function parseServerUrl(text: string): URL {
  const url = URL.parse(text);
  const plain = url?.protocol === 'https:' && url.pathname === '/' && !url.username && !url.password;
  if (!url || !plain || url.search || url.hash) {
    throw new AgentError('usage', `${JSON.stringify(text)} is not the address of an identity service`, {
      hint: 'give it as https://HOST or https://HOST:PORT',
    });
  }
  return url;
}

/**
 * The fleet descriptor, from whoever answers. Nothing is sent that is worth anything, and nothing of what comes back
 * is believed before the caller compared its pin: only therefore is the server's certificate not judged here.
 */
export async function fetchDescriptor(server: URL): Promise<Uint8Array> {
  const options = { method: 'GET', rejectUnauthorized: false };
  const answer = await exchange(new URL('/v1/fleet', server), options, undefined, maxDescriptorBytes);
  if (answer.status !== 200) throw unexpected(server, answer);
  return answer.body;
}

/** Sends a signed request. Throws `refused`, or `unreachable` when trying again is safe and may help. */
export async function postEnvelope(
  server: URL,
  path: '/v1/enroll' | '/v1/renew',
  envelope: Uint8Array,
  trust: ServerTrust,
): Promise<EnrollAnswer> {
  const options: RequestOptions = {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'content-length': envelope.length },
    ca: [...rootCertificates, pemEncode('CERTIFICATE', trust.authority)],
    checkServerIdentity: (host, peer) => judgeServer(host, peer, trust),
  };
  const answer = await exchange(new URL(path, server), options, envelope, maxEnvelopeBytes);
  if (answer.status !== 200) throw unexpected(server, answer);
  try {
    return parseEnrollAnswer(answer.body);
  } catch (cause) {
    throw new AgentError('unreachable', `${server.origin} gave an answer that is not one of an identity service`, {
      cause,
    });
  }
}

/**
 * TLS has verified the chain by now, to a public root or to the fleet's. What the fleet's own authority issued must be
 * for the identity service: a gateway or a node must not pass for it. Anything else must be for the host that was
 * dialled, as on the web.
 */
function judgeServer(host: string, peer: PeerCertificate, trust: ServerTrust): Error | undefined {
  const leaf = new X509Certificate(peer.raw);
  const authority = new X509Certificate(trust.authority);
  if (!leaf.checkIssued(authority) || !leaf.verify(authority.publicKey)) return checkServerIdentity(host, peer);
  try {
    const { fleet } = trust;
    parseServerCertificate(peer.raw, { fleet, authority: trust.authority, now: trust.now(), role: 'identity' });
    return undefined;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

type Answer = { readonly status: number; readonly body: Uint8Array };

function exchange(url: URL, options: RequestOptions, body: Uint8Array | undefined, maxBytes: number): Promise<Answer> {
  return new Promise((resolve, reject) => {
    // A connection of its own: a pooled one might have been made with other trust.
    const sent = request(url, {
      ...options,
      agent: false,
      minVersion: 'TLSv1.3',
      signal: AbortSignal.timeout(timeoutMs),
    });
    const fail = (cause: unknown) => {
      sent.destroy();
      reject(cause instanceof AgentError ? cause : unreachable(url, cause));
    };
    sent.on('error', fail);
    sent.on('response', (response) => {
      const parts: Buffer[] = [];
      let length = 0;
      response.on('error', fail);
      response.on('data', (part: Buffer) => {
        length += part.length;
        if (length > maxBytes) fail(new AgentError('unreachable', `${url.origin} gave an answer that is too long`));
        else parts.push(part);
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(parts) }));
    });
    sent.end(body);
  });
}

function unexpected(server: URL, answer: Answer): AgentError {
  const said = explain(answer.body);
  if (answer.status === 403 || answer.status === 400) {
    return new AgentError('refused', `${server.origin} refused: ${said}`, {
      hint: 'ask an operator for the reason, which is in the audit log, and for a new token if one is needed',
    });
  }
  return new AgentError('unreachable', `${server.origin} answered with status ${answer.status}: ${said}`, {
    hint: 'check the address (redirects are not followed), then try again: that is safe',
  });
}

function unreachable(url: URL, cause: unknown): AgentError {
  const code = systemCode(cause) ?? messageOf(cause);
  return new AgentError(
    'unreachable',
    `can't reach ${url.origin} as this fleet's identity service (${printable(code)})`,
    {
      hint: "check the address, the network and this machine's clock, then try again: that is safe",
      cause,
    },
  );
}

/** The problem's own words (RFC 9457), from the server: shortened, and without anything a terminal would act on. */
function explain(body: Uint8Array): string {
  try {
    const problem: unknown = JSON.parse(fromUtf8(body));
    const { title, detail } = problem as { title?: unknown; detail?: unknown };
    const words = [title, detail].filter((word) => typeof word === 'string').join(' ');
    return words === '' ? 'no reason given' : printable(words);
  } catch {
    return 'no reason given';
  }
}

function printable(text: string): string {
  return text.slice(0, 300).replace(/[^\x20-\x7e]/g, '?');
}
