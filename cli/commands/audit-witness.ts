/** `holdfast audit witness`: cosigns checkpoints of logs that it never saw go back, for other people as well as our own. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Command } from 'commander';
import { serveWitness } from '../../functions/witness/server.ts';
import { formatWitnessKey } from '../../lib/audit/cosignature.ts';
import { createWitness } from '../../lib/audit/witness.ts';
import { openWitnessState } from '../../lib/audit/witness-state-directory.ts';
import {
  generateEd25519,
  privateKeyFromPem,
  privateKeyToPem,
  publicKeyOf,
  signEd25519,
} from '../../lib/crypto/ed25519.ts';
import { parseVerifierKey } from '../../lib/crypto/note.ts';
import { collect, parseCount } from '../command.ts';
import { CliError } from '../errors.ts';
import type { Terminal } from '../terminal.ts';

type WitnessFlags = {
  readonly name: string;
  readonly log?: readonly string[];
  readonly listen: string;
  readonly port: number;
};

export function witnessCommand(terminal: Terminal): Command {
  return new Command('witness')
    .description('run a witness (C2SP tlog-witness) in the foreground until it is told to stop')
    .argument('<dir>', 'directory of its key and its memory; made when absent')
    .requiredOption('--name <name>', 'name of the witness, a URL without its scheme')
    .option('--log <key>', 'public key of a log to witness, as NAME+HASH+BASE64; repeatable', collect)
    .option('--listen <address>', 'address to bind', '127.0.0.1')
    .option('--port <n>', 'port to bind', parseCount, 7380)
    .addHelpText(
      'after',
      '\nRun it on a machine that whoever keeps the log can not write to.\n\nExample:\n' +
        '  holdfast audit witness ./witness --name witness.example.org/w1 --log "$(cat log.key)"\n',
    )
    .action(async (directory: string, { name, log = [], listen, port }: WitnessFlags) => {
      if (log.length === 0) throw new CliError('usage', 'a witness needs a log to witness', { hint: 'give --log KEY' });
      await mkdir(directory, { recursive: true, mode: 0o700 });
      const privateKey = privateKeyFromPem(await readKey(join(directory, 'witness.pem')));
      const publicKey = publicKeyOf(privateKey);
      const witness = createWitness({
        name,
        signer: { publicKey, sign: async (message) => signEd25519(privateKey, message) },
        logs: log.map(parseVerifierKey),
        state: await openWitnessState(join(directory, 'logs')),
        now: Date.now,
        onMisbehaviour: ({ held, offered }) =>
          terminal.err(`error: a log signed what does not follow from what was cosigned\n\n${held}\n${offered}\n`),
      });
      const stopped = terminal.stopped();
      const server = await serveWitness(witness, { host: listen, port });
      terminal.out(`witness ${name} ${formatWitnessKey(name, publicKey)} ${server.url}\n`);
      terminal.err('that is its line for a policy file\n');
      await stopped;
      await server.close();
    });
}

/** Made at the first start. */
async function readKey(path: string): Promise<string> {
  const fresh = privateKeyToPem(generateEd25519().privateKey);
  await writeFile(path, fresh, { flag: 'wx', mode: 0o600 }).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== 'EEXIST') throw cause;
  });
  return readFile(path, 'utf8');
}
