/**
 * The entry of `npm start`: the control plane with its demonstration, or alone with `--no-demo`. For everyday use there
 * is `holdfast up`, which runs the same composition.
 */
import { relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { requireGate } from '../../gate/required.ts';
import { toBase64url } from '../../lib/crypto/encoding.ts';
import { keepMemoryOutOfCores } from '../../lib/secrets/core-dumps.ts';
import { startStandalone } from './compose.ts';
import { demoOperator, runDemo } from './demo.ts';
import { createCommands, stop } from './demo-commands.ts';
import { createDemoReport, DemoFailure } from './demo-report.ts';
import { StandaloneError } from './errors.ts';
import { createServerLog } from './log.ts';
import { openStateRoot } from './paths.ts';

const usage = 'usage: npm start [-- [--no-demo] [--state DIR]]\n';

const program = requireGate();
keepMemoryOutOfCores();

// A terminal sends its signal to the whole group, and npm sends it again: only the first one counts.
const stopped = new Promise<void>((resolve) => {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => resolve());
});

process.exitCode = await main().catch((error: unknown) => {
  process.stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\n`);
  if (error instanceof StandaloneError) process.stderr.write(`hint: ${error.hint}\n`);
  return 1;
});
// What could not be closed must not keep the process: all that was acknowledged is durable by now.
setTimeout(() => process.exit(), 1_000).unref();

async function main(): Promise<number> {
  const options = parseOptions();
  if (options === undefined) return 2;
  const out = (text: string) => process.stdout.write(text);
  const report = createDemoReport(out);
  const paths = await openStateRoot(options.state);
  out(`Holdfast. Everything stays in ${options.state}; remove it to begin anew.\n\n`);
  const operator = await demoOperator(paths, report);
  const server = await startStandalone({
    stateDirectory: options.state,
    version: program.version,
    program,
    logger: createServerLog(paths.serverLog),
    founding: { name: 'demo', operatorKeys: [operator.line], threshold: 1 },
  });
  const commands = createCommands(program.directory, process.env);
  let agent: Awaited<ReturnType<typeof runDemo>> | undefined;
  try {
    if (options.demo) agent = await orStopped(runDemo({ server, keyFile: operator.keyFile, report, commands }));
    else out(`${server.url}, gateway ${server.gateway}, pin ${toBase64url(server.fleet.pin)}\n`);
    out(nextCommands(options.state, server.url));
    await stopped;
  } catch (error) {
    if (!(error instanceof DemoFailure)) throw error;
    process.stderr.write(`error: the proof of "${error.step}" failed: ${error.message}\n`);
    process.stderr.write(`hint: the server's log is ${paths.serverLog}\n`);
    return 1;
  } finally {
    if (agent !== undefined) await stop(agent);
    await server.close();
  }
  out('\nStopped. `npm start` goes on from here.\n');
  return 0;
}

/** Told to stop in the middle of the demonstration, it ends there, which is no failure. */
async function orStopped<T>(demo: Promise<T>): Promise<T | undefined> {
  return Promise.race([demo, stopped.then(() => undefined)]);
}

function parseOptions(): { readonly demo: boolean; readonly state: string } | undefined {
  try {
    const { values } = parseArgs({
      options: { 'no-demo': { type: 'boolean', default: false }, state: { type: 'string', default: '.holdfast' } },
    });
    return { demo: !values['no-demo'], state: resolve(values.state) };
  } catch (error) {
    process.stderr.write(`error: ${(error as Error).message}\n${usage}`);
    return undefined;
  }
}

function nextCommands(state: string, url: string): string {
  const shown = relative(process.cwd(), state);
  const flag = shown === '.holdfast' ? '' : ` --state ${shown.startsWith('..') ? state : shown}`;
  return `
API at ${url}. In another terminal:
  npx holdfast status${flag}
  npx holdfast node list${flag}
  npx holdfast audit list${flag}
  npx holdfast token create --label role=demo${flag}

Ctrl-C stops it.
`;
}
