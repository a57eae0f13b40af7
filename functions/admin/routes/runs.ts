/** The route that shows what a node's agent did: its newest runs, newest first. */
import { z } from 'zod';
import { getNode } from '../../../lib/identity/nodes.ts';
import type { Item, Store } from '../../../lib/store/port.ts';
import { runPartition } from '../../gateway/runs.ts';
import { Problem } from '../problem.ts';
import { type Route, route } from '../route.ts';
import { count, pageSchema, releaseRef, time, uuid, type View } from '../view.ts';
import { nodeParams } from './nodes.ts';
import { isoTime, type PageOf, pageOf, pageQuery, positionOf } from './page.ts';

const stored = z.object({
  runId: z.string(),
  startedAt: z.number(),
  durationMs: z.number(),
  dryRun: z.boolean(),
  release: z.object({ number: z.int(), digest: z.string() }).optional(),
  counts: z.record(z.string(), z.int()),
  results: z.array(
    z.object({ resource: z.string(), result: z.string(), reason: z.string(), durationMs: z.number() }).readonly(),
  ),
  omitted: z.int(),
  droppedRuns: z.int(),
  error: z.string(),
});

const runView = z
  .strictObject({
    runId: uuid,
    started: time,
    durationMs: count,
    dryRun: z.boolean(),
    release: releaseRef.optional(),
    /** How many resources came to which result. */
    counts: z.record(z.string(), count),
    results: z.array(
      z.strictObject({ resource: z.string(), result: z.string(), reason: z.string(), durationMs: count }),
    ),
    /** Results that were counted, and not kept. */
    omitted: count,
    droppedRuns: count,
    /** Why it could not start or was cut short. */
    error: z.string().optional(),
  })
  .meta({ id: 'Run', description: 'What an agent did. Every text in it came from the node.' });
/** A run as the API shows it. Every text in it came from the node. */
export type RunView = View<typeof runView>;

export function runRoutes(deps: { readonly store: Store }): Route[] {
  return [
    route({
      method: 'GET',
      path: '/v1/nodes/:uuid/runs',
      permission: 'fleet.read',
      schema: { params: nodeParams, query: z.strictObject(pageQuery) },
      answer: pageSchema(runView),
      handler: async ({ params, query: { limit, cursor } }): Promise<PageOf<RunView>> => {
        if ((await getNode(deps.store, params.uuid)) === undefined)
          throw new Problem('not-found', `no node has the UUID ${params.uuid}`);
        const list = `runs of ${params.uuid}`;
        const after = positionOf(list, cursor, (text) => text);
        const range = { pk: runPartition(params.uuid), descending: true, limit };
        const page = await deps.store.query({ ...range, ...(after === undefined ? {} : { after }) });
        return pageOf(list, page.items.map(viewOf), page.next);
      },
    }),
    route({
      method: 'GET',
      path: '/v1/nodes/:uuid/runs/:run',
      permission: 'fleet.read',
      schema: { params: runParams },
      answer: runView,
      handler: async ({ params }): Promise<RunView> => {
        const found = await findRuns(deps.store, params.uuid, params.run);
        const [run, second] = found;
        if (run === undefined) throw new Problem('not-found', `node ${params.uuid} has no run ${params.run}`);
        if (second !== undefined) throw new Problem('invalid-request', `path.run: ${found.length} runs begin with it`);
        return viewOf(run);
      },
    }),
  ];
}

/** A run by its UUID, or by the beginning of it. */
const runParams = nodeParams.extend({
  run: z.string().regex(/^[0-9a-f-]{4,36}$/, 'not a UUID of a run, nor the beginning of one'),
});

async function findRuns(store: Store, uuid: string, run: string): Promise<readonly Item[]> {
  const found: Item[] = [];
  let after: string | undefined;
  do {
    const page = await store.query({ pk: runPartition(uuid), ...(after === undefined ? {} : { after }) });
    found.push(...page.items.filter((item) => item.sk.includes(`#${run}`)));
    after = page.next;
  } while (after !== undefined);
  return found;
}

function viewOf(item: Item): RunView {
  const { startedAt, error, ...rest } = stored.parse(item);
  return { ...rest, started: isoTime(startedAt), ...(error === '' ? {} : { error }) };
}
