/** The entry of the command `holdfast-agent`: the process's streams, signals and log, and nothing else. */
import { readFileSync } from 'node:fs';
import { pino } from 'pino';
import { z } from 'zod';
import { runAgent } from './program.ts';

const manifest = z.object({ version: z.string() });
const { version } = manifest.parse(JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')));

const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  // Asked twice, it ends at once: the next run converges from wherever this one was.
  process.on(signal, () => (stop.signal.aborted ? process.exit(130) : stop.abort()));
}

process.exitCode = await runAgent(process.argv.slice(2), {
  out: (text) => process.stdout.write(text),
  err: (text) => process.stderr.write(text),
  stop: stop.signal,
  agentVersion: version,
  logger: pino({ base: null, timestamp: pino.stdTimeFunctions.isoTime }, pino.destination({ fd: 2, sync: true })),
});
