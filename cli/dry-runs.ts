/**
 * Dry runs on request: each connected node says how it stands against the release that it holds. Who is away is told as
 * soon as it is known, and nobody waits for it; a node that is there has a time of its own to answer.
 */
import type { NodeView } from '../functions/admin/routes/nodes.ts';
import type { RunView } from '../functions/admin/routes/runs.ts';
import { allItems, type Client } from './client.ts';

export type DryRunDeps = {
  readonly client: Pick<Client, 'get' | 'post'>;
  /** Milliseconds from any beginning. */
  readonly now: () => number;
  readonly pause: (ms: number) => Promise<unknown>;
  /** Told once for each node, as soon as it is known to be away. */
  readonly onAway: (nodes: readonly NodeView[]) => void;
};

export type DryRuns = {
  /** By UUID. */
  readonly answered: ReadonlyMap<string, RunView>;
  readonly away: readonly NodeView[];
  /** Connected, and without an answer in its time. */
  readonly silent: readonly NodeView[];
};

/** What a connected node has to answer, from when it was asked. */
export const answerMs = 30_000;
/**
 * How long a node that was asked may seem to be away: it may be moving to another connection. Where the API does not
 * know who is connected, the gateway that holds the session writes down that the node is there, and that takes as long
 * as the gateway needs to hear of the order.
 */
const heardMs = 5_000;
const pollMs = 250;
const concurrent = 8;

/** `newest` is the newest run that was looked at. */
type Asked = { readonly node: NodeView; newest: string | undefined; readonly at: number };

/**
 * A node that holds no release has nothing to compare with, and is not asked. What it holds it says at its next check-in,
 * and what it ran at once.
 */
export async function askDryRuns(deps: DryRunDeps, nodes: readonly NodeView[]): Promise<DryRuns> {
  const { client, now, pause } = deps;
  const answered = new Map<string, RunView>();
  const [away, silent]: [NodeView[], NodeView[]] = [[], []];
  const waiting = new Map<string, Asked>();
  const holding = nodes.filter(({ release, lastRun }) => release !== undefined || lastRun !== undefined);

  const leave = (gone: readonly NodeView[]) => {
    for (const { uuid } of gone) waiting.delete(uuid);
    away.push(...gone);
    if (gone.length > 0) deps.onAway(gone);
  };

  leave(holding.filter(({ connected }) => connected === false));
  await each(
    holding.filter(({ connected }) => connected !== false),
    async (node) => {
      await client.post(`/v1/nodes/${node.uuid}/wake`, { run: false, dryRun: true });
      waiting.set(node.uuid, { node, newest: node.lastRun?.runId, at: now() });
    },
  );
  while (waiting.size > 0) {
    await pause(pollMs);
    const views = new Map<string, NodeView>();
    for await (const view of allItems<NodeView>(client, '/v1/nodes', { limit: 500 })) views.set(view.uuid, view);
    const reported = [...waiting.values()].filter(
      ({ node, newest }) => views.get(node.uuid)?.lastRun?.runId !== newest,
    );
    await each(reported, async (asked) => {
      const { uuid } = asked.node;
      const run = await dryRunSince(client, asked);
      asked.newest = views.get(uuid)?.lastRun?.runId;
      if (run === undefined) return;
      answered.set(uuid, run);
      waiting.delete(uuid);
    });
    leave([...waiting.values()].filter((asked) => isAway(asked, views, now())).map(({ node }) => node));
    for (const { node, at } of [...waiting.values()]) {
      if (now() - at < answerMs) continue;
      silent.push(node);
      waiting.delete(node.uuid);
    }
  }
  return { answered, away, silent };
}

/** By its session where the API knows that, otherwise by what the gateway wrote down since the node was asked. */
function isAway({ node, at }: Asked, views: ReadonlyMap<string, NodeView>, time: number): boolean {
  const view = views.get(node.uuid);
  if (view === undefined || view.state === 'revoked') return true;
  const isThere = view.connected ?? view.seen !== node.seen;
  return !isThere && time - at >= heardMs;
}

/** The newest dry run that a node has reported since it was asked. */
async function dryRunSince(client: Pick<Client, 'get'>, { node, newest }: Asked): Promise<RunView | undefined> {
  const path = `/v1/nodes/${node.uuid}/runs`;
  const { items } = await client.get<{ items: readonly RunView[] }>(path, { limit: 5 });
  const known = items.findIndex(({ runId }) => runId === newest);
  return (known < 0 ? items : items.slice(0, known)).find(({ dryRun }) => dryRun);
}

async function each<T>(items: readonly T[], act: (item: T) => Promise<void>): Promise<void> {
  const left = [...items];
  const work = async () => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await act(item);
  };
  await Promise.all(Array.from({ length: concurrent }, work));
}
