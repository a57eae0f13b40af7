/** `holdfast audit prove`: the proof of one entry, which anybody can check offline (C2SP tlog-proof). */
import { Command, InvalidArgumentError } from 'commander';
import { AuditError } from '../../lib/audit/port.ts';
import { type EntryProof, formatProof, parseProof, proveEntry, verifyProof } from '../../lib/audit/proof.ts';
import type { LogSource } from '../../lib/audit/publication.ts';
import { parseVerifierKey } from '../../lib/crypto/note.ts';
import type { Client } from '../client.ts';
import { withClient } from '../command.ts';
import { CliError } from '../errors.ts';
import { fleetOption, readOwnFleet, requireSameFleet } from '../fleet.ts';
import type { Terminal } from '../terminal.ts';
import { keyOption, openSource, readKey } from './audit-source.ts';

type ProveFlags = { readonly logKey?: string; readonly fleet?: string };

export function proveCommand(terminal: Terminal): Command {
  return new Command('prove')
    .description('print the proof that an entry is in the log; verified before it is printed')
    .argument('<seq>', 'index of the entry, as `audit list` shows it', parseIndex)
    .argument('[log]', 'an export, a copy of the published files, or the URL of them (default: ask the server)')
    .option(...keyOption)
    .option(...fleetOption)
    .addHelpText(
      'after',
      '\nExample:\n  holdfast audit prove 17 > 17.tlog-proof && holdfast audit verify 17.tlog-proof\n',
    )
    .action(async (index: number, log: string | undefined, flags: ProveFlags, command: Command) => {
      const proof =
        log === undefined
          ? await withClient(command, async (client) => {
              const own = await readOwnFleet(command);
              await requireSameFleet(client, own);
              return askForProof(client, index, own.descriptor.log.key);
            })
          : await proveFrom(openSource(log), index, await readKey(log, flags, command, terminal));
      terminal.out(formatProof(proof));
    });
}

async function proveFrom(source: LogSource, index: number, key: string): Promise<EntryProof> {
  const verifier = parseVerifierKey(key);
  return proveEntry({ source, origin: verifier.name, verifiers: [verifier] }, index);
}

/** The server's proof, believed only when it proves this entry under the operator's own copy of the log's key. */
export async function askForProof(client: Pick<Client, 'getBytes'>, index: number, key: string): Promise<EntryProof> {
  const bytes = await client.getBytes(`/v1/audit/entries/${index}/proof`);
  if (bytes === undefined)
    throw new CliError('failure', `there is no entry ${index} that is signed`, {
      hint: 'a new entry is signed within a second; `holdfast audit list` shows which there are',
    });
  const verifier = parseVerifierKey(key);
  try {
    const proof = parseProof(Buffer.from(bytes).toString('utf8'));
    if (proof.extra === undefined || proof.index !== index)
      throw new AuditError('malformed', `it is not the proof of entry ${index}`);
    verifyProof(proof, proof.extra, { origin: verifier.name, verifiers: [verifier] });
    return proof;
  } catch (cause) {
    if (!(cause instanceof AuditError)) throw cause;
    throw new CliError('verification', `the server's proof does not hold: ${cause.message}`, {
      hint: 'keep what it sent: the log may have been changed, or what answers has not the key of this fleet',
      cause,
    });
  }
}

/** The published files over the admin API, under one checkpoint. */
export function clientSource(client: Client, note: string): LogSource {
  return {
    read: async (path) =>
      path === 'checkpoint' ? new TextEncoder().encode(note) : client.getBytes(`/v1/audit/${path}`),
  };
}

function parseIndex(text: string): number {
  if (!/^(0|[1-9][0-9]{0,14})$/.test(text)) throw new InvalidArgumentError('an index is a decimal number');
  return Number(text);
}
