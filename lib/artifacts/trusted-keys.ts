/**
 * The artifact keys that the control plane judges uploads by. Set once by an operator, and from then on changed only by
 * a list that the old threshold signed. Nodes have their own, compiled in: what is trusted here decides what is stored
 * and offered, and never what a node runs.
 */
import type { Actor, AuditLog } from '../audit/port.ts';
import type { Key, Store } from '../store/port.ts';
import { ArtifactError } from './errors.ts';
import { type ArtifactKeys, formatKeys, parseKeys } from './keys.ts';
import { RolloutError } from './rollout-errors.ts';
import { followKeys } from './rotation.ts';

const keysKey: Key = { pk: 'artifact', sk: 'keys' };

export async function trustedKeys(store: Pick<Store, 'get'>): Promise<ArtifactKeys | undefined> {
  const item = await store.get(keysKey);
  return typeof item?.['list'] === 'string' ? parseKeys(item['list']) : undefined;
}

/** `list` is the first list's own text or, later, a signed note of the next one. Throws `RolloutError`. */
export async function trustKeys(
  deps: { readonly store: Store; readonly audit: AuditLog },
  order: { readonly list: string; readonly actor: Actor },
): Promise<ArtifactKeys> {
  const held = await trustedKeys(deps.store);
  const keys = read(order.list, held);
  if (held !== undefined && keys.number === held.number) return held;
  const outcome = await deps.audit.append(
    {
      type: 'artifact.trust',
      actor: order.actor,
      object: { kind: 'artifact-keys', id: String(keys.number) },
      outcome: 'success',
      detail: { threshold: keys.threshold, keys: keys.keys.map((key) => key.slice(0, 100)) },
    },
    [
      {
        kind: 'put',
        item: { ...keysKey, number: keys.number, list: formatKeys(keys) },
        when: held === undefined ? { kind: 'absent' } : { kind: 'equals', name: 'number', value: held.number },
      },
    ],
  );
  if (!outcome.ok) throw new RolloutError('conflict', 'the artifact keys were changed in the meantime');
  return keys;
}

function read(list: string, held: ArtifactKeys | undefined): ArtifactKeys {
  try {
    if (held === undefined) return parseKeys(list);
    return formatKeys(held) === list ? held : followKeys(held, [list]);
  } catch (cause) {
    if (!(cause instanceof ArtifactError)) throw cause;
    throw new RolloutError('refused', cause.message, { cause, reason: cause.code });
  }
}
