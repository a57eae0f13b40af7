/**
 * Giving secrets to a node that is entitled to them: each value is read, sealed to the node's key and zeroed. What is
 * given is an intent in the audit log before any value is read, and an outcome after.
 */
import type { Actor, AuditLog } from '../audit/port.ts';
import { AuditError } from '../audit/port.ts';
import type { HpkeMessage } from '../crypto/hpke.ts';
import type { NodeRecord, ReleaseRef } from '../identity/nodes.ts';
import { SecretsError } from './errors.ts';
import type { SecretsProvider } from './provider.ts';
import { sealSecret } from './seal.ts';

/** A value that only the node can open, or why there is none. */
export type GivenSecret =
  | { readonly path: string; readonly sealed: HpkeMessage & { readonly version: number } }
  | { readonly path: string; readonly reason: 'NOT_FOUND' | 'UNAVAILABLE' };

export type GiveDeps = { readonly provider: SecretsProvider; readonly audit: Pick<AuditLog, 'intend'> };

/** `paths` are ones that the node is entitled to by this release: whoever calls has judged that. */
export type GiveOrder = {
  readonly node: Pick<NodeRecord, 'uuid' | 'sealingKey'>;
  readonly release: ReleaseRef;
  readonly paths: readonly string[];
};

/** Below the limit of a message; the agent asks again for what did not fit. */
const maxAnswerBytes = 3 * 1024 * 1024;
/** An entry has 8 KiB: what does not fit into one is recorded in several. */
const maxEntryPathBytes = 4 * 1024;

/** In the order of `paths`, and perhaps fewer. Throws `AuditError` when it can't be recorded; then nothing is given. */
export async function giveSecrets(deps: GiveDeps, order: GiveOrder): Promise<readonly GivenSecret[]> {
  const { node, release, paths } = order;
  const given: GivenSecret[] = [];
  let bytes = 0;
  for (const batch of batches(paths)) {
    if (bytes > maxAnswerBytes) break;
    const answered = await record(deps.audit, node.uuid, release.number, batch, async () => {
      const made: GivenSecret[] = [];
      for (const path of batch) {
        if (bytes > maxAnswerBytes) break;
        const one = await give(deps.provider, order, path);
        bytes += path.length + ('sealed' in one ? one.sealed.ciphertext.length : 0) + 64;
        made.push(one);
      }
      return made;
    });
    given.push(...answered);
  }
  return given;
}

async function give(provider: SecretsProvider, { node, release }: GiveOrder, path: string): Promise<GivenSecret> {
  try {
    const { version, value } = await provider.get(path);
    const plaintext = value.reveal();
    const place = { uuid: node.uuid, path, version, releaseDigest: release.digest };
    const { enc, ciphertext } = sealSecret(node.sealingKey, place, plaintext);
    plaintext.fill(0);
    return { path, sealed: { version, enc, ciphertext } };
  } catch (error) {
    if (!(error instanceof SecretsError)) throw error;
    return { path, reason: error.code === 'not_found' ? 'NOT_FOUND' : 'UNAVAILABLE' };
  }
}

/** Class I: nothing is read before the intent is durable, and nothing is answered before the outcome is. */
async function record(
  audit: Pick<AuditLog, 'intend'>,
  uuid: string,
  release: number,
  paths: readonly string[],
  act: () => Promise<GivenSecret[]>,
): Promise<readonly GivenSecret[]> {
  const object = { kind: 'node', id: uuid };
  const intent = await audit.intend({
    type: 'secret.release',
    actor: nodeActor(uuid),
    object,
    detail: { release, paths },
  });
  if (!intent.ok) throw new AuditError('unavailable', 'the intent could not be recorded, so nothing was given');
  const made = await act().catch(async (error: unknown) => {
    await intent.settle('failure', [], { release, paths });
    throw error;
  });
  const sealed = made.flatMap((one) => ('sealed' in one ? [`${one.path}@${one.sealed.version}`] : []));
  await intent.settle(sealed.length > 0 ? 'success' : 'failure', [], { release, paths: sealed });
  return made;
}

export function nodeActor(uuid: string): Actor {
  return { id: uuid, kind: 'node', auth: 'node-signature' };
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
