/**
 * `ResolveSecrets`: the secrets of one run, sealed to the node that asks. Entitlement comes first and from the enrolled
 * identity and the current release alone, so that whoever is not entitled learns nothing, not even whether a secret
 * exists. What is released is an intent in the audit log before any value is read, and an outcome after.
 */
import { type Actor, AuditError, type AuditLog } from '../../lib/audit/port.ts';
import { toHex } from '../../lib/crypto/encoding.ts';
import { getNode, type NodeRecord } from '../../lib/identity/nodes.ts';
import { createEntitlement } from '../../lib/secrets/entitlement.ts';
import { SecretsError } from '../../lib/secrets/errors.ts';
import type { SecretsProvider } from '../../lib/secrets/provider.ts';
import { isSecretPath } from '../../lib/secrets/reference.ts';
import { sealSecret } from '../../lib/secrets/seal.ts';
import type { BlobStore } from '../../lib/store/blobs.ts';
import type { Store } from '../../lib/store/port.ts';
import type { Request, ResolveSecrets } from '../../lib/wire/gen/holdfast/agent/v1/gateway_pb.ts';
import type { AnswerInit } from '../../lib/wire/messages.ts';
import type { CurrentRelease } from './current-release.ts';
import { RequestRefused } from './refusals.ts';
import type { VerifiedRequest } from './stream.ts';

export type ResolveDeps = {
  readonly store: Pick<Store, 'get'>;
  readonly blobs: Pick<BlobStore, 'get'>;
  readonly audit: Pick<AuditLog, 'deny'>;
  readonly currentRelease: CurrentRelease;
  /** None where no provider is configured: then nothing is released. */
  readonly source: { readonly provider: SecretsProvider; readonly audit: Pick<AuditLog, 'intend'> } | undefined;
  readonly epoch: () => number;
};

type ResolveAnswer = Extract<NonNullable<AnswerInit['answer']>, { case: 'resolveSecrets' }>['value'];
type Resolved = NonNullable<ResolveAnswer['secrets']>[number];

export type ResolveSecretsHandler = (
  verified: VerifiedRequest<Request>,
  asked: ResolveSecrets,
) => Promise<ResolveAnswer>;

const maxPaths = 1000;
/** Below the limit of a message; the agent asks again for what did not fit. */
const maxAnswerBytes = 3 * 1024 * 1024;
/** An entry has 8 KiB: what does not fit into one is recorded in several. */
const maxEntryPathBytes = 4 * 1024;

export function resolveSecretsHandler(deps: ResolveDeps): ResolveSecretsHandler {
  const entitlement = createEntitlement(deps);

  return async ({ node: { uuid } }, asked) => {
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
    if (deps.source === undefined) return unavailable(undefined);
    const { provider, audit } = deps.source;
    // Before the values: one that changes on the way is asked for again.
    const epoch = deps.epoch();
    const secrets: Resolved[] = [];
    let bytes = 0;
    for (const batch of batches(paths)) {
      if (bytes > maxAnswerBytes) break;
      const answered = await record(audit, node, release.ref.number, batch, async () => {
        const made: Resolved[] = [];
        for (const path of batch) {
          if (bytes > maxAnswerBytes) break;
          const one = await seal(provider, node, path, digest);
          bytes += path.length + (one.result?.case === 'sealed' ? (one.result.value.ciphertext?.length ?? 0) : 0) + 64;
          made.push(one);
        }
        return made;
      });
      secrets.push(...answered);
    }
    return { epoch, secrets };
  };
}

/** Attacker-controlled. */
function parsePaths({ paths }: ResolveSecrets): readonly string[] {
  const isSet = new Set(paths).size === paths.length;
  if (paths.length < 1 || paths.length > maxPaths || !isSet || !paths.every(isSecretPath)) {
    throw new RequestRefused('INVALID_REQUEST', 'Not a list of distinct secret paths.');
  }
  return paths;
}

async function seal(
  provider: SecretsProvider,
  node: NodeRecord,
  path: string,
  releaseDigest: string,
): Promise<Resolved> {
  try {
    const { version, value } = await provider.get(path);
    const plaintext = value.reveal();
    const place = { uuid: node.uuid, path, version, releaseDigest };
    const { enc, ciphertext } = sealSecret(node.sealingKey, place, plaintext);
    plaintext.fill(0);
    return { path, result: { case: 'sealed', value: { version, enc: copy(enc), ciphertext: copy(ciphertext) } } };
  } catch (error) {
    if (!(error instanceof SecretsError)) throw error;
    const reason = error.code === 'not_found' ? 'NOT_FOUND' : 'UNAVAILABLE';
    return { path, result: { case: 'reason', value: reason } };
  }
}

/** Class I: nothing is read before the intent is durable, and nothing is answered before the outcome is. */
async function record(
  audit: Pick<AuditLog, 'intend'>,
  node: NodeRecord,
  release: number,
  paths: readonly string[],
  act: () => Promise<Resolved[]>,
): Promise<readonly Resolved[]> {
  const detail = { release, paths };
  const object = { kind: 'node', id: node.uuid };
  try {
    const intent = await audit.intend({ type: 'secret.release', actor: actorOf(node), object, detail });
    if (!intent.ok) return unavailable(undefined);
    const made = await act().catch(async (error: unknown) => {
      await intent.settle('failure', [], { release, paths });
      throw error;
    });
    const given = made.flatMap((one) =>
      one.result?.case === 'sealed' ? [`${one.path}@${one.result.value.version}`] : [],
    );
    await intent.settle(given.length > 0 ? 'success' : 'failure', [], { release, paths: given });
    return made;
  } catch (error) {
    if (error instanceof AuditError)
      throw new RequestRefused('UNAVAILABLE', 'The release could not be recorded.', { cause: error });
    throw error;
  }
}

/** One entry a request, the same whether what was asked for exists or not. */
async function deny(audit: ResolveDeps['audit'], node: NodeRecord, release: number): Promise<void> {
  await audit.deny({
    type: 'secret.refuse',
    actor: actorOf(node),
    object: { kind: 'node', id: node.uuid },
    outcome: 'denied',
    detail: { reason: 'not_entitled', release },
  });
}

function* batches(paths: readonly string[]): Generator<readonly string[]> {
  let batch: string[] = [];
  let bytes = 0;
  for (const path of paths) {
    if (bytes + path.length + 16 > maxEntryPathBytes) {
      yield batch;
      [batch, bytes] = [[], 0];
    }
    batch.push(path);
    bytes += path.length + 16;
  }
  yield batch;
}

function actorOf(node: NodeRecord): Actor {
  return { id: node.uuid, kind: 'node', auth: 'node-signature' };
}

function unavailable(cause: unknown): never {
  throw new RequestRefused('UNAVAILABLE', 'Secrets are not available just now; try again later.', { cause });
}

function copy(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(bytes);
}
