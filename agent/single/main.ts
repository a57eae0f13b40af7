/**
 * The entry of the one-file agent. `holdfast-agent service` is the launcher, which a service manager starts; every
 * other command is run by the build that has proved itself last.
 */
import { existsSync } from 'node:fs';
import { pino } from 'pino';
import { createProbe } from '../../lib/hardening/probe.ts';
import { createProcessWatch } from '../../lib/hardening/watch.ts';
import { runAgentProcess } from '../process.ts';
import { localDisk } from '../updater/disk.ts';
import { type Installation, verifySlot } from '../updater/installed.ts';
import { launch } from '../updater/launcher.ts';
import { type BuildPlace, installedRoot, locate } from '../updater/layout.ts';
import { readUpdateState } from '../updater/state.ts';
import { healthyMessage, superviseTrial } from '../updater/supervise.ts';
import { createUpdates, refuseUpdates, type Updates } from '../updater/updates.ts';
import { becomeBuild, becomeLauncher, isBuild } from './become.ts';
import { readEmbedded } from './embedded.ts';
import { checkSelf } from './self-check.ts';

/** What an agent on trial has, after being asked to end, to finish the step that it is at. */
const trialGraceMs = 20_000;

/** They are about the installation itself, so they are the installed program's. */
const ownCommands = ['service', 'install', 'uninstall', '--version', '-V', '--help', '-h'];

const embedded = readEmbedded();
checkSelf(embedded, process.execPath);
const { layout, place } = locate(process.execPath);
const installation: Installation = { disk: localDisk, layout, ...embedded };

void main(process.argv.slice(2)).then(
  (exitCode) => {
    process.exitCode = exitCode;
  },
  (error: unknown) => {
    process.stderr.write(`fatal: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  },
);

async function main(args: readonly string[]): Promise<number> {
  const [command = '', ...rest] = args;
  if (place === 'own' && command === 'service') return service(rest);
  if (place === 'own' && !ownCommands.includes(command)) {
    const state = await readUpdateState(localDisk, layout);
    if (
      state !== undefined &&
      isBuild(state.active) &&
      !('invalid' in (await verifySlot(installation, state.active)))
    ) {
      return becomeBuild(installation, state.active, args);
    }
  }
  return run(args, { isService: place !== 'own' });
}

/** The launcher's part, until there is a build that needs no watching; then this process is that build. */
async function service(args: readonly string[]): Promise<number> {
  const stop = new AbortController();
  const onSignal = () => stop.abort();
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, onSignal);
  const logger = pino(
    { base: null, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ fd: 2, sync: true }),
  );
  const tryBuild = (slot: 'a' | 'b') =>
    superviseTrial({
      program: layout.program(slot),
      args: ['run', ...args],
      environment: process.env,
      deadlineMs: embedded.trialMs,
      graceMs: trialGraceMs,
      stop: stop.signal,
    });
  const next: BuildPlace | 'stopped' = await launch(installation, { tryBuild }, logger);
  for (const signal of signals) process.off(signal, onSignal);
  if (next === 'stopped' || stop.signal.aborted) return 0;
  if (isBuild(next)) return becomeBuild(installation, next, ['run', ...args]);
  return run(['run', ...args], { isService: true });
}

/** The agent in this process; afterwards, when it took a new build, the launcher. */
async function run(args: readonly string[], { isService }: { readonly isService: boolean }): Promise<number> {
  const stop = new AbortController();
  let isReplaced = false;
  if (process.channel !== undefined) {
    // On trial: without its launcher nobody watches, so it doesn't go on.
    process.once('disconnect', () => stop.abort());
  }
  const exitCode = await runAgentProcess(
    args,
    {
      agentVersion: embedded.version,
      executable: process.execPath,
      programTrees: [layout.root],
      watch: createProcessWatch(createProbe(undefined), Date.now),
      updates: (logger) => (isService ? watched(logger) : unwatched(logger)),
      ...(layout.root === installedRoot || existsSync(layout.stateFile)
        ? { stateDirectory: '/var/lib/holdfast-agent' }
        : {}),
    },
    stop,
  );
  if (process.connected) process.disconnect();
  if (!isReplaced || exitCode !== 0) return exitCode;
  const [, ...rest] = args;
  return becomeLauncher(installation, ['service', ...rest]);

  function watched(logger: Parameters<NonNullable<Parameters<typeof runAgentProcess>[1]['updates']>>[0]): Updates {
    const isOnTrial = process.channel !== undefined;
    const tellHealthy = () => void process.send?.(healthyMessage);
    const updates = createUpdates({ logger, now: Date.now, installation, ...(isOnTrial ? { tellHealthy } : {}) });
    return {
      ...updates,
      pursue: async (session, wanted) => {
        isReplaced ||= await updates.pursue(session, wanted);
        return isReplaced;
      },
    };
  }

  function unwatched(logger: Parameters<typeof watched>[0]): Updates {
    return refuseUpdates('not_installed', { logger, now: Date.now, version: embedded.version });
  }
}
