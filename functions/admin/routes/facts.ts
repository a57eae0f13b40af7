/** The routes that show what a node said of its machine. For reading only: nothing in the control plane decides by it. */
import { z } from 'zod';
import { fromUtf8 } from '../../../lib/crypto/encoding.ts';
import { type Json, parseCanonicalJson } from '../../../lib/crypto/jcs.ts';
import { getNode } from '../../../lib/identity/nodes.ts';
import { maxFactsBytes } from '../../../lib/policy/facts.ts';
import type { Store } from '../../../lib/store/port.ts';
import { factsKey } from '../../gateway/facts.ts';
import { Problem } from '../problem.ts';
import { type Route, route } from '../route.ts';
import { json, sha256, time, type View } from '../view.ts';
import { nodeParams } from './nodes.ts';
import { isoTime } from './page.ts';

const stored = z.object({ facts: z.instanceof(Uint8Array), digest: z.string(), at: z.number() });

const factsView = z
  .strictObject({ reported: time, digest: sha256, facts: json })
  .meta({ id: 'Facts', description: 'What a node said of its machine.' });
/** Every text in `facts` came from the node. */
export type FactsView = Omit<View<typeof factsView>, 'facts'> & { readonly facts: Json };

export function factRoutes(deps: { readonly store: Store }): Route[] {
  return [
    route({
      method: 'GET',
      path: '/v1/nodes/:uuid/facts',
      permission: 'fleet.read',
      schema: { params: nodeParams },
      answer: factsView,
      handler: async ({ params }): Promise<FactsView> => {
        const item = await deps.store.get(factsKey(params.uuid));
        if (item === undefined) {
          const isKnown = (await getNode(deps.store, params.uuid)) !== undefined;
          const what = isKnown
            ? `node ${params.uuid} has not reported facts yet`
            : `no node has the UUID ${params.uuid}`;
          throw new Problem('not-found', what);
        }
        const { facts, digest, at } = stored.parse(item);
        // Parsed when it was taken; read again as text, so that what is shown is what the digest names.
        parseCanonicalJson(facts, { maxBytes: maxFactsBytes, maxDepth: 8 });
        return { reported: isoTime(at), digest, facts: JSON.parse(fromUtf8(facts)) };
      },
    }),
  ];
}
