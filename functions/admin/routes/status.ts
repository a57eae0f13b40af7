/** The routes about the control plane itself: who asks, and how the fleet stands. */
import { z } from 'zod';
import type { LogSource } from '../../../lib/audit/publication.ts';
import type { FleetDescriptor } from '../../../lib/identity/descriptor.ts';
import { nodeItems, parseNode } from '../../../lib/identity/nodes.ts';
import type { Store } from '../../../lib/store/port.ts';
import { type Route, route } from '../route.ts';
import { base64url, count, releaseRef, role, time, type View } from '../view.ts';
import { isoTime } from './page.ts';
import { readPublished } from './published.ts';

type StatusDeps = {
  readonly store: Store;
  readonly version: string;
  readonly startedAt: number;
  /** The base URL that nodes reach this host by. */
  readonly url: () => string;
  readonly descriptor: FleetDescriptor;
  /** The fleet pin, base64url. */
  readonly pin: string;
  readonly gateway: () => GatewayStatus;
  readonly release: () => { readonly number: number; readonly digest: string } | undefined;
  readonly publication: LogSource;
};

const gatewayStatus = z.strictObject({ address: z.string(), ready: z.boolean(), connections: count });
export type GatewayStatus = View<typeof gatewayStatus>;

const statusView = z
  .strictObject({
    version: z.string(),
    started: time,
    url: z.string(),
    fleet: z.string(),
    pin: base64url,
    operators: z.strictObject({ threshold: z.int().min(1), keys: z.int().min(1) }),
    nodes: z.strictObject({ active: count, quarantined: count, revoked: count }),
    gateway: gatewayStatus,
    release: releaseRef.optional(),
    log: z.strictObject({ origin: z.string(), size: count }),
  })
  .meta({ id: 'Status' });
export type StatusView = View<typeof statusView>;

const whoamiView = z
  .strictObject({
    id: z.string(),
    kind: z.enum(['user', 'api-token', 'local-admin', 'node', 'system', 'unauthenticated']),
    role,
    auth: z.string(),
  })
  .meta({ id: 'Whoami' });
export type WhoamiView = View<typeof whoamiView>;

export function statusRoutes(deps: StatusDeps): Route[] {
  return [
    route({
      method: 'GET',
      path: '/v1/whoami',
      permission: 'self.read',
      answer: whoamiView,
      handler: async ({ principal: { id, kind, role, auth } }): Promise<WhoamiView> => ({ id, kind, role, auth }),
    }),
    route({
      method: 'GET',
      path: '/v1/status',
      permission: 'fleet.read',
      answer: statusView,
      handler: async (): Promise<StatusView> => {
        const nodes = { active: 0, quarantined: 0, revoked: 0 };
        for await (const item of nodeItems(deps.store)) nodes[parseNode(item).state] += 1;
        const release = deps.release();
        const { descriptor } = deps;
        return {
          version: deps.version,
          started: isoTime(deps.startedAt),
          url: deps.url(),
          fleet: descriptor.fleet,
          pin: deps.pin,
          operators: { threshold: descriptor.operators.threshold, keys: descriptor.operators.keys.length },
          nodes,
          gateway: deps.gateway(),
          ...(release === undefined ? {} : { release }),
          log: { origin: descriptor.log.origin, size: (await readPublished(deps)).size },
        };
      },
    }),
  ];
}
