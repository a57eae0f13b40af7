/**
 * What operators do with secrets: each change is an intent in the audit log, then the act, then its outcome together
 * with the new epoch. No entry ever holds a value, nor its length or digest.
 */
import type { Actor, AuditLog } from '../audit/port.ts';
import { AuditError } from '../audit/port.ts';
import type { Secret } from '../crypto/secret.ts';
import { raiseEpoch } from './epoch.ts';
import { SecretsError } from './errors.ts';
import { assertValue, type SecretsProvider, type SecretVersion } from './provider.ts';
import { parseSecretPath } from './reference.ts';

export type ManageDeps = { readonly provider: SecretsProvider; readonly audit: AuditLog };

type ChangeType = 'secret.set' | 'secret.rotate' | 'secret.delete' | 'secret.rotate-master';

/** Gives a secret a new value, which becomes its current version. Throws `SecretsError`. */
export async function setSecret(
  deps: ManageDeps,
  order: { readonly path: string; readonly value: Secret<Uint8Array>; readonly actor: Actor },
): Promise<SecretVersion> {
  const path = parseSecretPath(order.path);
  assertValue(order.value);
  return act(deps, 'secret.set', path, order.actor, async () => {
    const made = await deps.provider.set(path, order.value);
    return { result: made, detail: { version: made.version } };
  });
}

/** As `setSecret`, for a secret that exists. Throws `not_found` otherwise, so that a slip makes no new one. */
export async function rotateSecret(
  deps: ManageDeps,
  order: { readonly path: string; readonly value: Secret<Uint8Array>; readonly actor: Actor },
): Promise<SecretVersion> {
  const path = parseSecretPath(order.path);
  assertValue(order.value);
  if (!(await deps.provider.existing([path])).has(path))
    throw new SecretsError('not_found', `there is no secret ${path}`);
  return act(deps, 'secret.rotate', path, order.actor, async () => {
    const made = await deps.provider.set(path, order.value);
    return { result: made, detail: { version: made.version } };
  });
}

/** Destroys every version. */
export async function deleteSecret(
  deps: ManageDeps,
  order: { readonly path: string; readonly actor: Actor },
): Promise<void> {
  const path = parseSecretPath(order.path);
  if (!(await deps.provider.existing([path])).has(path))
    throw new SecretsError('not_found', `there is no secret ${path}`);
  await act(deps, 'secret.delete', path, order.actor, async () => {
    await deps.provider.delete(path);
    return { result: undefined, detail: {} };
  });
}

/** Puts every secret under a new master key. What nodes hold does not change, so neither does the epoch. */
export async function rotateMasterKey(deps: ManageDeps, order: { readonly actor: Actor }) {
  return act(deps, 'secret.rotate-master', 'master-key', order.actor, async () => {
    const rotated = await deps.provider.rotateMasterKey();
    return { result: rotated, detail: { key: rotated.key, secrets: rotated.secrets } };
  });
}

type Done<T> = { readonly result: T; readonly detail: { readonly [name: string]: string | number } };

async function act<T>(
  { audit }: ManageDeps,
  type: ChangeType,
  id: string,
  actor: Actor,
  change: () => Promise<Done<T>>,
): Promise<T> {
  const kind = type === 'secret.rotate-master' ? 'secrets' : 'secret';
  const intent = await audit.intend({ type, actor, object: { kind, id }, detail: {} });
  if (!intent.ok) throw new AuditError('unavailable', 'the intent could not be recorded, so nothing was done');
  let done: Done<T>;
  try {
    done = await change();
  } catch (error) {
    // It may have been cut short after the value was durable, so nodes are told to look again either way.
    await intent.settle('failure', [raiseEpoch()]);
    throw error;
  }
  await intent.settle('success', type === 'secret.rotate-master' ? [] : [raiseEpoch()], done.detail);
  return done.result;
}
