/** The routes about nodes: see them, quarantine, recover and revoke them. */
import { z } from 'zod';
import type { AuditLog } from '../../../lib/audit/port.ts';
import { identityFingerprint } from '../../../lib/identity/fingerprint.ts';
import { parseUuid } from '../../../lib/identity/names.ts';
import {
  getNode,
  type NodeOrder,
  type NodeRecord,
  nodeKey,
  nodePartitions,
  parseNode,
  quarantineNode,
  recoverNode,
  revokeNode,
} from '../../../lib/identity/nodes.ts';
import { wakeNode } from '../../../lib/identity/wake.ts';
import type { Store } from '../../../lib/store/port.ts';
import { Problem } from '../problem.ts';
import { type Route, route } from '../route.ts';
import { labels, uuid as nodeUuid, pageSchema, releaseRef, time, type View } from '../view.ts';
import { isoTime, type PageOf, pageOf, pageQuery, positionOf } from './page.ts';

type NodeRouteDeps = {
  readonly store: Store;
  readonly audit: AuditLog;
  readonly now: () => number;
  /** Whether a node has a session open; not there where the gateways are other processes. */
  readonly connected?: (uuid: string) => boolean;
};

const nodeView = z
  .strictObject({
    uuid: nodeUuid,
    name: z.string(),
    labels,
    state: z.enum(['active', 'quarantined', 'revoked']),
    platform: z.string(),
    /** Id of the token that it was enrolled with. */
    token: z.string(),
    fingerprint: z.string(),
    enrolled: time,
    revoked: time.optional(),
    certificateExpires: time.optional(),
    seen: time.optional(),
    /** Whether it has a session open, where the API knows that. */
    connected: z.boolean().optional(),
    release: releaseRef.optional(),
    agentVersion: z.string().optional(),
    /** The newest run that it reported. */
    lastRun: z.strictObject({ runId: nodeUuid, started: time, dryRun: z.boolean() }).optional(),
  })
  .meta({ id: 'Node' });
/** A node as the API shows it. */
export type NodeView = View<typeof nodeView>;

/** The parser owns the pattern. */
const uuid = z.string().transform((text, context) => {
  try {
    return parseUuid(text);
  } catch (_malformed) {
    context.addIssue({ code: 'custom', message: 'not a UUID in lower case' });
    return z.NEVER;
  }
});

/** A node in a path. */
export const nodeParams = z.strictObject({ uuid });

const orderBody = z.strictObject({
  reason: z
    .string()
    .min(1)
    .max(200)
    .refine((reason) => !/\p{Cc}/u.test(reason), 'must not have control characters')
    .optional(),
});

/** A dry run says how the machine stands against the release that it holds, and changes nothing. */
const wakeBody = z.strictObject({ run: z.boolean().optional(), dryRun: z.boolean().default(false) });

export function nodeRoutes(deps: NodeRouteDeps): Route[] {
  const order = (path: string, act: (deps: NodeRouteDeps, order: NodeOrder) => Promise<NodeRecord>) =>
    route({
      method: 'POST',
      path: `/v1/nodes/:uuid/${path}`,
      permission: 'fleet.write',
      schema: { params: nodeParams, body: orderBody },
      answer: nodeView,
      handler: async ({ principal, params, body }) =>
        viewOf(await act(deps, { uuid: params.uuid, actor: principal, ...body } as NodeOrder), deps),
    });
  return [
    route({
      method: 'GET',
      path: '/v1/nodes',
      permission: 'fleet.read',
      schema: {
        query: z.strictObject({ ...pageQuery, state: z.enum(['active', 'quarantined', 'revoked']).optional() }),
      },
      answer: pageSchema(nodeView),
      handler: ({ query }) => pageOfNodes(deps, query),
    }),
    route({
      method: 'GET',
      path: '/v1/nodes/:uuid',
      permission: 'fleet.read',
      schema: { params: nodeParams },
      answer: nodeView,
      handler: async ({ params }) => {
        const node = await getNode(deps.store, params.uuid);
        if (node === undefined) throw new Problem('not-found', `no node has the UUID ${params.uuid}`);
        return viewOf(node, deps);
      },
    }),
    order('revoke', revokeNode),
    order('quarantine', quarantineNode),
    order('recover', recoverNode),
    route({
      method: 'POST',
      path: '/v1/nodes/:uuid/wake',
      permission: 'fleet.write',
      schema: { params: nodeParams, body: wakeBody },
      answer: nodeView,
      handler: async ({ principal, params, body }) =>
        viewOf(
          await wakeNode(deps, {
            uuid: params.uuid,
            actor: principal,
            run: body.run ?? !body.dryRun,
            dryRun: body.dryRun,
          }),
          deps,
        ),
    }),
  ];
}

/** In order of UUID, across the partitions that nodes are spread over; a page ends at the last UUID shown. */
async function pageOfNodes(
  deps: NodeRouteDeps,
  query: { readonly limit: number; readonly cursor?: string | undefined; readonly state?: string | undefined },
): Promise<PageOf<NodeView>> {
  const list = query.state === undefined ? 'nodes' : `nodes that are ${query.state}`;
  const items: NodeView[] = [];
  let after: string | undefined = positionOf(list, query.cursor, parseUuidPosition);
  const first = after === undefined ? 0 : nodePartitions.indexOf(nodeKey(after).pk);
  for (const pk of nodePartitions.slice(first)) {
    do {
      // Of nodes in one state there may be few among many.
      const limit = query.state === undefined ? query.limit : 500;
      const page = await deps.store.query({ pk, limit, ...(after === undefined ? {} : { after }) });
      for (const item of page.items) {
        const node = parseNode(item);
        if (query.state !== undefined && node.state !== query.state) continue;
        items.push(viewOf(node, deps));
        if (items.length === query.limit) return pageOf(list, items, node.uuid);
      }
      after = page.next;
    } while (after !== undefined);
  }
  return { items };
}

/** For lists in order of UUID. */
export function parseUuidPosition(text: string): string | undefined {
  return uuid.safeParse(text).data;
}

function viewOf(node: NodeRecord, { connected }: Pick<NodeRouteDeps, 'connected'>): NodeView {
  return {
    uuid: node.uuid,
    name: node.name,
    labels: node.labels,
    state: node.state,
    platform: node.platform,
    token: node.token,
    fingerprint: identityFingerprint(node.identityKey),
    enrolled: isoTime(node.enrolledAt),
    ...(node.revokedAt === undefined ? {} : { revoked: isoTime(node.revokedAt) }),
    ...(node.certificateExpiresAt === undefined ? {} : { certificateExpires: isoTime(node.certificateExpiresAt) }),
    ...(node.seenAt === undefined ? {} : { seen: isoTime(node.seenAt) }),
    ...(connected === undefined ? {} : { connected: connected(node.uuid) }),
    ...(node.release === undefined ? {} : { release: node.release }),
    ...(node.agentVersion === undefined ? {} : { agentVersion: node.agentVersion }),
    ...(node.lastRun === undefined ? {} : { lastRun: lastRunView(node.lastRun) }),
  };
}

function lastRunView({ runId, at, dryRun }: NonNullable<NodeRecord['lastRun']>): NonNullable<NodeView['lastRun']> {
  return { runId, started: isoTime(at), dryRun };
}
