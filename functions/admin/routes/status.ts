/** The routes about the control plane itself: who asks, and how the fleet stands. */
import type { Principal } from '../../../lib/access/principal.ts';
import type { LogSource } from '../../../lib/audit/publication.ts';
import type { FleetDescriptor } from '../../../lib/identity/descriptor.ts';
import { type NodeState, nodeItems, parseNode } from '../../../lib/identity/nodes.ts';
import type { Store } from '../../../lib/store/port.ts';
import { type Route, route } from '../route.ts';
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

export type GatewayStatus = { readonly address: string; readonly ready: boolean; readonly connections: number };

export type StatusView = {
  readonly version: string;
  readonly started: string;
  readonly url: string;
  readonly fleet: string;
  readonly pin: string;
  readonly operators: { readonly threshold: number; readonly keys: number };
  readonly nodes: { readonly [State in NodeState]: number };
  readonly gateway: GatewayStatus;
  readonly release?: { readonly number: number; readonly digest: string };
  readonly log: { readonly origin: string; readonly size: number };
};

export type WhoamiView = Pick<Principal, 'id' | 'kind' | 'role' | 'auth'>;

export function statusRoutes(deps: StatusDeps): Route[] {
  return [
    route({
      method: 'GET',
      path: '/v1/whoami',
      permission: 'self.read',
      handler: async ({ principal: { id, kind, role, auth } }): Promise<WhoamiView> => ({ id, kind, role, auth }),
    }),
    route({
      method: 'GET',
      path: '/v1/status',
      permission: 'fleet.read',
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
