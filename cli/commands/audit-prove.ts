/** `holdfast audit prove`: the proof of one entry, which anybody can check offline (C2SP tlog-proof). */
import { Command, InvalidArgumentError } from 'commander';
import type { CheckpointView } from '../../functions/admin/routes/audit.ts';
import { formatProof, proveEntry } from '../../lib/audit/proof.ts';
import type { LogSource } from '../../lib/audit/publication.ts';
import { parseVerifierKey } from '../../lib/crypto/note.ts';
import type { Client } from '../client.ts';
import { withClient } from '../command.ts';
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
      const prove = async (source: LogSource, key: string) => {
        const verifier = parseVerifierKey(key);
        return proveEntry({ source, origin: verifier.name, verifiers: [verifier] }, index);
      };
      const proof =
        log === undefined
          ? await withClient(command, async (client) => {
              const own = await readOwnFleet(command);
              await requireSameFleet(client, own);
              const { note } = await client.get<CheckpointView>('/v1/audit/checkpoint');
              return prove(clientSource(client, note), own.descriptor.log.key);
            })
          : await prove(openSource(log), await readKey(log, flags, command, terminal));
      terminal.out(formatProof(proof));
    });
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
