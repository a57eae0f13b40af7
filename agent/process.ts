/** The process around the agent's commands: its streams, signals and log. Shared by the checkout and the one-file build. */
import { pino } from 'pino';
import { keepMemoryOutOfCores } from '../lib/secrets/core-dumps.ts';
import { runAgent, type Surroundings } from './program.ts';
import { createRedaction } from './redaction.ts';

/** What is particular to how this agent was installed. */
export type Product = Pick<
  Surroundings,
  'agentVersion' | 'executable' | 'programTrees' | 'stateDirectory' | 'updates' | 'watch'
>;

/** Runs one command line of this process and returns its exit code. Never throws. */
export async function runAgentProcess(
  args: readonly string[],
  product: Product,
  stop = new AbortController(),
): Promise<number> {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    // Asked twice, it ends at once: the next run converges from wherever this one was.
    process.on(signal, () => (stop.signal.aborted ? process.exit(130) : stop.abort()));
  }

  // Before anything is opened: what is not there yet can't be dumped.
  keepMemoryOutOfCores();
  const redaction = createRedaction();

  /** What ends the process unforeseen is said without secrets too, and without the source lines that Node would print. */
  process.on('uncaughtException', (error) => {
    process.stderr.write(redaction.text(`fatal: ${error.stack ?? String(error)}\n`));
    process.exit(1);
  });

  return runAgent(args, {
    out: (text) => process.stdout.write(redaction.text(text)),
    err: (text) => process.stderr.write(redaction.text(text)),
    stop: stop.signal,
    ...product,
    redaction,
    logger: pino(
      { base: null, timestamp: pino.stdTimeFunctions.isoTime, hooks: { streamWrite: (line) => redaction.text(line) } },
      pino.destination({ fd: 2, sync: true }),
    ),
  });
}
