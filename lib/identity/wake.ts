/**
 * Waking a node: an operator's order that it check in now. Left in the store, because the gateway that holds the node's
 * session may be another process; each gateway sees it in the change feed, and the one with the session tells the node.
 */
import type { Actor } from '../audit/port.ts';
import { IdentityError } from './errors.ts';
import { getNode, type NodeDeps, type NodeRecord, nodeKey, wakePartition } from './nodes.ts';

/** Throws `IdentityError` `not_found`, or `revoked`. A node that is not connected hears nothing, and checks in in time. */
export async function wakeNode(
  deps: NodeDeps,
  order: { readonly uuid: string; readonly actor: Actor; readonly run: boolean; readonly dryRun?: boolean },
): Promise<NodeRecord> {
  const { uuid, actor, run } = order;
  const asked = order.dryRun === true ? { run, dryRun: true } : { run };
  const object = { kind: 'node', id: uuid };
  const applied = await deps.audit.append({ type: 'node.wake', actor, object, outcome: 'success', detail: asked }, [
    { kind: 'put', item: { pk: wakePartition, sk: uuid, ...asked, at: deps.now() } },
    {
      kind: 'check',
      key: nodeKey(uuid),
      when: {
        kind: 'any',
        of: [
          { kind: 'equals', name: 'state', value: 'active' },
          { kind: 'equals', name: 'state', value: 'quarantined' },
        ],
      },
    },
  ]);
  const node = await getNode(deps.store, uuid);
  if (!node) throw new IdentityError('not_found', `No node has the UUID ${JSON.stringify(uuid)}.`);
  if (!applied.ok) throw new IdentityError('revoked', `Node ${uuid} is revoked, so nothing can wake it.`);
  return node;
}
