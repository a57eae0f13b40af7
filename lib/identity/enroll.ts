/**
 * Enrollment: a machine that holds a token becomes a node. Burning the token, creating the node, claiming its identity
 * key and the audit entry are one transaction, so of any number of attempts with one token exactly one succeeds.
 *
 * A node owns its UUID and its identity key for ever: neither can be enrolled again, whatever the token. The certificate
 * is made after the transaction; if that or the answer is lost, the same request with the same token is answered again
 * until the token expires.
 */
import type { Actor } from '../audit/port.ts';
import { toHex } from '../crypto/encoding.ts';
import type { Key, Write } from '../store/port.ts';
import type { EnrollAnswer } from './answer.ts';
import type { CertificatePlan } from './certificates.ts';
import { type EnrollRequest, parseEnrollRequest } from './enroll-request.ts';
import { IdentityError } from './errors.ts';
import { identityFingerprint } from './fingerprint.ts';
import { type IssuanceDeps, issueAnswer, recordRenewal } from './issuance.ts';
import { matchesHostname } from './names.ts';
import { getNode, nodeKey } from './nodes.ts';
import { type EnrollRefusal, refuseEnrollment } from './refusal.ts';
import { type EnrollmentToken, getToken, tokenKey } from './tokens.ts';

/** Every loss of a race is final for the state that was lost on, so a second look decides; more is a store gone wrong. */
const maxAttempts = 4;

/**
 * `bytes` is the HTTP body, attacker-controlled. Throws `IdentityError` `malformed` for what is no request, `refused`
 * with one text for everything else, and `AuditError` or `StoreError` when nothing could be decided.
 */
export async function enroll(deps: IssuanceDeps, bytes: Uint8Array): Promise<EnrollAnswer> {
  const request = await parseOrDeny(deps, bytes);
  const fingerprint = identityFingerprint(request.identityKey);
  const claimed = { uuid: request.uuid, fingerprint, hostname: request.hostname };

  for (let attempt = 0; attempt < maxAttempts; attempt++) {
    const token = await getToken(deps.store, request.tokenHash);
    if (!token) throw await refuseEnrollment(deps.audit, 'token_unknown', claimed);
    const refuse = (reason: EnrollRefusal) => refuseEnrollment(deps.audit, reason, { ...claimed, token: token.id });

    const unfit = whyUnfit(token, request, fingerprint, deps.now());
    if (unfit) throw await refuse(unfit);
    if (!(await deps.certificates.accepts(request.csr))) {
      await refuse('bad_csr');
      throw new IdentityError('malformed', 'The certificate request is not a signed PKCS#10 request for a P-256 key.');
    }
    const plan = deps.certificates.plan();
    if (token.state === 'used') return repeat(deps, request, token, plan, refuse);

    const outcome = await deps.audit.append(
      {
        type: 'node.enroll',
        actor: nodeActor(request.uuid),
        object: { kind: 'node', id: request.uuid },
        outcome: 'success',
        detail: {
          token: token.id,
          hostname: request.hostname,
          fingerprint,
          labels: token.labels,
          platform: request.platform,
          version: request.version,
          serial: plan.serial,
          expires: new Date(plan.notAfter).toISOString(),
        },
      },
      enrollmentWrites(request, token, plan, deps.now()),
    );
    if (outcome.ok) {
      const node = { uuid: request.uuid, name: request.hostname, labels: token.labels };
      return issueAnswer(deps, node, request.csr, plan);
    }
    // Index 0 is the token: whoever was faster decides what it is now, so look again.
    if (outcome.failed.includes(0)) continue;
    throw await refuse(await whyTaken(deps, request.uuid));
  }
  throw new Error('The state of a token changed back, which nothing of ours does.');
}

async function parseOrDeny(deps: IssuanceDeps, bytes: Uint8Array): Promise<EnrollRequest> {
  try {
    return parseEnrollRequest(bytes);
  } catch (error) {
    await refuseEnrollment(deps.audit, 'malformed');
    throw error;
  }
}

function whyUnfit(
  token: EnrollmentToken,
  request: EnrollRequest,
  fingerprint: string,
  now: number,
): EnrollRefusal | undefined {
  if (token.state === 'cancelled') return 'token_cancelled';
  if (token.state === 'used' && token.usedBy !== request.uuid) return 'token_used';
  if (now >= token.expires) return 'token_expired';
  if (token.fingerprint !== undefined && token.fingerprint !== fingerprint) return 'token_fingerprint';
  if (token.hostname !== undefined && !matchesHostname(token.hostname, request.hostname)) return 'token_hostname';
  return undefined;
}

/** The node that this token made asks again: the same node and a new certificate, and nothing of the node changes. */
async function repeat(
  deps: IssuanceDeps,
  request: EnrollRequest,
  token: EnrollmentToken,
  plan: CertificatePlan,
  refuse: (reason: EnrollRefusal) => Promise<IdentityError>,
): Promise<EnrollAnswer> {
  const node = await getNode(deps.store, request.uuid);
  const same =
    node?.token === token.id &&
    equal(node.identityKey, request.identityKey) &&
    equal(node.sealingKey, request.sealingKey);
  if (!same) throw await refuse('token_used');
  if (node.state === 'revoked') throw await refuse('uuid_revoked');
  // The log has one success of `node.enroll` for a node; another certificate for it is a renewal, and is logged as one.
  const noted = await recordRenewal(deps, { uuid: node.uuid, actor: nodeActor(node.uuid), plan });
  if (!noted) throw await refuse('uuid_revoked');
  return issueAnswer(deps, node, request.csr, plan);
}

function enrollmentWrites(request: EnrollRequest, token: EnrollmentToken, plan: CertificatePlan, now: number): Write[] {
  return [
    {
      kind: 'update',
      key: tokenKey(token.hash),
      set: { state: 'used', usedBy: request.uuid, usedAt: now },
      when: { kind: 'equals', name: 'state', value: 'open' },
    },
    {
      kind: 'put',
      item: {
        ...nodeKey(request.uuid),
        name: request.hostname,
        labels: token.labels,
        state: 'active',
        revision: 1,
        identityKey: request.identityKey,
        sealingKey: request.sealingKey,
        platform: request.platform,
        agentVersion: request.version,
        token: token.id,
        enrolledAt: now,
        certificateExpiresAt: plan.notAfter,
      },
      when: { kind: 'absent' },
    },
    {
      kind: 'put',
      item: { ...identityKeyKey(request.identityKey), uuid: request.uuid },
      when: { kind: 'absent' },
    },
  ];
}

/** Claims an identity key for one node: a key under two UUIDs would make two nodes of one revocation. */
function identityKeyKey(key: Uint8Array): Key {
  const hex = toHex(key);
  return { pk: `identity-key#${hex.slice(0, 1)}`, sk: hex };
}

async function whyTaken(deps: IssuanceDeps, uuid: string): Promise<EnrollRefusal> {
  const node = await getNode(deps.store, uuid);
  if (!node) return 'key_exists';
  return node.state === 'revoked' ? 'uuid_revoked' : 'uuid_exists';
}

function nodeActor(uuid: string): Actor {
  return { id: uuid, kind: 'node', auth: 'enrollment-token' };
}

/** Public keys: nothing to hide in the time that this takes. */
function equal(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
