/** A rotation reaches a running agent by itself: no publish, no restart, no waiting for the next run, and nothing else is touched. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { runDaemon } from '../../agent/daemon.ts';
import { startFleet } from './fleet.ts';

test('R16 a rotated secret is applied by the running agent, with what it notifies, and only that', async (t) => {
  const fleet = await startFleet(t);
  const { root, client } = fleet;
  const put = (path: string, value: string) =>
    client.put(`/v1/secrets/${encodeURIComponent(path)}`, new Uint8Array(Buffer.from(value)));
  await put('db/password', 'the first value');
  await put('other', 'another value');
  await fleet.publish(
    [
      `  - file: { path: ${join(root, 'key')}, content: "secret:db/password" }`,
      '    notify: [exec/reload]',
      `  - file: { path: ${join(root, 'other')}, content: "secret:other" }`,
      `  - file: { path: ${join(root, 'plain')}, content: plain }`,
      `  - exec: { name: reload, command: "echo x >> ${join(root, 'reloads')}", refresh: true, unless: "false" }`,
    ].join('\n'),
  );
  const { agent } = await fleet.join('web-1');
  const stop = new AbortController();
  const runs: { readonly only: boolean; readonly results: readonly string[] }[] = [];
  const daemon = runDaemon(
    {
      ...agent,
      async converge(run) {
        const done = await agent.converge({ dryRun: false, ...run });
        const results = done.outcomes.map(({ resource, result }) => `${resource.split('/').at(-1)} ${result}`);
        runs.push({ only: run?.secretsOnly === true, results });
        return done;
      },
      async sleep(ms, signal) {
        await delay(ms, undefined, { signal }).catch(() => undefined);
      },
      random: () => 0.5,
    },
    { stop: stop.signal, convergeIntervalMs: 24 * 3_600_000 },
  );
  t.after(() => stop.abort());
  const until = async (value: string) => {
    while ((await readFile(join(root, 'key'), 'utf8').catch(() => '')) !== value) await delay(20);
  };
  while (runs.length === 0) await delay(20);
  await until('the first value');
  await writeFile(join(root, 'plain'), 'drift, which waits for the next whole run');
  await put('db/password', 'the second value');
  await until('the second value');
  while (!runs.some(({ only, results }) => only && results.length > 0)) await delay(20);
  stop.abort();
  await daemon;
  assert.deepEqual(runs[0]?.results.toSorted(), ['key created', 'other created', 'plain created', 'reload updated']);
  assert.deepEqual(
    runs.filter(({ only, results }) => only && results.length > 0).map(({ results }) => results),
    [['key updated', 'reload updated']],
  );
  assert.equal(await readFile(join(root, 'reloads'), 'utf8'), 'x\nx\n');
});
