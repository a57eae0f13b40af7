/**
 * Posture of a large fleet on SQLite, through the routes: time, memory, and for how long others had to wait. `node
 * bench/posture.ts [nodes] [days] [crates]`. One process fills the store, another one, without what that left behind,
 * asks: RSS is that of a fresh process, and its growth what the answers cost.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import type { PostureView } from '../functions/admin/posture.ts';
import { newestPostureKey, postureKey } from '../lib/compliance/posture.ts';
import { nodeKey } from '../lib/identity/nodes.ts';
import type { Write } from '../lib/store/port.ts';
import { openSqliteStore } from '../lib/store/sqlite.ts';
import { bearerHeaders, createAdminWorld, testLocalAdminToken, testSite } from '../test/fakes/admin.ts';

const [nodes = 10_000, days = 90, crates = 5] = process.argv.slice(2, 5).map(Number);
const today = Date.UTC(2026, 6, 1, 12);
const dayMs = 86_400_000;
const mib = (bytes: number) => Math.round(bytes / 2 ** 20);
const path = process.argv[5];

if (path === undefined) {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-bench-'));
  const file = join(directory, 'store.sqlite');
  await fill(file);
  const { size } = await stat(file);
  const args = [import.meta.filename, String(nodes), String(days), String(crates), file];
  const asked = spawnSync(process.execPath, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  await rm(directory, { recursive: true, force: true });
  assert.equal(asked.status, 0);
  process.stdout.write(
    `${JSON.stringify({ bench: 'posture', nodes, days, crates, storeMiB: mib(size), ...JSON.parse(asked.stdout) })}\n`,
  );
} else {
  process.stdout.write(JSON.stringify(await ask(path)));
}

async function fill(file: string): Promise<void> {
  const store = openSqliteStore(file, { now: () => today });
  const names = Array.from({ length: crates }, (_, i) => `crate-${i}`);
  for (let n = 0; n < nodes; n++) {
    const uuid = randomUUID();
    const keys = { identityKey: new Uint8Array(32), sealingKey: new Uint8Array(32) };
    const node = { ...nodeKey(uuid), name: `web-${n}`, labels: { role: 'web' }, state: 'active', revision: 1, ...keys };
    const enrolled = { platform: 'linux-x64', token: '0'.repeat(16), enrolledAt: today - days * dayMs };
    const writes: Write[] = [{ kind: 'put', item: { ...node, ...enrolled } }];
    for (let day = 0; day < days; day++) {
      const state = (n + day) % 10 === 0 ? 'drifted' : 'converged';
      const stood = { state, crates: Object.fromEntries(names.map((name) => [name, state])) };
      const name = new Date(today - day * dayMs).toISOString().slice(0, 10);
      if (day === 0) writes.push({ kind: 'put', item: { ...newestPostureKey(uuid), ...stood, day: name } });
      writes.push({
        kind: 'put',
        item: { ...postureKey(uuid, name), ...stood, [state]: 48 },
      });
    }
    for (let start = 0; start < writes.length; start += 100)
      assert.ok((await store.transact(writes.slice(start, start + 100))).ok);
  }
  await store.close();
}

async function ask(file: string) {
  const store = openSqliteStore(file);
  const { app, clock } = await createAdminWorld({ store });
  clock.time = today;
  const headers = { ...bearerHeaders(testLocalAdminToken), 'content-type': 'application/json' };
  const measured: Record<string, object> = {};
  const measure = async (name: string, act: () => Promise<void>) => {
    const before = process.memoryUsage.rss();
    let [peak, longestWait, last] = [before, 0, performance.now()];
    const look = () => {
      const at = performance.now();
      longestWait = Math.max(longestWait, at - last);
      last = at;
      peak = Math.max(peak, process.memoryUsage.rss());
    };
    // What a timer of a millisecond has to wait for is what every other request has to.
    const watch = setInterval(look, 1);
    await new Promise((resolve) => setTimeout(resolve, 20));
    const [started, cpu] = [performance.now(), process.cpuUsage()];
    await act();
    const [ms, { user, system }] = [Math.round(performance.now() - started), process.cpuUsage(cpu)];
    await new Promise((resolve) => setTimeout(resolve, 20));
    clearInterval(watch);
    measured[name] = {
      ms,
      cpuMs: Math.round((user + system) / 1000),
      rssMiB: mib(peak),
      grownMiB: mib(peak - before),
      longestWaitMs: Math.round(longestWait),
    };
  };
  const posture = (count: number) => async () => {
    const response = await app.request(`${testSite}/v1/compliance/posture?days=${count}`, { headers });
    const view = (await response.json()) as PostureView;
    assert.equal(response.status, 200);
    assert.equal(view.days.length, count);
    for (const { converged, drifted } of view.days.slice(-Math.min(days, count)))
      assert.equal(converged + drifted, nodes);
    assert.equal(view.crates.length, crates);
  };
  await measure('first 7 days', posture(7));
  await measure('again 7 days', posture(7));
  await measure('first 90 days', posture(90));
  await measure('again 90 days', posture(90));
  await measure('one page of nodes, 90 days', async () => {
    const response = await app.request(`${testSite}/v1/compliance/nodes?days=90&limit=500`, { headers });
    assert.equal(response.status, 200);
    await response.arrayBuffer();
  });
  await store.close();
  return { measured, rssAtEndMiB: mib(process.memoryUsage.rss()) };
}
