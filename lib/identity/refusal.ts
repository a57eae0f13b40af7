/**
 * Refusals of the identity service: one text for every caller, the true reason in the audit log alone. An outsider
 * learns neither whether a token exists nor whether a node does.
 */
import type { Actor, AuditLog } from '../audit/port.ts';
import { IdentityError } from './errors.ts';

/** Why an enrollment was refused, as the audit log says it. */
export type EnrollRefusal =
  | 'malformed'
  | 'bad_csr'
  | 'token_unknown'
  | 'token_cancelled'
  | 'token_expired'
  | 'token_used'
  | 'token_hostname'
  | 'token_fingerprint'
  | 'uuid_exists'
  | 'uuid_revoked'
  | 'key_exists';

/** Why a renewal was refused. */
export type RenewRefusal =
  | 'malformed'
  | 'bad_csr'
  | 'node_unknown'
  | 'bad_signature'
  | 'clock'
  | 'revoked'
  | 'replayed';

export const nobody: Actor = { id: 'unauthenticated', kind: 'unauthenticated', auth: 'none' };

export const enrollRefusalText =
  'The enrollment was refused. The token may be wrong, used, expired or meant for another machine; the audit log has the reason.';
export const renewRefusalText =
  'The renewal was refused. The node may be unknown or revoked, or its clock be wrong; the audit log has the reason.';

/** What the outsider claimed, as far as it was well formed. */
export type EnrollClaimed = {
  readonly uuid: string;
  readonly fingerprint: string;
  readonly hostname: string;
  /** Only of a token that exists. */
  readonly token?: string;
};

/**
 * Records a refused enrollment, and gives the error to throw. Whoever presents a token that exists gets an entry for
 * every attempt, so that a race for it shows in full; anything else falls under the flood control of denials, or
 * strangers could fill the log. Throws `AuditError` when such an entry can't be written: it is refused all the same.
 */
export async function refuseEnrollment(
  audit: AuditLog,
  reason: EnrollRefusal,
  claimed?: EnrollClaimed,
): Promise<IdentityError> {
  const { uuid, ...detail } = claimed ?? { uuid: 'unknown' };
  const event = {
    type: 'node.enroll.refuse',
    actor: nobody,
    object: { kind: 'node', id: uuid },
    outcome: 'denied',
    detail: { reason, ...detail },
  } as const;
  if (claimed?.token === undefined) await audit.deny(event);
  else await audit.append(event);
  return new IdentityError('refused', enrollRefusalText);
}

export async function refuseRenewal(audit: AuditLog, reason: RenewRefusal, uuid = 'unknown'): Promise<IdentityError> {
  await audit.deny({
    type: 'node.renew.refuse',
    actor: nobody,
    object: { kind: 'node', id: uuid },
    outcome: 'denied',
    detail: { reason },
  });
  return new IdentityError('refused', renewRefusalText);
}
