/** The entry of the command `holdfast`: the process's streams, signals and environment, and nothing else. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { runCli } from './program.ts';
import { readSecret } from './secret-input.ts';

// A reader that went away (`| head`) is no failure of ours.
for (const stream of [process.stdout, process.stderr])
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });

process.exitCode = await runCli(process.argv.slice(2), {
  out: (text) => process.stdout.write(text),
  err: (text) => process.stderr.write(text),
  width: process.stdout.isTTY ? process.stdout.columns : undefined,
  interactive: process.stderr.isTTY === true,
  secret: readSecret,
  environment: {
    HOLDFAST_STATE: process.env['HOLDFAST_STATE'],
    HOLDFAST_PROFILE: process.env['HOLDFAST_PROFILE'],
  },
  configDirectory:
    process.env['HOLDFAST_CONFIG'] ?? join(process.env['XDG_CONFIG_HOME'] || join(homedir(), '.config'), 'holdfast'),
  // A terminal sends its signal to the whole group, and a launcher may send it again: only the first one counts.
  stopped: () =>
    new Promise((resolve) => {
      for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => resolve());
    }),
});

// What could not be closed must not keep the process.
setTimeout(() => process.exit(), 1_000).unref();
