/** The routes that show drift: of one node, and of the whole fleet, node by node. */
import { z } from 'zod';
import { getNode, nodePartitions } from '../../../lib/identity/nodes.ts';
import type { Item, Store } from '../../../lib/store/port.ts';
import { type DriftCause, driftKey, isFlapping, parseDrift } from '../../gateway/drift.ts';
import { Problem } from '../problem.ts';
import { type Route, route } from '../route.ts';
import { nodeParams } from './nodes.ts';
import { isoTime, type PageOf, pageQuery } from './page.ts';

/** Every text in it came from the node. */
export type DriftEventView = {
  readonly at: string;
  readonly run: string;
  readonly cause: DriftCause;
  readonly result: string;
  readonly reason: string;
  readonly release: number;
};

/** One resource of one node, its newest event first. */
export type DriftView = {
  readonly node: string;
  readonly resource: string;
  /** Came back from outside again and again within a day. */
  readonly flapping: boolean;
  /** How many of the kept events came from outside. */
  readonly outside: number;
  readonly events: readonly DriftEventView[];
};

type DriftDeps = { readonly store: Store; readonly now: () => number };

const driftQuery = {
  ...pageQuery,
  /** Only what changed by this cause. */
  cause: z.enum(['outside', 'ours']).optional(),
  flapping: z.enum(['true']).optional(),
};
type Filters = z.output<z.ZodObject<typeof driftQuery>>;

export function driftRoutes(deps: DriftDeps): Route[] {
  return [
    route({
      method: 'GET',
      path: '/v1/drift',
      permission: 'fleet.read',
      schema: { query: z.strictObject(driftQuery) },
      handler: ({ query }) => pageOfDrift(deps, query),
    }),
    route({
      method: 'GET',
      path: '/v1/nodes/:uuid/drift',
      permission: 'fleet.read',
      schema: { params: nodeParams, query: z.strictObject(driftQuery) },
      handler: async ({ params, query }): Promise<PageOf<DriftView>> => {
        if ((await getNode(deps.store, params.uuid)) === undefined)
          throw new Problem('not-found', `no node has the UUID ${params.uuid}`);
        const skip = query.cursor === undefined ? 0 : offsetOf(query.cursor, params.uuid);
        const views = viewsOf(await deps.store.get(driftKey(params.uuid)), query, deps.now());
        return pageFrom(views, skip, query.limit, params.uuid);
      },
    }),
  ];
}

/** In order of UUID; the cursor is the node and how many of its resources were shown. */
async function pageOfDrift({ store, now }: DriftDeps, query: Filters): Promise<PageOf<DriftView>> {
  const items: DriftView[] = [];
  const [start = '', shown = 0] = query.cursor === undefined ? [] : [nodeOf(query.cursor), offsetOf(query.cursor)];
  const partitions = nodePartitions.map((pk) => pk.replace(/^node/, 'drift'));
  const first = start === '' ? 0 : partitions.indexOf(`drift#${start.slice(0, 1)}`);
  for (const pk of partitions.slice(first)) {
    let after: string | undefined;
    do {
      const from = start === '' ? {} : { from: start };
      const page = await store.query({ pk, limit: 50, ...from, ...(after === undefined ? {} : { after }) });
      for (const item of page.items) {
        const views = viewsOf(item, query, now());
        const skip = item.sk === start ? shown : 0;
        const part = pageFrom(views, skip, query.limit - items.length, item.sk);
        items.push(...part.items);
        if (part.next !== undefined) return { items, next: part.next };
        if (items.length === query.limit) return { items, next: `${item.sk}.${views.length}` };
      }
      after = page.next;
    } while (after !== undefined);
  }
  return { items };
}

function pageFrom(views: readonly DriftView[], skip: number, limit: number, uuid: string): PageOf<DriftView> {
  const items = views.slice(skip, skip + limit);
  const shown = skip + items.length;
  return shown < views.length ? { items, next: `${uuid}.${shown}` } : { items };
}

function viewsOf(item: Item | undefined, { cause, flapping }: Filters, now: number): readonly DriftView[] {
  const { resources } = parseDrift(item);
  return resources.flatMap((drifted) => {
    const events = drifted.events.filter((event) => cause === undefined || event.cause === cause);
    const isRestless = isFlapping(drifted, now);
    if (events.length === 0 || (flapping !== undefined && !isRestless)) return [];
    return [
      {
        node: item?.sk ?? '',
        resource: drifted.resource,
        flapping: isRestless,
        outside: drifted.events.filter((event) => event.cause === 'outside').length,
        events: events.map(({ at, runId, ...event }) => ({ at: isoTime(at), run: runId, ...event })),
      },
    ];
  });
}

const cursorPattern = /^([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\.([0-9]{1,4})$/;

function nodeOf(cursor: string): string {
  return partsOf(cursor)[0];
}

function offsetOf(cursor: string, uuid?: string): number {
  const [node, offset] = partsOf(cursor);
  if (uuid !== undefined && node !== uuid) throw badCursor();
  return offset;
}

function partsOf(cursor: string): readonly [string, number] {
  const [, node, offset] = cursorPattern.exec(cursor) ?? [];
  if (node === undefined || offset === undefined) throw badCursor();
  return [node, Number(offset)];
}

function badCursor(): Problem {
  return new Problem('invalid-request', 'query.cursor: not one that this list gave');
}
