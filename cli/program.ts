/** The command tree, and the one place where whatever was thrown becomes an exit code and a message. */
import { Command, CommanderError } from 'commander';
import { apiTokenCommand } from './commands/api-token.ts';
import { artifactCommand } from './commands/artifact.ts';
import { auditCommand } from './commands/audit.ts';
import { awsCommand } from './commands/aws.ts';
import { completionCommand } from './commands/completion.ts';
import { complianceCommand } from './commands/compliance.ts';
import { driftCommand } from './commands/drift.ts';
import { loginCommand, logoutCommand, whoamiCommand } from './commands/login.ts';
import { nodeCommand } from './commands/node.ts';
import { policyCommand } from './commands/policy.ts';
import { runCommand } from './commands/run.ts';
import { secretCommand } from './commands/secret.ts';
import { siemCommand } from './commands/siem.ts';
import { statusCommand } from './commands/status.ts';
import { tokenCommand } from './commands/token.ts';
import { upCommand } from './commands/up.ts';
import { userCommand } from './commands/user.ts';
import { exitCodes } from './errors.ts';
import { formatError, toCliError } from './report.ts';
import type { Terminal } from './terminal.ts';
import { productVersion } from './version.ts';

const afterHelp = `
Examples:
  holdfast up --operator-key ~/.ssh/id_ed25519.pub   start a control plane here
  holdfast policy publish ./policy --key ~/.ssh/id_ed25519
  holdfast token create --label role=web             mint a token and print the join command
  holdfast node list
  holdfast audit export ./evidence && holdfast audit verify ./evidence

Data goes to standard output, messages to standard error.
Exit codes: 0 done, 1 failure, 2 wrong usage, 3 refused, 4 server not reachable, 5 verification failed.
`;

export function buildProgram(terminal: Terminal): Command {
  const program = new Command('holdfast')
    .description('A zero-trust control plane: nodes, signed policy, and an audit log that proves itself.')
    .version(productVersion, '-V, --version', 'print the version')
    .option('-s, --state <dir>', 'state directory of the server: speak as local-admin (or HOLDFAST_STATE)', '.holdfast')
    .option('-p, --profile <name>', 'speak as whoever logged in under this name (or HOLDFAST_PROFILE)')
    .option('--config <dir>', 'directory of the profiles (or HOLDFAST_CONFIG)', terminal.configDirectory)
    .option('--json', 'print JSON instead of text', false)
    .helpOption('-h, --help', 'print this help')
    .helpCommand(false)
    .showSuggestionAfterError(true)
    .addHelpText('after', afterHelp);
  for (const make of [
    upCommand,
    loginCommand,
    logoutCommand,
    whoamiCommand,
    statusCommand,
    nodeCommand,
    runCommand,
    driftCommand,
    tokenCommand,
    policyCommand,
    secretCommand,
    artifactCommand,
    auditCommand,
    siemCommand,
    complianceCommand,
    userCommand,
    apiTokenCommand,
    awsCommand,
    completionCommand,
  ])
    program.addCommand(make(terminal));
  applyEnvironment(program, terminal);
  forEachCommand(program, (command) => {
    command.exitOverride();
    command.configureHelp({ showGlobalOptions: true, ...(terminal.width ? { helpWidth: terminal.width } : {}) });
    command.configureOutput({
      writeOut: (text) => terminal.out(text),
      writeErr: (text) => terminal.err(text),
      // Said once, by `runCli`.
      outputError: () => {},
    });
    if (command.commands.length > 0 && command !== program) command.helpCommand(false);
  });
  return program;
}

/** Runs one command line and returns its exit code. Never throws. */
export async function runCli(args: readonly string[], terminal: Terminal): Promise<number> {
  const program = buildProgram(terminal);
  try {
    await program.parseAsync(args, { from: 'user' });
    return exitCodes.ok;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return exitCodes.ok;
    const failure = toCliError(error);
    terminal.err(formatError(failure));
    return exitCodes[failure.exit];
  }
}

/** The environment stands between the command line and the defaults. */
function applyEnvironment(program: Command, { environment }: Terminal): void {
  const { HOLDFAST_STATE: state, HOLDFAST_PROFILE: profile } = environment;
  if (state) program.setOptionValueWithSource('state', state, 'env');
  if (profile) program.setOptionValueWithSource('profile', profile, 'env');
}

function forEachCommand(command: Command, act: (command: Command) => void): void {
  act(command);
  for (const child of command.commands) forEachCommand(child, act);
}
