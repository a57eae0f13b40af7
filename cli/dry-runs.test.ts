import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NodeView } from '../functions/admin/routes/nodes.ts';
import type { RunView } from '../functions/admin/routes/runs.ts';
import { answerMs, askDryRuns } from './dry-runs.ts';

/** A node, and what it does when it is asked. */
type FakeNode = {
  readonly name: string;
  /** Milliseconds from the order to its dry run; never when left out. */
  readonly answersIn?: number;
  /** Whether a session is open; only gateways that are other processes know when left out. */
  readonly connected?: boolean;
  /** Milliseconds from the order to when a gateway wrote down that it is there. */
  readonly heardIn?: number;
  /** Milliseconds from the order to the end of its session. */
  readonly leavesIn?: number;
  readonly holdsNothing?: boolean;
  readonly ranBefore?: boolean;
  /** Reports a run that is no dry run, right after it was asked. */
  readonly runsToo?: boolean;
};

/** A fleet whose time passes only while somebody waits. */
function createFleet(nodes: readonly FakeNode[]) {
  const clock = { now: 0, requests: 0 };
  const asked = new Map<string, number>();
  const away: string[][] = [];
  const since = (uuid: string) => clock.now - (asked.get(uuid) ?? Number.POSITIVE_INFINITY);
  const runOf = (runId: string, dryRun: boolean) => ({ runId, dryRun, results: [] }) as unknown as RunView;

  const view = (node: FakeNode): NodeView => {
    const isHeard = since(node.name) >= (node.heardIn ?? Number.POSITIVE_INFINITY);
    const hasLeft = since(node.name) >= (node.leavesIn ?? Number.POSITIVE_INFINITY);
    return {
      uuid: node.name,
      name: node.name,
      state: 'active',
      seen: isHeard ? 'just now' : 'long ago',
      ...(node.connected === undefined ? {} : { connected: node.connected && !hasLeft }),
      ...(node.holdsNothing === true ? {} : { release: { number: 1, digest: '' } }),
      lastRun: runsOf(node.name)[0],
    } as unknown as NodeView;
  };
  const runsOf = (uuid: string): readonly RunView[] => {
    const node = nodes.find(({ name }) => name === uuid);
    const isAnswered = since(uuid) >= (node?.answersIn ?? Number.POSITIVE_INFINITY);
    const ran = asked.has(uuid) && node?.runsToo === true ? [runOf(`real of ${uuid}`, false)] : [];
    return [
      ...(isAnswered ? [runOf(`now of ${uuid}`, true)] : []),
      ...ran,
      ...(node?.ranBefore === true ? [runOf(`before of ${uuid}`, true)] : []),
    ];
  };
  const client = {
    async get(path: string) {
      clock.requests += 1;
      const uuid = /^\/v1\/nodes\/([^/]+)\/runs$/.exec(path)?.[1];
      if (uuid === undefined) assert.equal(path, '/v1/nodes');
      return { items: uuid === undefined ? nodes.map(view) : runsOf(uuid) } as never;
    },
    async post(path: string, body: object) {
      const uuid = /^\/v1\/nodes\/([^/]+)\/wake$/.exec(path)?.[1] ?? assert.fail(path);
      assert.deepEqual(body, { run: false, dryRun: true });
      asked.set(uuid, clock.now);
      return view(nodes.find(({ name }) => name === uuid) ?? assert.fail(uuid)) as never;
    },
  };
  const ask = () =>
    askDryRuns(
      {
        client,
        now: () => clock.now,
        pause: async (ms) => {
          clock.now += ms;
        },
        onAway: (gone) => away.push(gone.map(({ name }) => name)),
      },
      nodes.map(view),
    );
  return { clock, asked, away, ask };
}

const names = (nodes: readonly NodeView[]) => nodes.map(({ name }) => name).sort();

test('who has no session is told away at once, is not asked, and nobody waits for it', async () => {
  const fleet = createFleet([
    { name: 'a', connected: true, answersIn: 700, ranBefore: true, runsToo: true },
    { name: 'b', connected: false },
    { name: 'c', connected: true, answersIn: 1_200 },
    { name: 'd', connected: false },
  ]);
  const runs = await fleet.ask();
  assert.deepEqual([...runs.answered].map(([uuid, { runId }]) => [uuid, runId]).sort(), [
    ['a', 'now of a'],
    ['c', 'now of c'],
  ]);
  assert.deepEqual(names(runs.away), ['b', 'd']);
  assert.deepEqual(runs.silent, []);
  assert.deepEqual(fleet.away, [['b', 'd']]);
  assert.deepEqual([...fleet.asked.keys()].sort(), ['a', 'c']);
  assert.equal(fleet.clock.now, 1_250, 'as soon as the last one answered');
  // A list of all each time; each node is looked at when it has reported something.
  assert.equal(fleet.clock.requests, 5 + 3);
});

test('a fleet that is all away is answered without any wait', async () => {
  const fleet = createFleet([
    { name: 'a', connected: false },
    { name: 'b', connected: false },
  ]);
  const runs = await fleet.ask();
  assert.deepEqual(names(runs.away), ['a', 'b']);
  assert.deepEqual([fleet.clock.now, fleet.clock.requests], [0, 0]);
});

test('one that is connected has its own time, and one that answers late keeps nobody from being told', async () => {
  const fleet = createFleet([
    { name: 'a', connected: true, answersIn: 500 },
    { name: 'b', connected: true },
    { name: 'c', connected: true, answersIn: answerMs - 1_000 },
  ]);
  const runs = await fleet.ask();
  assert.deepEqual([...runs.answered.keys()].sort(), ['a', 'c']);
  assert.deepEqual(names(runs.silent), ['b']);
  assert.deepEqual(runs.away, []);
  assert.equal(fleet.clock.now, answerMs);
});

test('where gateways are other processes, who is heard of by none of them is away, long before the time is up', async () => {
  const fleet = createFleet([
    { name: 'a', heardIn: 1_500, answersIn: 2_000 },
    { name: 'b' },
    { name: 'c', heardIn: 400, answersIn: 8_000 },
  ]);
  const runs = await fleet.ask();
  assert.deepEqual([...runs.answered.keys()].sort(), ['a', 'c']);
  assert.deepEqual(fleet.away, [['b']]);
  assert.equal(fleet.clock.now, 8_000);
});

test('one that leaves after it was asked is away, unless it comes back and answers', async () => {
  const fleet = createFleet([
    { name: 'a', connected: true, leavesIn: 300 },
    { name: 'b', connected: true, leavesIn: 300, answersIn: 3_000 },
  ]);
  const runs = await fleet.ask();
  assert.deepEqual(names(runs.away), ['a']);
  assert.deepEqual([...runs.answered.keys()], ['b']);
  assert.ok(fleet.clock.now < answerMs / 2, `${fleet.clock.now} ms`);
});

test('one that holds no release has nothing to say, and is not asked', async () => {
  const fleet = createFleet([{ name: 'a', connected: true, holdsNothing: true }]);
  const runs = await fleet.ask();
  assert.deepEqual([runs.answered.size, runs.away.length, runs.silent.length], [0, 0, 0]);
  assert.equal(fleet.asked.size, 0);
});
