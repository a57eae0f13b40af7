/** What enrollment and renewal share: the entry that precedes each further certificate, and the answer with it. */
import type { Actor } from '../audit/port.ts';
import type { Condition } from '../store/port.ts';
import type { EnrollAnswer } from './answer.ts';
import type { CertificatePlan, NodeCertificates } from './certificates.ts';
import { type NodeDeps, type NodeRecord, nodeKey } from './nodes.ts';

export type IssuanceDeps = NodeDeps & {
  readonly certificates: NodeCertificates;
  /** `host:port` of the gateway, as nodes reach it. */
  readonly gateway: string;
};

export type Renewal = {
  readonly uuid: string;
  readonly actor: Actor;
  readonly plan: CertificatePlan;
  /** When the node signed the request, Unix milliseconds. */
  readonly time?: number;
};

const admitted: Condition = {
  kind: 'any',
  of: [
    { kind: 'equals', name: 'state', value: 'active' },
    { kind: 'equals', name: 'state', value: 'quarantined' },
  ],
};

/**
 * Records a renewal, on the condition that the node isn't revoked and, given the request's `time`, that no request of
 * that time or later was served. False when that doesn't hold: then nothing was recorded and nothing may be issued.
 */
export async function recordRenewal(deps: NodeDeps, { uuid, actor, plan, time }: Renewal): Promise<boolean> {
  const outcome = await deps.audit.append(
    {
      type: 'node.renew',
      actor,
      object: { kind: 'node', id: uuid },
      outcome: 'success',
      detail: { serial: plan.serial, expires: new Date(plan.notAfter).toISOString() },
    },
    [
      {
        kind: 'update',
        key: nodeKey(uuid),
        set: { certificateExpiresAt: plan.notAfter, ...(time === undefined ? {} : { renewTime: time }) },
        when: {
          kind: 'all',
          of: [{ kind: 'present' }, admitted, ...(time === undefined ? [] : [laterThanLast(time)])],
        },
      },
    ],
  );
  return outcome.ok;
}

/** Issues what was recorded. */
export async function issueAnswer(
  deps: IssuanceDeps,
  node: Pick<NodeRecord, 'uuid' | 'name' | 'labels'>,
  csr: Uint8Array,
  plan: CertificatePlan,
): Promise<EnrollAnswer> {
  return {
    certificate: await deps.certificates.issue({ uuid: node.uuid, csr, plan }),
    authority: deps.certificates.authority,
    gateway: deps.gateway,
    node: { name: node.name, labels: node.labels },
  };
}

function laterThanLast(time: number): Condition {
  return {
    kind: 'any',
    of: [
      { kind: 'missing', name: 'renewTime' },
      { kind: 'less', name: 'renewTime', value: time },
    ],
  };
}
