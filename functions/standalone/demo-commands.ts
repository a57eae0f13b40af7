/** The product's own commands, run as anybody would run them, for the demonstration. */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';

export type Ran = { readonly code: number; readonly out: string; readonly err: string };

/** Loaders, beside the server's own directory. */
const loaders = { holdfast: 'holdfast.mjs', 'holdfast-agent': '../agent/holdfast-agent.mjs' } as const;

export type Program = keyof typeof loaders;

export type Commands = {
  /** Runs a command to its end; a non-zero code is for the caller to judge. */
  run(program: Program, args: readonly string[]): Promise<Ran>;
  /** Starts a command that stays, with its log in an open file. */
  start(program: Program, args: readonly string[], logFd: number): ChildProcess;
};

/** Commands of the build whose server lies in `directory`, in `environment`; each passes its own startup gate. */
export function createCommands(directory: string, environment: NodeJS.ProcessEnv): Commands {
  const argsOf = (program: Program, args: readonly string[]) => [
    '--disable-sigusr1', // or its gate would start it a second time
    join(directory, loaders[program]),
    ...args,
  ];
  return {
    run: (program, args) => run(argsOf(program, args), environment),
    start: (program, args, logFd) =>
      spawn(process.execPath, argsOf(program, args), { stdio: ['ignore', logFd, logFd], env: environment }),
  };
}

function run(args: readonly string[], env: NodeJS.ProcessEnv): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'], env });
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
