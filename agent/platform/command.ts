/** Commands of platforms: run to success, or one error with what they printed. */
import { type Command, type CommandResult, type Host, HostError, type HostView } from '../host.ts';

const maxReasonLength = 1000;

type Wanted = Omit<Command, 'signal'>;

/** Runs a command that changes the machine. Throws `system` unless it exits with 0. */
export async function mustRun(host: Host, signal: AbortSignal, command: Wanted): Promise<CommandResult> {
  const result = await host.run({ ...command, signal });
  if (result.exitCode !== 0) {
    throw failure(command, result);
  }
  return result;
}

/** Runs a command that only looks, and returns its standard output. Throws `system` unless it exits with 0. */
export async function mustProbe(host: HostView, signal: AbortSignal, command: Wanted): Promise<string> {
  const result = await host.probe({ ...command, signal });
  if (result.exitCode !== 0) {
    throw failure(command, result);
  }
  return result.stdout;
}

export function failure(command: Wanted, result: CommandResult): HostError {
  const how = result.exitCode === undefined ? 'was killed by a signal' : `exited with ${result.exitCode}`;
  const output = result.output.trim().slice(-maxReasonLength);
  return new HostError('system', `${command.argv[0]} ${how}${output === '' ? '' : `: ${output}`}`);
}
