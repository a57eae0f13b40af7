/**
 * What a run of the agent costs when there is nothing to do: 1,000 resources of the kinds that a server has, checked by
 * the real engine on the real file system, in a process of its own.
 *
 *   node bench/agent-run.ts
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const targets = { cpuMs: 150, rssMiB: 120, startMs: 300 } as const;
const program = fileURLToPath(import.meta.url);

type Resource = { crate: string; type: string; id: string; desired: { [field: string]: unknown } };

/** 500 files, 150 lines, 100 directories, 100 symlinks, 100 packages, 50 users. */
async function makeResources(directory: string): Promise<Resource[]> {
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
      const sha256 = createHash('sha256').update(text).digest('hex');
      add('file', path, { path, content: { sha256, bytes: text.length } });
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

/** In the process that is measured: the agent's own modules and one run. */
async function measure(resourcesFile: string): Promise<void> {
  const { readFile } = await import('node:fs/promises');
  const resources: Resource[] = JSON.parse(await readFile(resourcesFile, 'utf8'));
  // What Node itself takes, before anything of ours is loaded.
  const runtimeRss = process.memoryUsage.rss();
  const { runResources } = await import('../agent/engine.ts');
  const { executors } = await import('../agent/executors/registry.ts');
  const { createLocalHost } = await import('../agent/local-host.ts');
  const { memoryNotifications } = await import('../agent/notifications.ts');
  const { allOf, protectTrees, systemTrees } = await import('../agent/guard.ts');
  const { protectByRules } = await import('../agent/rules-guard.ts');
  const loadedMs = performance.now();
  const before = process.cpuUsage();
  const outcomes = await runResources(
    {
      executors,
      host: createLocalHost(),
      guard: allOf(protectTrees(systemTrees), protectByRules()),
      notifications: memoryNotifications(),
      blob: async () => new Uint8Array(),
      now: () => performance.now(),
      deadline: (timeoutMs) => AbortSignal.timeout(timeoutMs),
    },
    resources,
    { dryRun: false },
  );
  const { user, system } = process.cpuUsage(before);
  const wrong = outcomes.filter(({ result }) => result !== 'unchanged');
  if (wrong.length > 0) {
    throw new Error(`not everything was as desired: ${JSON.stringify(wrong[0])}`);
  }
  const cpuMs = (user + system) / 1000;
  const rssMiB = (process.memoryUsage.rss() - runtimeRss) / 1024 / 1024;
  process.stdout.write(JSON.stringify({ cpuMs, rssMiB, startMs: loadedMs }));
  process.exit(0);
}

async function main(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-bench-'));
  try {
    const resources = await makeResources(directory);
    const file = join(directory, 'resources.json');
    await writeFile(file, JSON.stringify(resources));
    const runs = Array.from({ length: 5 }, () => {
      const { status, stdout, stderr } = spawnSync(process.execPath, [program, file], { encoding: 'utf8' });
      if (status !== 0) {
        throw new Error(stderr);
      }
      return JSON.parse(stdout) as { [key in keyof typeof targets]: number };
    });
    console.log(`${resources.length} resources, nothing to do; best of ${runs.length} runs`);
    for (const [key, target] of Object.entries(targets) as [keyof typeof targets, number][]) {
      const best = Math.min(...runs.map((run) => run[key]));
      console.log(
        `${key.padEnd(8)} ${best.toFixed(0).padStart(6)}  target < ${target}${best < target ? '' : '  MISSED'}`,
      );
      if (best >= target) {
        process.exitCode = 1;
      }
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

await (process.argv[2] === undefined ? main() : measure(process.argv[2]));
