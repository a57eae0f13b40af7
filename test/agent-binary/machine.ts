/** A machine with an installed agent: the folder of the programs, the state, and the process of its service. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RingView } from '../../functions/admin/routes/artifacts.ts';
import type { TestFleet } from '../e2e/fleet.ts';
import { type BuiltAgent, project } from './builds.ts';

/** Nothing of this machine's, Node least of all. */
const bareEnvironment = { PATH: '/nonexistent' };

export type Machine = {
  readonly root: string;
  readonly program: string;
  readonly state: string;
  run(...args: string[]): Promise<{ readonly status: number | null; readonly stdout: string; readonly stderr: string }>;
  /** Starts the service; its log so far is in `log`. */
  start(): ChildProcess;
  readonly log: string[];
  updateState(): Record<string, unknown> | undefined;
  stop(): Promise<void>;
};

export function installAt(t: TestContext, directory: string, build: BuiltAgent): Machine {
  const root = join(directory, 'opt/holdfast-agent');
  mkdirSync(root, { recursive: true });
  const program = join(root, 'holdfast-agent');
  copyFileSync(build.program, program);
  chmodSync(program, 0o755);
  copyFileSync(build.manifest, `${program}.manifest`);
  const state = join(directory, 'var/lib/holdfast-agent');
  let service: ChildProcess | undefined;
  const log: string[] = [];
  const machine: Machine = {
    root,
    program,
    state,
    log,
    run: (...args) => runProgram(program, args, { env: bareEnvironment, cwd: directory }),
    start() {
      service = spawn(program, ['service', '--state', state, '--interval', '1'], {
        env: bareEnvironment,
        cwd: directory,
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      for (const stream of [service.stdout, service.stderr]) {
        stream?.on('data', (chunk: Buffer) => void log.push(chunk.toString()));
      }
      return service;
    },
    updateState() {
      const path = join(root, 'update.json');
      return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : undefined;
    },
    async stop() {
      if (service === undefined || service.exitCode !== null || service.signalCode !== null) return;
      const ended = new Promise((resolve) => service?.once('close', resolve));
      service.kill('SIGTERM');
      const late = setTimeout(() => service?.kill('SIGKILL'), 20_000);
      await ended;
      clearTimeout(late);
    },
  };
  t.after(() => machine.stop());
  return machine;
}

/** Polls until it is so; says what was logged when it never is. */
export async function until(what: string, machine: Machine, isSo: () => boolean | Promise<boolean>, withinMs = 90_000) {
  const end = Date.now() + withinMs;
  while (Date.now() < end) {
    if (await isSo()) return;
    await sleep(200);
  }
  throw new Error(`never came: ${what}\n${machine.log.join('')}`);
}

/** Beside this process: the control plane is in it, and must go on answering. */
function runProgram(
  program: string,
  args: readonly string[],
  options: { readonly env: NodeJS.ProcessEnv; readonly cwd: string },
): ReturnType<Machine['run']> {
  return new Promise((resolve) => {
    const child = execFile(program, args, { ...options, encoding: 'utf8' }, (_error, stdout, stderr) =>
      resolve({ status: child.exitCode, stdout, stderr }),
    );
  });
}

/** `holdfast` on the fleet's state directory, as local-admin. Throws what it said when it fails. */
export async function holdfast(fleet: TestFleet, ...args: string[]): Promise<string> {
  const all = [join(project, 'cli/holdfast.mjs'), '--state', fleet.state, ...args];
  const { status, stdout, stderr } = await runProgram(process.execPath, all, { env: process.env, cwd: project });
  if (status !== 0) throw new Error(`holdfast ${args.join(' ')}: ${stderr}`);
  return stdout;
}

export async function ringOf(fleet: TestFleet, name: string): Promise<RingView | undefined> {
  const { items } = await fleet.client.get<{ items: readonly RingView[] }>('/v1/rings');
  return items.find(({ ring }) => ring === name);
}
