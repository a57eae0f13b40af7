/** The commands `install` and `uninstall` of the one-file agent. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Command } from 'commander';
import { AgentError, messageOf } from '../errors.ts';
import { detectInit, type InstallRequest, install, uninstall } from './install.ts';
import { type InitSystem, stateDirectory, units } from './units.ts';

type Flags = {
  readonly dryRun?: boolean;
  readonly init?: string;
  readonly destination?: string;
  readonly purge?: boolean;
};

const run = promisify(execFile);

/** Adds both. `executable` is the one file that runs; without one there is nothing to install. */
export function addInstallCommands(
  program: Command,
  executable: string | undefined,
  say: (line: string) => void,
): void {
  const common = (command: Command) =>
    command
      .option('--dry-run', 'say what would be done, and do nothing')
      .option('--init <name>', 'systemd, openrc or launchd, instead of what this machine has')
      .option('--destination <dir>', 'put the files below this directory, and run nothing');
  common(program.command('install').description('put this file in its place and run it as a service'))
    .addHelpText('after', '\nExamples:\n  holdfast-agent install --dry-run\n  sudo ./holdfast-agent install\n')
    .action(async (flags: Flags) => {
      await install(requestOf(flags, executable, say));
    });
  common(program.command('uninstall').description('stop the service and remove what `install` put there'))
    .option('--purge', 'remove the state too: this node can then only join anew')
    .addHelpText('after', '\nExample:\n  sudo holdfast-agent uninstall --dry-run\n')
    .action(async (flags: Flags) => {
      const request = requestOf(flags, executable, say);
      await uninstall({ ...request, ...(flags.purge === true ? { purge: stateDirectory } : {}) });
    });
}

function requestOf(flags: Flags, executable: string | undefined, say: (line: string) => void): InstallRequest {
  if (executable === undefined) {
    throw new AgentError('usage', 'this agent runs from a checkout; only the one file is installed', {
      hint: 'build it with: npm run build:agent',
    });
  }
  return {
    executable,
    init: flags.init === undefined ? detectInit() : parseInit(flags.init),
    dryRun: flags.dryRun === true,
    isRoot: process.getuid?.() === 0,
    say: (line) => say(`${line}\n`),
    ...(flags.destination === undefined ? {} : { destination: flags.destination }),
    async run([file = '', ...args]) {
      try {
        await run(file, args);
      } catch (error) {
        const failure = `${[file, ...args].join(' ')} failed: ${messageOf(error)}`;
        throw new AgentError('not_installed', failure, {
          hint: 'mend that, then run this again: it goes on',
          cause: error,
        });
      }
    },
  };
}

function parseInit(text: string): InitSystem {
  if (!Object.hasOwn(units, text)) {
    throw new AgentError('usage', `${JSON.stringify(text)} is not systemd, openrc or launchd`);
  }
  return text as InitSystem;
}
