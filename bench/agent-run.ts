/**
 * What a run of the agent costs when there is nothing to do: 1,000 resources of the kinds that a server has, checked by
 * the real engine on the real file system, in a process of its own. Beside it, in another process, what the agent does
 * around that in each run: it verifies the release that it holds, prepares its resources and writes the report.
 *
 *   node bench/agent-run.ts
 */
import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ResourceOutcome } from '../agent/engine.ts';
import type { Json } from '../lib/crypto/jcs.ts';
import type { PolicyTrust } from '../lib/policy/verify.ts';
import type { AgentFleet } from '../test/fakes/agent.ts';

const targets = { cpuMs: 150, rssMiB: 120, startMs: 300, wholeCpuMs: undefined } as const;
type Figures = { readonly [key in keyof typeof targets]?: number };

/** What the measured processes are given. */
type Setup = { readonly resources: readonly Resource[]; readonly stateDirectory: string; readonly trust: PolicyTrust };

const node = { uuid: '6b1f0a52-8f0e-4c57-9d3c-2f5f1f0c9a11', name: 'node', labels: {} };
const program = fileURLToPath(import.meta.url);

type Resource = { crate: string; type: string; id: string; desired: { [field: string]: Json } };

/** 500 files, 150 lines, 100 directories, 100 symlinks, 100 packages, 50 users. */
async function makeResources(directory: string, { put }: AgentFleet): Promise<Resource[]> {
  const resources: Resource[] = [];
  const add = (type: string, id: string, desired: Resource['desired']) =>
    resources.push({ crate: 'bench', type, id, desired });
  for (let index = 0; index < 100; index += 1) {
    const folder = join(directory, `d${index}`);
    await mkdir(folder, { mode: 0o755 });
    add('directory', folder, { path: folder, mode: '0755' });
    for (let number = 0; number < 5; number += 1) {
      const path = join(folder, `file${number}`);
      const text = `setting = ${index}\n`.repeat(100);
      await writeFile(path, text, { mode: 0o644 });
      add('file', path, { path, content: put(Buffer.from(text)) });
    }
    const link = join(folder, 'link');
    await symlink('file0', link);
    add('symlink', link, { path: link, target: 'file0' });
    const path = join(folder, 'lines');
    await writeFile(path, 'a=1\nb=2\n', { mode: 0o644 });
    add('line', `${path}#a=`, { path, line: 'a=1', prefix: 'a=' });
    if (index % 2 === 0) {
      add('line', `${path}#b=2`, { path, line: 'b=2' });
      add('user', `user${index}`, { name: `user${index}`, state: 'absent' });
    }
    add('package', `package${index}`, { name: `package${index}`, state: 'absent' });
  }
  return resources;
}

/** In a process that is measured: the agent's own modules and one run. */
async function measureRun({ resources }: Setup): Promise<Figures> {
  // What Node itself takes, before anything of ours is loaded.
  const runtimeRss = process.memoryUsage.rss();
  const { runResources } = await import('../agent/engine.ts');
  const machine = await openMachine([]);
  const startMs = performance.now();
  const before = process.cpuUsage();
  const outcomes = await runResources({ ...machine, blob: async () => new Uint8Array() }, resources, { dryRun: false });
  const cpuMs = cpuSince(before);
  assertUnchanged(outcomes);
  return { cpuMs, rssMiB: (process.memoryUsage.rss() - runtimeRss) / 1024 / 1024, startMs };
}

/** In another: the same resources as a signed release, from what is on disk to the report. */
async function measureWhole({ stateDirectory, trust }: Setup): Promise<Figures> {
  const { converge } = await import('../agent/converge.ts');
  const { openHeldRelease } = await import('../agent/held-release.ts');
  const { openStateDirectory } = await import('../agent/state.ts');
  const { checkoutTrees } = await import('../agent/checkout.ts');
  const state = await openStateDirectory(stateDirectory);
  const machine = await openMachine([stateDirectory, ...checkoutTrees]);
  const before = process.cpuUsage();
  const { outcomes, error } = await converge(
    {
      ...machine,
      now: Date.now,
      node,
      held: openHeldRelease(state, trust, node),
      runId: randomUUID,
      facts: () => Promise.reject(new Error('no resource asks for facts')),
    },
    { dryRun: false },
  );
  const wholeCpuMs = cpuSince(before);
  if (error !== '' || outcomes.length === 0) {
    throw new Error(`the release was not followed: ${error}`);
  }
  assertUnchanged(outcomes);
  return { wholeCpuMs };
}

async function openMachine(trees: readonly string[]) {
  const { executors } = await import('../agent/executors/registry.ts');
  const { createLocalHost } = await import('../agent/local-host.ts');
  const { memoryNotifications } = await import('../agent/notifications.ts');
  const { allOf, protectTrees, systemTrees } = await import('../agent/guard.ts');
  const { protectByRules } = await import('../agent/rules-guard.ts');
  return {
    executors,
    host: createLocalHost(),
    guard: allOf(protectTrees([...systemTrees, ...trees]), protectByRules()),
    notifications: memoryNotifications(),
    now: () => performance.now(),
    deadline: (timeoutMs: number) => AbortSignal.timeout(timeoutMs),
  };
}

function cpuSince(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

function assertUnchanged(outcomes: readonly ResourceOutcome[]): void {
  const wrong = outcomes.find(({ result }) => result !== 'unchanged');
  if (wrong !== undefined) {
    throw new Error(`not everything was as desired: ${JSON.stringify(wrong)}`);
  }
}

async function main(): Promise<void> {
  const { createAgentFleet } = await import('../test/fakes/agent.ts');
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-bench-'));
  try {
    const fleet = createAgentFleet();
    const resources = await makeResources(directory, fleet);
    const stateDirectory = join(directory, 'state');
    await hold(fleet, resources, stateDirectory);
    const file = join(directory, 'setup.json');
    await writeFile(file, JSON.stringify({ resources, stateDirectory, trust: fleet.trust } satisfies Setup));
    const runs = Array.from({ length: 5 }, () => ({ ...figuresOf('run', file), ...figuresOf('whole', file) }));
    console.log(`${resources.length} resources, nothing to do; best of ${runs.length} runs`);
    for (const [key, target] of Object.entries(targets) as [keyof Figures, number | undefined][]) {
      const best = Math.min(...runs.map((run) => run[key] ?? Number.NaN));
      const verdict = target === undefined ? '' : `  target < ${target}${best < target ? '' : '  MISSED'}`;
      console.log(`${key.padEnd(10)} ${best.toFixed(0).padStart(6)}${verdict}`);
      if (target !== undefined && !(best < target)) {
        process.exitCode = 1;
      }
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Signs a release of the resources, and has the agent hold it. */
async function hold(fleet: AgentFleet, resources: readonly Resource[], stateDirectory: string): Promise<void> {
  const { openHeldRelease } = await import('../agent/held-release.ts');
  const { openStateDirectory } = await import('../agent/state.ts');
  const now = Date.now();
  const crate = resources.map(({ type, id, desired }) => ({ type, id, desired }));
  const release = fleet.publish(crate, { created: now, expires: now + 24 * 3600_000 });
  const held = openHeldRelease(await openStateDirectory(stateDirectory, { create: true }), fleet.trust, node);
  await held.adopt(release, { now, download: fleet.download });
}

function figuresOf(what: 'run' | 'whole', file: string): Figures {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, what, file], { encoding: 'utf8' });
  if (status !== 0) {
    throw new Error(stderr);
  }
  return JSON.parse(stdout);
}

const [what, file] = process.argv.slice(2);
if (file === undefined) {
  await main();
} else {
  const setup: Setup = JSON.parse(await readFile(file, 'utf8'));
  const figures = await (what === 'run' ? measureRun(setup) : measureWhole(setup));
  process.stdout.write(JSON.stringify(figures));
  process.exit(0);
}
