/**
 * Commands: run with a fixed environment and no standard input, their output bounded, and killed with everything they
 * started when their time is up.
 */
import { spawn } from 'node:child_process';
import { quote } from './directories.ts';
import { systemCode } from './errors.ts';
import { type Command, type CommandResult, HostError } from './host.ts';

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

/** Runs a command to its end. Throws `timed_out` when the signal fires first, `system` when it can't be started. */
export function runCommand(command: Command): Promise<CommandResult> {
  const [program, ...args] = command.argv;
  return new Promise((resolve, reject) => {
    if (command.signal.aborted) {
      reject(timedOut(program));
      return;
    }
    const child = spawn(program, args, {
      cwd: command.cwd ?? '/',
      env: environment,
      stdio: ['ignore', 'pipe', 'pipe'],
      // Its own process group, so that all of it can be killed.
      detached: true,
    });
    const output = boundedTail(maxOutputBytes);
    child.stdout.on('data', output.add);
    child.stderr.on('data', output.add);

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
        resolve({ exitCode: code ?? undefined, output: output.text() });
      };
      const timer = setTimeout(done, drainMs);
      child.once('close', done);
    });
  });
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
