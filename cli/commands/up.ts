/** `holdfast up`: runs an embedded control plane in the foreground until it is told to stop. */
import { readFile } from 'node:fs/promises';
import { Command } from 'commander';
import { StandaloneError } from '../../functions/standalone/errors.ts';
import { createServerLog } from '../../functions/standalone/log.ts';
import { requireGate } from '../../gate/required.ts';
import { toBase64url } from '../../lib/crypto/encoding.ts';
import type { VerifiedProgram } from '../../lib/crypto/program.ts';
import { keepMemoryOutOfCores } from '../../lib/secrets/core-dumps.ts';
import { collect, globalsOf, parseCount } from '../command.ts';
import { CliError } from '../errors.ts';
import type { Terminal } from '../terminal.ts';

type UpOptions = {
  readonly operatorKey?: readonly string[];
  readonly threshold?: number;
  readonly name?: string;
  readonly host?: readonly string[];
  readonly listen?: string;
};

export function upCommand(terminal: Terminal): Command {
  return new Command('up')
    .description('run a control plane on this machine until it is told to stop')
    .option('--operator-key <file>', "first start: an operator's SSH public key; repeatable", collect)
    .option('--threshold <n>', 'first start: how many operators must sign a release (default 1)', parseCount)
    .option('--name <fleet>', 'first start: name of the fleet (default holdfast)')
    .option('--host <name>', 'name or address by which nodes reach this machine; repeatable', collect)
    .option('--listen <address>', 'address to bind (default 127.0.0.1)')
    .addHelpText(
      'after',
      '\nThe first start founds the fleet: its CA, its log key, and who may sign policy. Nodes pin all of that.' +
        '\n\nExamples:\n  holdfast up --operator-key ~/.ssh/id_ed25519.pub\n' +
        '  holdfast up --operator-key a.pub --operator-key b.pub --threshold 2 --host cp.example.org --listen 0.0.0.0\n',
    )
    .action(async (options: UpOptions, command: Command) => {
      const { state, json } = globalsOf(command);
      const program = requireGate();
      keepMemoryOutOfCores();
      const stopped = terminal.stopped();
      const server = await open(state, options, program, terminal);
      const { url, gateway, fleet } = server;
      const pin = toBase64url(fleet.pin);
      if (json) terminal.out(`${JSON.stringify({ url, gateway, fleet: fleet.descriptor.fleet, pin })}\n`);
      else terminal.out(`${url}\n`);
      terminal.err(`fleet ${fleet.descriptor.fleet}, pin ${pin}\ngateway ${gateway}, state ${state}\n`);
      if (server.founded)
        terminal.err(`founded: keep a copy of ${server.paths.operatorFleet} apart from this machine\n`);
      await stopped;
      await server.close().catch((cause: unknown) => {
        throw new CliError('failure', 'the server did not stop in order', {
          hint: 'nothing that was acknowledged is lost: the next start goes on from there',
          cause,
        });
      });
      terminal.err('stopped\n');
    });
}

async function open(state: string, options: UpOptions, program: VerifiedProgram, terminal: Terminal) {
  const operatorKeys = (await Promise.all((options.operatorKey ?? []).map(readPublicKeys))).flat();
  // Only here: the whole server is behind this import, and every other verb is to start without it.
  const { startStandalone } = await import('../../functions/standalone/compose.ts');
  try {
    return await startStandalone({
      stateDirectory: state,
      version: program.version,
      program,
      logger: createServerLog({ write: (line) => terminal.err(line) }),
      founding: { name: options.name ?? 'holdfast', operatorKeys, threshold: options.threshold ?? 1 },
      ...(options.listen === undefined ? {} : { listen: options.listen }),
      ...(options.host === undefined ? {} : { names: options.host }),
    });
  } catch (error) {
    if (error instanceof StandaloneError)
      throw new CliError('failure', error.message, { hint: error.hint, cause: error });
    throw error;
  }
}

/** Every key of the file, one a line; a private key is refused before anything of it is shown or sent. */
async function readPublicKeys(path: string): Promise<string[]> {
  const text = await readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw new CliError('failure', `can't read the operator key ${path} (${cause.code})`, {
      hint: 'name the public half, such as ~/.ssh/id_ed25519.pub',
      cause,
    });
  });
  if (text.includes('PRIVATE KEY'))
    throw new CliError('usage', `${path} is a private key`, { hint: `give its public half: ${path}.pub` });
  return text.split(/\r?\n/).filter((line) => line.trim() !== '' && !line.startsWith('#'));
}
