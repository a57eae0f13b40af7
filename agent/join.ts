/**
 * Joining a fleet: the machine makes its own keys, sees that the server shows the fleet that its token pins, and only
 * then shows the token. Every step can be repeated: a lost answer costs nothing but another try with the same token.
 */
import { randomUUID } from 'node:crypto';
import { hostname as systemHostname } from 'node:os';
import { z } from 'zod';
import { signEd25519 } from '../lib/crypto/ed25519.ts';
import { equalBytes, fromBase64url, fromUtf8, utf8 } from '../lib/crypto/encoding.ts';
import { type EnrollmentToken, hashTokenSecret, parseEnrollmentToken } from '../lib/crypto/token.ts';
import { createCsr } from '../lib/crypto/x509.ts';
import { fleetPin, parseDescriptor } from '../lib/identity/descriptor.ts';
import { enrollRequestJson } from '../lib/identity/enroll-request.ts';
import { formatEnvelope } from '../lib/identity/envelope.ts';
import { parseHostname } from '../lib/identity/names.ts';
import { AgentError, messageOf } from './errors.ts';
import { fetchDescriptor, parseServerUrl, postEnvelope } from './identity-client.ts';
import { withLock } from './lock.ts';
import { certificatePem, checkCertificate } from './node-certificate.ts';
import { createNodeKeys, readNodeKeys } from './node-keys.ts';
import {
  formatNodeFile,
  type NodeFile,
  openStateDirectory,
  parseNodeFile,
  type StateDirectory,
  stateFiles,
} from './state.ts';

export type JoinOptions = {
  /** `https://host[:port]` of the identity service. */
  readonly server: string;
  readonly token: string;
  readonly stateDir: string;
  /** What the machine asks to be called; the system's hostname unless told. */
  readonly hostname?: string;
  /** The agent's own version. */
  readonly version: string;
  readonly now: () => number;
};

/** `already` when this machine had joined the same fleet before: then nothing was asked and nothing changed. */
export type Joined = { readonly outcome: 'joined' | 'already'; readonly node: NodeFile };

/** An attempt under way: what must be the same when it is tried again. The token itself is not kept. */
type Attempt = { readonly v: 1; readonly uuid: string; readonly hostname: string; readonly token: string };

const attemptShape = z.strictObject({
  v: z.literal(1),
  uuid: z.uuid(),
  hostname: z.string(),
  /** Hash of the token's secret. */
  token: z.string().regex(/^[0-9a-f]{64}$/),
});

/**
 * Throws `AgentError`: `usage` for bad arguments or a machine of another fleet, `refused` when the server is not of the
 * token's fleet or doesn't want this machine, `unreachable` when trying again is safe and may help.
 */
export async function join(options: JoinOptions): Promise<Joined> {
  const server = parseServerUrl(options.server);
  const token = parseToken(options.token);
  const hostname = parseOwnName(options.hostname ?? systemHostname());
  const state = await openStateDirectory(options.stateDir, { create: true });
  return withLock(state.path, () => joinLocked({ ...options, hostname }, server, token, state));
}

async function joinLocked(
  options: JoinOptions & { readonly hostname: string },
  server: URL,
  token: EnrollmentToken,
  state: StateDirectory,
): Promise<Joined> {
  const held = await state.read(stateFiles.node);
  if (held) return { outcome: 'already', node: await sameFleet(state, parseNodeFile(held), token.pin) };

  const descriptorBytes = await fetchDescriptor(server);
  if (!equalBytes(fleetPin(descriptorBytes), token.pin)) {
    throw new AgentError(
      'refused',
      `${server.origin} is not the fleet of this token (wrong pin); nothing was sent to it`,
      {
        hint: 'check the address. If it is right, somebody stands between: tell the operator who gave you the token',
      },
    );
  }
  const descriptor = parseDescriptor(descriptorBytes);
  const trust = { fleet: descriptor.fleet, authority: fromBase64url(descriptor.ca), now: options.now };

  const attempt = await beginAttempt(state, hashTokenSecret(token.secret), options.hostname);
  const keys = await readNodeKeys(state);
  const claim = enrollRequestJson({
    token: options.token,
    uuid: attempt.uuid,
    hostname: attempt.hostname,
    identityKey: keys.identity.publicKey,
    sealingKey: keys.sealingKey,
    csr: await createCsr(keys.tls),
    platform: `${process.platform}-${process.arch}`,
    version: options.version,
  });
  const envelope = formatEnvelope('enroll', claim, (message) => signEd25519(keys.identity.privateKey, message));
  const answer = await postEnvelope(server, '/v1/enroll', envelope, trust);
  checkCertificate(answer, { ...trust, uuid: attempt.uuid, publicKeySpki: keys.tls.publicKeySpki });

  const node: NodeFile = {
    v: 1,
    uuid: attempt.uuid,
    ...answer.node,
    fleet: descriptor.fleet,
    gateway: answer.gateway,
    server: server.origin,
  };
  await state.write(stateFiles.fleet, descriptorBytes);
  await state.write(stateFiles.tlsCertificate, certificatePem(answer.certificate));
  // Last: from here on the machine has joined.
  await state.write(stateFiles.node, formatNodeFile(node));
  await state.remove(stateFiles.joining);
  return { outcome: 'joined', node };
}

/**
 * The attempt to go on with. Its keys are durable before it is, and it is before anything is sent: the server may have
 * made a node of them although its answer was lost. Another token is another attempt, with a new UUID and new keys,
 * because the old ones may be taken.
 */
async function beginAttempt(state: StateDirectory, token: string, hostname: string): Promise<Attempt> {
  const held = parseAttempt(await state.read(stateFiles.joining));
  if (held?.token === token) return held;
  await state.remove(stateFiles.joining);
  await createNodeKeys(state);
  const attempt: Attempt = { v: 1, uuid: randomUUID(), hostname, token };
  await state.write(stateFiles.joining, utf8(JSON.stringify(attempt)));
  return attempt;
}

function parseAttempt(bytes: Uint8Array | undefined): Attempt | undefined {
  if (bytes === undefined) return undefined;
  try {
    return attemptShape.parse(JSON.parse(fromUtf8(bytes)));
  } catch {
    // Damaged: begin anew, which costs an orphan at worst.
    return undefined;
  }
}

async function sameFleet(state: StateDirectory, node: NodeFile, pin: Uint8Array): Promise<NodeFile> {
  const descriptor = await state.read(stateFiles.fleet);
  if (descriptor && equalBytes(fleetPin(descriptor), pin)) return node;
  throw new AgentError(
    'usage',
    `this machine has joined another fleet, ${JSON.stringify(node.fleet)}, as node ${node.uuid}`,
    {
      hint: 'a machine is in one fleet: revoke it there and remove its state directory, or name another one with --state',
    },
  );
}

function parseToken(text: string): EnrollmentToken {
  try {
    return parseEnrollmentToken(text);
  } catch (error) {
    throw new AgentError('usage', messageOf(error), { hint: 'copy the whole token: it begins with hfe_' });
  }
}

function parseOwnName(text: string): string {
  try {
    return parseHostname(text);
  } catch {
    throw new AgentError('usage', `${JSON.stringify(text)} can't be a node's name`, {
      hint: 'give one of ASCII letters, digits, dots and hyphens with --hostname',
    });
  }
}
