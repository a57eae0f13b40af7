/** What the gateway writes to the audit log of those it turns away: the true reason, which the peer never hears. */
import type { AuditLog } from '../../lib/audit/port.ts';
import type { RefusalReason } from './authenticate.ts';

export type HandshakeRefusalReason =
  | 'certificate_missing'
  | 'certificate_expired'
  | 'certificate_not_yet_valid'
  | 'certificate_self_signed'
  | 'certificate_untrusted'
  | 'certificate_wrong_use'
  | 'certificate_malformed'
  | 'session_resumed';

export type DeniedRequest = {
  readonly reason: RefusalReason | HandshakeRefusalReason | 'malformed_body' | 'not_entitled';
  readonly method?: string;
  /** The node that the certificate names. What was not proven by a signature is a claim. */
  readonly claimed?: string;
};

/**
 * A connection or request that was not authentic. Floods become one entry per actor and interval, so the actor is
 * always the same: an attacker who could choose it would choose how much is written.
 */
export function denyRequest(audit: Pick<AuditLog, 'deny'>, { reason, method, claimed }: DeniedRequest): void {
  void audit.deny({
    type: 'node.request.refuse',
    actor: { id: 'unauthenticated', kind: 'unauthenticated', auth: 'none' },
    object: claimed === undefined ? { kind: 'gateway', id: 'gateway' } : { kind: 'node', id: claimed },
    outcome: 'denied',
    detail: { reason, ...(method === undefined ? {} : { method }), ...(claimed === undefined ? {} : { claimed }) },
  });
}

/** An authentic request for what the node may not have. */
export function denyNode(
  audit: Pick<AuditLog, 'deny'>,
  {
    reason,
    method,
    uuid,
  }: { readonly reason: DeniedRequest['reason']; readonly method: string; readonly uuid: string },
): void {
  void audit.deny({
    type: 'node.request.refuse',
    actor: { id: uuid, kind: 'node', auth: 'node-signature' },
    object: { kind: 'node', id: uuid },
    outcome: 'denied',
    detail: { reason, method },
  });
}
