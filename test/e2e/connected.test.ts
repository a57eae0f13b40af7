/** What nodes with an open session get at once, and who is known to have none. No time passes for these agents. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { runCli } from '../../cli/program.ts';
import type { NodeView } from '../../functions/admin/routes/nodes.ts';
import { converge, runUntimed, startFleet, type TestFleet } from './fleet.ts';

/** The node, as soon as it is so. */
async function until(fleet: TestFleet, uuid: string, isSo: (node: NodeView) => boolean): Promise<NodeView> {
  for (;;) {
    const node = await fleet.client.get<NodeView>(`/v1/nodes/${uuid}`);
    if (isSo(node)) return node;
    await delay(20);
  }
}

test('a publish reaches a connected node without its asking, and is applied', async (t) => {
  const fleet = await startFleet(t);
  const { uuid, agent } = await fleet.join('web-1');
  const applied = Promise.withResolvers<{ readonly [resource: string]: string }>();
  runUntimed(t, agent, (results) => {
    if (Object.keys(results).length > 0) applied.resolve(results);
  });
  const before = await until(fleet, uuid, ({ seen }) => seen !== undefined);
  assert.deepEqual([before.connected, before.release], [true, undefined]);

  const path = join(fleet.root, 'motd');
  const { number } = await fleet.publish(`  - file: { path: ${path}, content: hello }\n`);
  assert.deepEqual(await applied.promise, { [`base/file/${path}`]: 'created' });
  assert.equal(await readFile(path, 'utf8'), 'hello');
  assert.equal((await agent.held.floor())?.number, number);
});

test('policy plan --live: who is away is told by its session, and only who is there is waited for', async (t) => {
  const fleet = await startFleet(t);
  const path = join(fleet.root, 'motd');
  await fleet.publish(`  - file: { path: ${path}, content: hello }\n`);
  const [there, away] = [await fleet.join('web-1'), await fleet.join('web-2')];
  await converge(away.agent);
  const ran = Promise.withResolvers<void>();
  runUntimed(t, there.agent, () => ran.resolve());
  await ran.promise;
  await until(fleet, there.uuid, ({ lastRun }) => lastRun !== undefined);
  await writeFile(path, 'drift');

  const said = { out: '', err: '' };
  const args = ['--state', fleet.state, '--json', 'policy', 'plan', join(fleet.directory, 'policy'), '--live'];
  const code = await runCli(args, {
    out: (text) => {
      said.out += text;
    },
    err: (text) => {
      said.err += text;
    },
    width: undefined,
    interactive: false,
    environment: {},
    stopped: () => new Promise(() => undefined),
  });
  assert.equal(code, 0, said.err);
  assert.match(said.err, /away, and taken as reported last: web-2\n/);
  const plan = JSON.parse(said.out) as {
    readonly live: unknown;
    readonly nodes: readonly { readonly name: string; readonly trouble: readonly { readonly result: string }[] }[];
  };
  assert.deepEqual(plan.live, { answered: [there.uuid], away: [away.uuid], silent: [] });
  assert.deepEqual(
    plan.nodes.map(({ name, trouble }) => [name, trouble.map(({ result }) => result)]),
    [['web-1', ['updated']]],
  );
});

test('a node that a gateway told to wake is written down as seen, and one that has no session is not', async (t) => {
  const fleet = await startFleet(t);
  const [there, away] = [await fleet.join('web-1'), await fleet.join('web-2')];
  runUntimed(t, there.agent);
  const { seen: before } = await until(fleet, there.uuid, ({ seen }) => seen !== undefined);
  for (const { uuid } of [there, away]) await fleet.client.post(`/v1/nodes/${uuid}/wake`, { run: false });
  await until(fleet, there.uuid, ({ seen }) => seen !== before);
  const other = await fleet.client.get<NodeView>(`/v1/nodes/${away.uuid}`);
  assert.deepEqual([other.seen, other.connected], [undefined, false]);
});
