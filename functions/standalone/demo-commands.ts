/** The product's own commands, run as anybody would run them, for the demonstration. */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export type Ran = { readonly code: number; readonly out: string; readonly err: string };

const entries = {
  holdfast: fileURLToPath(new URL('../../cli/holdfast.mjs', import.meta.url)),
  'holdfast-agent': fileURLToPath(new URL('../../agent/holdfast-agent.mjs', import.meta.url)),
} as const;

export type Program = keyof typeof entries;

export type Commands = {
  /** Runs a command to its end; a non-zero code is for the caller to judge. */
  run(program: Program, args: readonly string[]): Promise<Ran>;
  /** Starts a command that stays, with its log in an open file. */
  start(program: Program, args: readonly string[], logFd: number): ChildProcess;
};

/** Commands in `environment`. */
export function createCommands(environment: NodeJS.ProcessEnv): Commands {
  return {
    run: (program, args) => run(program, args, environment),
    start: (program, args, logFd) =>
      spawn(process.execPath, [entries[program], ...args], { stdio: ['ignore', logFd, logFd], env: environment }),
  };
}

function run(program: Program, args: readonly string[], env: NodeJS.ProcessEnv): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [entries[program], ...args], { stdio: ['ignore', 'pipe', 'pipe'], env });
    let out = '';
    let err = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      out += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      err += text;
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code: code ?? 1, out, err }));
  });
}

/** Asks a started command to stop and waits until it has. */
export async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const cut = setTimeout(() => child.kill('SIGKILL'), 5_000);
  await gone;
  clearTimeout(cut);
}
