/** The routes that show drift: of one node, and of the whole fleet, node by node. */
import { z } from 'zod';
import { getNode, nodePartitions } from '../../../lib/identity/nodes.ts';
import type { Item, Store } from '../../../lib/store/port.ts';
import { driftKey, isFlapping, parseDrift } from '../../gateway/drift.ts';
import { Problem } from '../problem.ts';
import { type Route, route } from '../route.ts';
import { count, pageSchema, time, uuid, type View } from '../view.ts';
import { nodeParams, parseUuidPosition } from './nodes.ts';
import { isoTime, type PageOf, pageOf, pageQuery, positionOf } from './page.ts';

const driftView = z
  .strictObject({
    node: uuid,
    resource: z.string(),
    /** Came back from outside again and again within a day. */
    flapping: z.boolean(),
    /** How many of the kept events came from outside. */
    outside: count,
    /** Newest first. */
    events: z.array(
      z.strictObject({
        at: time,
        run: uuid,
        cause: z.enum(['outside', 'ours']),
        result: z.string(),
        reason: z.string(),
        release: count,
      }),
    ),
  })
  .meta({ id: 'Drift', description: 'One resource of one node. Every text in it came from the node.' });
/** One resource of one node, its newest event first. Every text in it came from the node. */
export type DriftView = View<typeof driftView>;

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
      answer: pageSchema(driftView),
      handler: ({ query }) => pageOfDrift(deps, query),
    }),
    route({
      method: 'GET',
      path: '/v1/nodes/:uuid/drift',
      permission: 'fleet.read',
      schema: { params: nodeParams, query: z.strictObject(driftQuery) },
      answer: pageSchema(driftView),
      handler: async ({ params, query }): Promise<PageOf<DriftView>> => {
        if ((await getNode(deps.store, params.uuid)) === undefined)
          throw new Problem('not-found', `no node has the UUID ${params.uuid}`);
        const list = listOf(`drift of ${params.uuid}`, query);
        const start = positionOf(list, query.cursor, parsePosition);
        const rows = rowsOf(await deps.store.get(driftKey(params.uuid)), query, deps.now(), start);
        const shown = rows.slice(0, query.limit);
        const more = shown.length < rows.length ? shown.at(-1)?.position : undefined;
        return pageOf(list, shown.map(viewOf), more && formatPosition(more));
      },
    }),
  ];
}

/** In order of UUID, and then what drifted last first; a page ends at a resource of a node. */
async function pageOfDrift({ store, now }: DriftDeps, query: Filters): Promise<PageOf<DriftView>> {
  const list = listOf('drift', query);
  const items: DriftView[] = [];
  const start = positionOf(list, query.cursor, parsePosition);
  const partitions = nodePartitions.map((pk) => pk.replace(/^node/, 'drift'));
  const first = start === undefined ? 0 : partitions.indexOf(driftKey(start.node).pk);
  for (const pk of partitions.slice(first)) {
    let after: string | undefined;
    do {
      const from = start === undefined ? {} : { from: start.node };
      const page = await store.query({ pk, limit: 50, ...from, ...(after === undefined ? {} : { after }) });
      for (const item of page.items) {
        for (const { view, position } of rowsOf(item, query, now(), start)) {
          items.push(view);
          if (items.length === query.limit) return pageOf(list, items, formatPosition(position));
        }
      }
      after = page.next;
    } while (after !== undefined);
  }
  return { items };
}

/** The name of a list, with what it is narrowed to. */
function listOf(name: string, { cause, flapping }: Filters): string {
  return `${name}|${cause ?? ''}|${flapping ?? ''}`;
}

/** Where a row stands: by when it drifted last, and then by its name. What drifts anew goes ahead of every position. */
type Position = { readonly node: string; readonly at: number; readonly resource: string };
type Row = { readonly view: DriftView; readonly position: Position };

/** Of one node, those that stand after `start`. */
function rowsOf(
  item: Item | undefined,
  { cause, flapping }: Filters,
  now: number,
  start: Position | undefined,
): readonly Row[] {
  const node = item?.sk ?? '';
  const rows = parseDrift(item).resources.flatMap((drifted): Row[] => {
    const { resource } = drifted;
    const events = drifted.events.filter((event) => cause === undefined || event.cause === cause);
    const isRestless = isFlapping(drifted, now);
    if (events.length === 0 || (flapping !== undefined && !isRestless)) return [];
    const view = {
      node,
      resource,
      flapping: isRestless,
      outside: drifted.events.filter((event) => event.cause === 'outside').length,
      events: events.map(({ at, runId, ...event }) => ({ at: isoTime(at), run: runId, ...event })),
    };
    return [{ view, position: { node, at: drifted.events[0]?.at ?? 0, resource } }];
  });
  return rows
    .filter(({ position }) => start?.node !== node || comparePositions(position, start) > 0)
    .sort((a, b) => comparePositions(a.position, b.position));
}

function viewOf({ view }: Row): DriftView {
  return view;
}

/** Of one node. */
function comparePositions(a: Position, b: Position): number {
  return b.at - a.at || (a.resource < b.resource ? -1 : Number(a.resource > b.resource));
}

function formatPosition({ node, at, resource }: Position): string {
  return JSON.stringify([node, at, resource]);
}

const storedPosition = z.tuple([z.string().refine((node) => parseUuidPosition(node) === node), z.int(), z.string()]);

function parsePosition(text: string): Position | undefined {
  try {
    const [node, at, resource] = storedPosition.parse(JSON.parse(text));
    return { node, at, resource };
  } catch (_malformed) {
    return undefined;
  }
}
