/** The command tree of `holdfast-agent`, and the one place where whatever was thrown becomes an exit code and a message. */
import { setTimeout as delay } from 'node:timers/promises';
import { Command, CommanderError } from 'commander';
import type { Logger } from 'pino';
import type { ProcessWatch } from '../lib/hardening/watch.ts';
import { openAgent } from './compose.ts';
import { runDaemon } from './daemon.ts';
import type { ResourceOutcome } from './engine.ts';
import { AgentError, type AgentErrorCode, messageOf } from './errors.ts';
import { addInstallCommands } from './install/command.ts';
import { join } from './join.ts';
import { isSupported, unsupported } from './platform/detect.ts';
import type { Redaction } from './redaction.ts';
import { runOnce } from './run-once.ts';
import { defaultStateDirectory } from './state.ts';
import { formatStatus, readStatus } from './status.ts';
import type { Updates } from './updater/updates.ts';

/** Documented in `--help`; scripts and service managers branch on them, so they never change meaning. */
export const exitCodes = { ok: 0, failed: 1, usage: 2, refused: 3, unreachable: 4, configuration: 78 } as const;

const afterHelp = `
Examples:
  holdfast-agent join --server https://holdfast.example:8443 --token hfe_…
  holdfast-agent run                     stay, and hold this machine to its policy
  holdfast-agent run --once --dry-run    say what would change, and change nothing
  holdfast-agent status --json
  holdfast-agent install --dry-run       say what making it a service would do

Exit codes:
  0  done, everything is as desired
  1  a resource failed or was blocked, or a release was refused
  2  wrong usage
  3  the control plane refuses this node
  4  the control plane is not reachable (a run applied what was held)
  78 the state directory is missing, damaged or open to others
`;

const exitOf: { readonly [Code in AgentErrorCode]: number } = {
  not_joined: exitCodes.configuration,
  loose_permissions: exitCodes.configuration,
  bad_state: exitCodes.configuration,
  state_unwritable: exitCodes.failed,
  busy: exitCodes.failed,
  expired_release: exitCodes.failed,
  bad_release: exitCodes.failed,
  unreachable: exitCodes.unreachable,
  refused: exitCodes.refused,
  not_installed: exitCodes.failed,
  usage: exitCodes.usage,
};

/** The process around a command, so that tests can stand in for it. */
export type Surroundings = {
  out(text: string): void;
  err(text: string): void;
  readonly stop: AbortSignal;
  readonly agentVersion: string;
  readonly logger: Logger;
  /** What this program consists of: no policy may touch it. */
  readonly programTrees?: readonly string[];
  /** The one file that this process is; none in a checkout. */
  readonly executable?: string;
  /** Looks for others in this process. */
  readonly watch?: ProcessWatch;
  /** How this agent gives way to a newer build, or why it doesn't. */
  readonly updates?: (logger: Logger) => Updates;
  /** Where the state is kept unless the command line says otherwise. */
  readonly stateDirectory?: string;
  /** As Node names it; the real one when left out. */
  readonly platform?: string;
  /** What the logger and both streams pass through. */
  readonly redaction?: Redaction;
};

const defaultIntervalMinutes = 30;

type RunFlags = {
  readonly state: string;
  readonly once?: boolean;
  readonly dryRun?: boolean;
  readonly interval: string;
};

/** Runs one command line and returns its exit code. Never throws. */
export async function runAgent(args: readonly string[], around: Surroundings): Promise<number> {
  let exitCode: number = exitCodes.ok;
  const platform = around.platform ?? process.platform;
  if (!isSupported(platform)) {
    around.err(`error: ${unsupported(platform)}\n`);
    return exitCodes.configuration;
  }
  const stateDirectory = around.stateDirectory ?? defaultStateDirectory;
  const program = new Command('holdfast-agent')
    .description('Holds this machine to the policy that its fleet’s operators signed.')
    .version(around.agentVersion, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand(false)
    .showSuggestionAfterError(true)
    .addHelpText('after', afterHelp);

  program
    .command('join')
    .description('join a fleet with an enrollment token')
    .requiredOption('--server <url>', 'address of the identity service, https://HOST[:PORT]')
    .requiredOption('--token <token>', 'enrollment token, hfe_…')
    .option('--hostname <name>', 'ask for this name instead of the machine’s own')
    .option('--state <dir>', 'state directory', stateDirectory)
    .action(async (flags: { server: string; token: string; hostname?: string; state: string }) => {
      await onJoin(flags, around);
    });
  program
    .command('run')
    .description('converge: check, act on drift, verify, report')
    .option('--once', 'one check-in and one run, then exit')
    .option('--dry-run', 'say what would change, and change nothing (implies --once)')
    .option('--interval <minutes>', 'between two runs when nothing new arrives', String(defaultIntervalMinutes))
    .option('--state <dir>', 'state directory', stateDirectory)
    .action(async (flags: RunFlags) => {
      exitCode = await onRun(flags, around);
    });
  program
    .command('status')
    .description('who this node is and what it holds; asks nobody')
    .option('--json', 'print JSON')
    .option('--state <dir>', 'state directory', stateDirectory)
    .action(async (flags: { json?: boolean; state: string }) => {
      around.out(formatStatus(await readStatus(flags.state, Date.now()), flags.json === true));
    });
  addInstallCommands(program, around.executable, around.out);
  for (const command of [program, ...program.commands]) {
    command.exitOverride();
    command.configureOutput({ writeOut: around.out, writeErr: around.err, outputError: () => undefined });
  }

  try {
    await program.parseAsync(args, { from: 'user' });
    return exitCode;
  } catch (error) {
    return explain(error, around);
  }
}

async function onJoin(
  flags: { server: string; token: string; hostname?: string; state: string },
  around: Surroundings,
): Promise<void> {
  const { outcome, node } = await join({
    server: flags.server,
    token: flags.token,
    stateDir: flags.state,
    version: around.agentVersion,
    now: Date.now,
    ...(flags.hostname === undefined ? {} : { hostname: flags.hostname }),
  });
  const verb = outcome === 'joined' ? 'Joined' : 'Was already joined to';
  around.out(`${verb} fleet ${node.fleet} as ${node.name} (${node.uuid}).\n`);
  around.out('Next: holdfast-agent run\n');
}

async function onRun(flags: RunFlags, around: Surroundings): Promise<number> {
  const intervalMs = parseInterval(flags.interval);
  const { agentVersion, logger, stop, redaction, programTrees } = around;
  const isOnce = flags.once === true || flags.dryRun === true;
  if (isOnce) {
    // A person reads along: what matters to them is printed, and only errors are logged.
    logger.level = 'error';
  }
  const opened = await openAgent({
    stateDirectory: flags.state,
    agentVersion,
    logger,
    ...(redaction === undefined ? {} : { redaction }),
    ...(programTrees === undefined ? {} : { programTrees }),
  });
  const agent = around.watch === undefined ? opened : { ...opened, watch: around.watch };
  if (!isOnce) {
    const converge = (run?: { secretsOnly?: boolean; dryRun?: boolean }) =>
      agent.converge({ dryRun: false, stop, ...run });
    const sleep = async (ms: number, signal: AbortSignal) => {
      await delay(ms, undefined, { signal }).catch(() => undefined);
    };
    const updates = around.updates?.(logger);
    const deps = { ...agent, converge, sleep, random: Math.random, ...(updates === undefined ? {} : { updates }) };
    await runDaemon(deps, { stop, convergeIntervalMs: intervalMs });
    return exitCodes.ok;
  }
  const onOutcome = (outcome: ResourceOutcome) => around.out(formatOutcome(outcome));
  const { run, isOnline, release } = await runOnce(agent, { dryRun: flags.dryRun === true, stop, onOutcome });
  around.out(formatSummary(run.outcomes, run.report.releaseNumber, flags.dryRun === true));
  if (run.error !== '') {
    around.err(`error: nothing was applied: ${run.error}\n`);
    return exitCodes.failed;
  }
  if (release === 'refused') {
    around.err('error: the control plane offered a release that does not verify; the held one stays\n');
    return exitCodes.failed;
  }
  if (run.outcomes.some(({ result }) => result === 'failed' || result === 'blocked')) {
    return exitCodes.failed;
  }
  if (!isOnline) {
    around.err('error: the control plane is not reachable\nhint: what was held is applied, and the report waits\n');
    return exitCodes.unreachable;
  }
  return exitCodes.ok;
}

function parseInterval(text: string): number {
  const minutes = Number(text);
  if (!Number.isInteger(minutes) || minutes < 1 || minutes > 1440) {
    throw new AgentError('usage', `${JSON.stringify(text)} is not an interval`, {
      hint: 'give whole minutes, from 1 to 1440',
    });
  }
  return minutes * 60_000;
}

function formatOutcome({ resource, result, reason }: ResourceOutcome): string {
  return `${result.padEnd(9)}  ${resource}${reason === '' ? '' : `: ${reason}`}\n`;
}

function formatSummary(outcomes: readonly ResourceOutcome[], release: number, isDryRun: boolean): string {
  if (release === 0) {
    return 'No release is held yet: nothing to do.\n';
  }
  const counts = new Map<string, number>();
  for (const { result } of outcomes) {
    counts.set(result, (counts.get(result) ?? 0) + 1);
  }
  const listed = [...counts].map(([result, count]) => `${count} ${result}`).join(', ');
  return `Release ${release}${isDryRun ? ' (dry run)' : ''}: ${listed === '' ? 'no resources for this node' : listed}.\n`;
}

function explain(error: unknown, around: Surroundings): number {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) {
      return exitCodes.ok;
    }
    around.err(`${error.message}\nhint: holdfast-agent --help\n`);
    return exitCodes.usage;
  }
  around.err(`error: ${messageOf(error)}\n`);
  if (error instanceof AgentError) {
    if (error.hint !== undefined) {
      around.err(`hint: ${error.hint}\n`);
    }
    return exitOf[error.code];
  }
  around.logger.error({ err: error }, 'An unexpected error ended the agent.');
  return exitCodes.failed;
}
