/** A build on trial as a process: started, listened to, and ended when it does not prove itself in time. */
import { spawn } from 'node:child_process';
import type { TrialEnd } from './launcher.ts';

/** What a build on trial says to its launcher, over the channel that Node makes between the two. */
export const healthyMessage = 'holdfast-agent: healthy';

export type Trial = {
  readonly program: string;
  readonly args: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
  readonly deadlineMs: number;
  /** Between being asked to end and being ended. */
  readonly graceMs: number;
  /** The launcher was asked to end. */
  readonly stop: AbortSignal;
};

/** Resolves when nothing of the process is left. */
export function superviseTrial(trial: Trial): Promise<TrialEnd> {
  const { program, args, environment, deadlineMs, graceMs, stop } = trial;
  return new Promise((resolve) => {
    let end: TrialEnd = 'exited';
    let grace: NodeJS.Timeout | undefined;
    const child = spawn(program, [...args], { env: environment, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    // Of its own clock, which no step of the machine's clock moves.
    const deadline = setTimeout(() => finish('deadline'), deadlineMs);
    const onStop = () => finish('stopped');
    stop.addEventListener('abort', onStop, { once: true });
    child.on('message', (message) => {
      if (message === healthyMessage) finish('healthy');
    });
    child.on('error', () => undefined);
    child.once('close', settle);
    if (stop.aborted) onStop();

    function finish(how: TrialEnd): void {
      if (grace !== undefined) return;
      end = how;
      // Past its deadline nothing is asked of it: a run that is cut off converges in the next.
      child.kill(how === 'deadline' ? 'SIGKILL' : 'SIGTERM');
      grace = setTimeout(() => child.kill('SIGKILL'), graceMs);
    }

    function settle(): void {
      clearTimeout(deadline);
      clearTimeout(grace);
      stop.removeEventListener('abort', onStop);
      resolve(end);
    }
  });
}
