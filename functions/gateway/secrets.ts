/**
 * `ResolveSecrets`: the secrets of one run, sealed to the node that asks. Entitlement comes first and from the enrolled
 * identity and the current release alone, so that whoever is not entitled learns nothing, not even whether a secret
 * exists. Values are read and sealed by the source: in this process, or in the sealing function on AWS.
 */
import { AuditError, type AuditLog } from '../../lib/audit/port.ts';
import { toHex } from '../../lib/crypto/encoding.ts';
import { getNode, type NodeRecord, type ReleaseRef } from '../../lib/identity/nodes.ts';
import { createEntitlement } from '../../lib/secrets/entitlement.ts';
import { SecretsError } from '../../lib/secrets/errors.ts';
import { type GiveDeps, type GivenSecret, giveSecrets, nodeActor } from '../../lib/secrets/give.ts';
import { isSecretPath } from '../../lib/secrets/reference.ts';
import type { BlobStore } from '../../lib/store/blobs.ts';
import type { Store } from '../../lib/store/port.ts';
import type { Request, ResolveSecrets } from '../../lib/wire/gen/holdfast/agent/v1/gateway_pb.ts';
import type { AnswerInit } from '../../lib/wire/messages.ts';
import type { CurrentRelease } from './current-release.ts';
import { RequestRefused } from './refusals.ts';
import type { VerifiedRequest } from './stream.ts';

/** What was asked for, judged as the node's due. `verified` holds the proof that the node asked. */
export type SecretsAsked = {
  readonly verified: Pick<VerifiedRequest<Request>, 'proof'>;
  readonly node: NodeRecord;
  readonly release: ReleaseRef;
  readonly paths: readonly string[];
};

/** Throws `RequestRefused`, or `AuditError` or `SecretsError` for what is not to be had now. */
export type SecretSource = (asked: SecretsAsked) => Promise<readonly GivenSecret[]>;

export type ResolveDeps = {
  readonly store: Pick<Store, 'get'>;
  readonly blobs: Pick<BlobStore, 'get'>;
  readonly audit: Pick<AuditLog, 'deny'>;
  readonly currentRelease: CurrentRelease;
  /** None where no provider is configured: then nothing is released. */
  readonly source: SecretSource | undefined;
  readonly epoch: () => number;
};

type ResolveAnswer = Extract<NonNullable<AnswerInit['answer']>, { case: 'resolveSecrets' }>['value'];

export type ResolveSecretsHandler = (
  verified: VerifiedRequest<Request>,
  asked: ResolveSecrets,
) => Promise<ResolveAnswer>;

const maxPaths = 1000;

/** Values are read and sealed in this process. */
export function sealingHere(deps: GiveDeps): SecretSource {
  return (asked) => giveSecrets(deps, asked);
}

export function resolveSecretsHandler(deps: ResolveDeps): ResolveSecretsHandler {
  const judge = createResolveJudge(deps);
  return async (verified, asked) => {
    const due = await judge(verified.node.uuid, asked);
    if (deps.source === undefined) return unavailable(undefined);
    // Before the values: one that changes on the way is asked for again.
    const epoch = deps.epoch();
    const given = await deps.source({ verified, ...due }).catch((error: unknown) => {
      if (error instanceof AuditError || error instanceof SecretsError) return unavailable(error);
      throw error;
    });
    return { epoch, secrets: given.map(asMessage) };
  };
}

/** Whether the node may have what it asks for. Throws `RequestRefused`; a reference that it may not have is recorded. */
export function createResolveJudge(deps: Omit<ResolveDeps, 'source' | 'epoch'>) {
  const entitlement = createEntitlement(deps);

  return async (uuid: string, asked: Pick<ResolveSecrets, 'paths' | 'releaseDigest'>) => {
    // From the store, not from memory: a node that was given another sealing key gets its values under that one.
    const node = await getNode(deps.store as Store, uuid);
    if (node?.state !== 'active') throw new RequestRefused('QUARANTINED', 'The node is quarantined.');
    const paths = parsePaths(asked);
    const release = await deps.currentRelease.get();
    if (release === undefined || toHex(asked.releaseDigest) !== release.ref.digest) {
      throw new RequestRefused('RELEASE_CHANGED', 'Secrets are given for the current release only: check in first.');
    }
    const { digest } = release.ref;
    const entitled = await entitlement.pathsFor({ digest, manifest: release.manifest }, node).catch(unavailable);
    if (!paths.every((path) => entitled.has(path))) {
      await deny(deps.audit, node, release.ref.number);
      throw new RequestRefused('PERMISSION_DENIED', 'A reference is in no crate that is bound to this node.');
    }
    return { node, release: release.ref, paths };
  };
}

/** Attacker-controlled. */
function parsePaths({ paths }: Pick<ResolveSecrets, 'paths'>): readonly string[] {
  const isSet = new Set(paths).size === paths.length;
  if (paths.length < 1 || paths.length > maxPaths || !isSet || !paths.every(isSecretPath)) {
    throw new RequestRefused('INVALID_REQUEST', 'Not a list of distinct secret paths.');
  }
  return paths;
}

/** One entry a request, the same whether what was asked for exists or not. */
async function deny(audit: ResolveDeps['audit'], node: NodeRecord, release: number): Promise<void> {
  await audit.deny({
    type: 'secret.refuse',
    actor: nodeActor(node.uuid),
    object: { kind: 'node', id: node.uuid },
    outcome: 'denied',
    detail: { reason: 'not_entitled', release },
  });
}

function asMessage(given: GivenSecret): NonNullable<ResolveAnswer['secrets']>[number] {
  const { path } = given;
  if (!('sealed' in given)) return { path, result: { case: 'reason', value: given.reason } };
  const { version, enc, ciphertext } = given.sealed;
  return { path, result: { case: 'sealed', value: { version, enc: copy(enc), ciphertext: copy(ciphertext) } } };
}

function unavailable(cause: unknown): never {
  throw new RequestRefused('UNAVAILABLE', 'Secrets are not available just now; try again later.', { cause });
}

function copy(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(bytes);
}
