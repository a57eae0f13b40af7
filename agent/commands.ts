/**
 * Commands: run with a fixed environment and no standard input, their output bounded, and killed with everything they
 * started when their time is up.
 */
import { spawn } from 'node:child_process';
import { quote } from './directories.ts';
import { systemCode } from './errors.ts';
import { type Command, type CommandResult, HostError } from './host.ts';
import type { Redaction } from './redaction.ts';

/** Of stdout and stderr together; the end says most about a failure. */
const maxOutputBytes = 8 * 1024;

/** How long the output of a command that has exited is waited for: a daemon it started may hold the pipes for ever. */
const drainMs = 200;

/**
 * Nothing of the agent's own environment reaches a command: what a run does depends on the release alone.
 * `LC_ALL=C` so that what guards compare is not translated.
 */
const environment = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  LC_ALL: 'C',
  HOME: '/',
};

/** What files get that a command makes with no mode of its own, whatever the agent was started with. */
const commandUmask = 0o022;

/** Runs a command to its end. Throws `timed_out` when the signal fires first, `system` when it can't be started. */
export function runCommand(command: Command & { readonly redaction?: Redaction }): Promise<CommandResult> {
  const [program, ...args] = command.argv;
  return new Promise((resolve, reject) => {
    if (command.signal.aborted) {
      reject(timedOut(program));
      return;
    }
    const child = withUmask(commandUmask, () =>
      spawn(program, args, {
        cwd: command.cwd ?? '/',
        env: { ...environment, ...command.environment },
        stdio: ['pipe', 'pipe', 'pipe'],
        // Its own process group, so that all of it can be killed.
        detached: true,
        ...command.as,
      }),
    );
    // A command needn't read its input to the end.
    child.stdin.on('error', () => undefined);
    child.stdin.end(command.input);
    const output = boundedTail(command.maxOutputBytes ?? maxOutputBytes);
    const stdout = boundedTail(command.maxOutputBytes ?? maxOutputBytes);
    // Before the output is cut to its end, which may begin in the midst of a secret. `stdout` is for programs to read:
    // a secret that happens to be a word of it must not change what they understand.
    const [clearOut, clearErr] = [command.redaction?.stream(), command.redaction?.stream()];
    child.stdout.on('data', (chunk: Buffer) => {
      stdout.add(chunk);
      output.add(clearOut?.push(chunk) ?? chunk);
    });
    child.stderr.on('data', (chunk: Buffer) => output.add(clearErr?.push(chunk) ?? chunk));

    const onAbort = () => {
      killGroup(child.pid);
      child.stdout.destroy();
      child.stderr.destroy();
      reject(timedOut(program));
    };
    command.signal.addEventListener('abort', onAbort, { once: true });

    child.on('error', (error) => {
      command.signal.removeEventListener('abort', onAbort);
      const reason =
        systemCode(error) === 'ENOENT' ? 'the program or its working directory does not exist' : error.message;
      reject(new HostError('system', `can't run ${quote(program)}: ${reason}`, { cause: error }));
    });
    child.on('exit', (code) => {
      command.signal.removeEventListener('abort', onAbort);
      const done = () => {
        clearTimeout(timer);
        child.stdout.destroy();
        child.stderr.destroy();
        output.add(clearOut?.end() ?? Buffer.alloc(0));
        output.add(clearErr?.end() ?? Buffer.alloc(0));
        resolve({ exitCode: code ?? undefined, output: output.text(), stdout: stdout.text() });
      };
      const timer = setTimeout(done, drainMs);
      child.once('close', done);
    });
  });
}

/** Starts something under a umask; `start` is synchronous, so nothing else of this process's sees it. */
function withUmask<T>(umask: number, start: () => T): T {
  const before = process.umask(umask);
  try {
    return start();
  } finally {
    process.umask(before);
  }
}

function timedOut(program: string): HostError {
  return new HostError('timed_out', `${quote(program)} was killed because its time was up`);
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) {
    return;
  }
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (_alreadyGone) {
    // Nothing is left to kill.
  }
}

function boundedTail(maxBytes: number): { add: (chunk: Buffer) => void; text: () => string } {
  let tail = Buffer.alloc(0);
  let cut = false;
  return {
    add(chunk) {
      const all = Buffer.concat([tail, chunk]);
      cut ||= all.length > maxBytes;
      tail = all.subarray(Math.max(0, all.length - maxBytes));
    },
    text: () => `${cut ? '…' : ''}${tail.toString('utf8')}`,
  };
}
