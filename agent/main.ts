/** The entry of the command `holdfast-agent`: the process's streams, signals and log, and nothing else. */
import { pino } from 'pino';
import { requireGate } from '../gate/required.ts';
import { keepMemoryOutOfCores } from '../lib/secrets/core-dumps.ts';
import { runAgent } from './program.ts';
import { createRedaction } from './redaction.ts';

const program = requireGate();
const stop = new AbortController();
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

process.exitCode = await runAgent(process.argv.slice(2), {
  out: (text) => process.stdout.write(redaction.text(text)),
  err: (text) => process.stderr.write(redaction.text(text)),
  stop: stop.signal,
  agentVersion: program.version,
  redaction,
  logger: pino(
    { base: null, timestamp: pino.stdTimeFunctions.isoTime, hooks: { streamWrite: (line) => redaction.text(line) } },
    pino.destination({ fd: 2, sync: true }),
  ),
});
