/**
 * The sealing function's judgement, which believes no gateway: the node's own signature says who asks for what, the table
 * says what the node is and what the current release binds to it. Only then are values read, sealed to the enrolled key
 * and returned. A gateway in an attacker's hands can have a node's own request answered again, to that node's key.
 */
import type { AuditLog } from '../../lib/audit/port.ts';
import { IdentityError } from '../../lib/identity/errors.ts';
import { getNode } from '../../lib/identity/nodes.ts';
import { isProofOf, parseProof, type RequestProof } from '../../lib/identity/proof.ts';
import { currentRelease } from '../../lib/policy/history.ts';
import { giveSecrets } from '../../lib/secrets/give.ts';
import type { SecretsProvider } from '../../lib/secrets/provider.ts';
import type { BlobStore } from '../../lib/store/blobs.ts';
import type { Store } from '../../lib/store/port.ts';
import type { ResolveSecrets } from '../../lib/wire/gen/holdfast/agent/v1/gateway_pb.ts';
import { decodeRequest } from '../../lib/wire/messages.ts';
import { gatewayMethod } from '../../lib/wire/methods.ts';
import { createCurrentRelease } from '../gateway/current-release.ts';
import { RequestRefused } from '../gateway/refusals.ts';
import { createResolveJudge } from '../gateway/secrets.ts';
import { refusals, type SealingAnswer } from './answer.ts';

export type SealingDeps = {
  readonly store: Store;
  readonly blobs: Pick<BlobStore, 'get'>;
  readonly audit: Pick<AuditLog, 'deny' | 'intend'>;
  readonly provider: SecretsProvider;
};

/** The order is attacker-controlled, also when a gateway sends it. Throws `AuditError` and `StoreError`. */
export function createSealing(deps: SealingDeps): (order: unknown) => Promise<SealingAnswer> {
  let announced: Awaited<ReturnType<typeof currentRelease>>;
  const release = createCurrentRelease({ store: deps.store, announced: () => announced });
  const judge = createResolveJudge({ ...deps, currentRelease: release });

  return async (order) => {
    const asked = await authentic(deps, order);
    if (asked === undefined) return { refused: 'INVALID_REQUEST' };
    announced = await currentRelease(deps.store);
    try {
      const due = await judge(asked.uuid, asked.request);
      return { given: await giveSecrets(deps, due) };
    } catch (error) {
      const code = error instanceof RequestRefused && refusals.find((each) => each === error.code);
      if (!code) throw error;
      return { refused: code };
    }
  };
}

/** The request that a node that is not revoked signed; undefined, with one entry, for anything else. */
async function authentic(
  { store, audit }: SealingDeps,
  order: unknown,
): Promise<{ readonly uuid: string; readonly request: ResolveSecrets } | undefined> {
  let proof: RequestProof | undefined;
  try {
    proof = parseProof(order);
    const node = await getNode(store, proof.uuid);
    const request = decodeRequest(proof.body)?.request;
    const isSession = proof.method === gatewayMethod('session').path;
    if (node !== undefined && node.state !== 'revoked' && isSession && isProofOf(node.identityKey, proof)) {
      if (request?.case === 'resolveSecrets') return { uuid: proof.uuid, request: request.value };
    }
  } catch (error) {
    if (!(error instanceof IdentityError)) throw error;
  }
  await audit.deny({
    type: 'node.request.refuse',
    actor: { id: 'unauthenticated', kind: 'unauthenticated', auth: 'none' },
    object: { kind: 'node', id: proof?.uuid ?? 'unknown' },
    outcome: 'denied',
    detail: { reason: 'bad_proof', method: 'seal-secrets', ...(proof === undefined ? {} : { claimed: proof.uuid }) },
  });
  return undefined;
}
