/**
 * Renewal: a node gets a new certificate by its identity key. The old certificate plays no part, so a machine that
 * slept past its expiry comes back by itself; a revoked one never does.
 *
 * A captured renewal is worthless: the certificate would be for the requester's own TLS key, and each request has to be
 * later than the one before, so the same bytes are refused.
 */
import { z } from 'zod';
import type { Actor } from '../audit/port.ts';
import { verifyEd25519 } from '../crypto/ed25519.ts';
import { toBase64url } from '../crypto/encoding.ts';
import type { Json } from '../crypto/jcs.ts';
import type { EnrollAnswer } from './answer.ts';
import { maxCsrBytes, parseBytes } from './enroll-request.ts';
import { type Envelope, envelopeSigningInput, parseBody, parseEnvelope } from './envelope.ts';
import { IdentityError } from './errors.ts';
import { type IssuanceDeps, issueAnswer, recordRenewal } from './issuance.ts';
import { parseUuid } from './names.ts';
import { getNode } from './nodes.ts';
import { type RenewRefusal, refuseRenewal } from './refusal.ts';

export type RenewRequest = { readonly uuid: string; readonly time: number; readonly csr: Uint8Array };

/** How far a node's clock may be off. */
export const maxSkewMs = 5 * 60_000;

const timePattern = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

const shape = z.strictObject({
  v: z.literal(1),
  uuid: z.string(),
  time: z.string().regex(timePattern),
  csr: z
    .string()
    .min(1)
    .max(Math.ceil((maxCsrBytes * 4) / 3)),
});

/** The request as the agent signs it. */
export function renewRequestJson(request: RenewRequest): Json {
  return {
    v: 1,
    uuid: request.uuid,
    time: new Date(request.time).toISOString(),
    csr: toBase64url(request.csr),
  };
}

/** `bytes` is the HTTP body, attacker-controlled. Throws as `enroll` does. A quarantined node may renew. */
export async function renew(deps: IssuanceDeps, bytes: Uint8Array): Promise<EnrollAnswer> {
  const { request, envelope } = await parseOrDeny(deps, bytes);
  const refuse = (reason: RenewRefusal) => refuseRenewal(deps.audit, reason, request.uuid);

  const node = await getNode(deps.store, request.uuid);
  if (!node) throw await refuse('node_unknown');
  if (!verifyEd25519(node.identityKey, envelopeSigningInput('renew', envelope.body), envelope.signature)) {
    throw await refuse('bad_signature');
  }
  if (Math.abs(deps.now() - request.time) > maxSkewMs) throw await refuse('clock');
  if (node.state === 'revoked') throw await refuse('revoked');
  if (!(await deps.certificates.accepts(request.csr))) {
    await refuse('bad_csr');
    throw new IdentityError('malformed', 'The certificate request is not a signed PKCS#10 request for a P-256 key.');
  }

  const plan = deps.certificates.plan();
  const actor: Actor = { id: node.uuid, kind: 'node', auth: 'node-signature' };
  if (!(await recordRenewal(deps, { uuid: node.uuid, actor, plan, time: request.time }))) {
    const now = await getNode(deps.store, node.uuid);
    throw await refuse(now?.state === 'revoked' ? 'revoked' : 'replayed');
  }
  return issueAnswer(deps, node, request.csr, plan);
}

async function parseOrDeny(
  deps: IssuanceDeps,
  bytes: Uint8Array,
): Promise<{ request: RenewRequest; envelope: Envelope }> {
  try {
    const envelope = parseEnvelope(bytes);
    const parsed = shape.safeParse(parseBody(envelope.body));
    if (!parsed.success) throw new IdentityError('malformed', 'The renewal request has not the expected fields.');
    const { uuid, time, csr } = parsed.data;
    return { request: { uuid: parseUuid(uuid), time: parseTime(time), csr: parseBytes(csr) }, envelope };
  } catch (error) {
    await refuseRenewal(deps.audit, 'malformed');
    throw error;
  }
}

function parseTime(text: string): number {
  const time = Date.parse(text);
  if (Number.isNaN(time)) throw new IdentityError('malformed', 'The time of the renewal request is not a time.');
  return time;
}
