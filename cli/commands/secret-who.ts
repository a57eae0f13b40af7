/** `holdfast secret who`: which nodes can read a secret by the current release, and which have, by the audit log. */
import { Command } from 'commander';
import type { ReadersView } from '../../functions/admin/routes/secrets.ts';
import { globalsOf, parseCount, print, withClient } from '../command.ts';
import { formatTable } from '../table.ts';
import type { Terminal } from '../terminal.ts';
import { parsePath, secretUrl } from './secret-path.ts';

export function whoCommand(terminal: Terminal): Command {
  return new Command('who')
    .description('show which nodes can read a secret, and which have read it, when, at which version')
    .argument('<path>', 'the secret, such as db/password', parsePath)
    .option('--limit <count>', 'how many past reads to show, the newest first', parseCount, 50)
    .addHelpText('after', '\nExample:\n  holdfast secret who db/password\n')
    .action(async (path: string, { limit }: { limit: number }, command: Command) => {
      const readers = await withClient(command, (client) =>
        client.get<ReadersView>(`${secretUrl(path)}/readers`, { limit }),
      );
      print(terminal, command, readers, () => linesOf(readers, terminal.width));
      if (!globalsOf(command).json && readers.next !== undefined)
        terminal.err('there are older reads; raise --limit\n');
    });
}

function linesOf({ can, read, size }: ReadersView, width: number | undefined): readonly string[] {
  const names = new Map(can.map(({ uuid, name }) => [uuid, name]));
  return [
    'can read it now, by the current release:',
    ...formatTable(
      [
        { title: 'node', cell: (row: ReadersView['can'][number]) => row.name },
        { title: 'uuid', cell: (row) => row.uuid, whole: true },
      ],
      can,
      width,
    ),
    '',
    `have read it, by ${size} sealed entries of the audit log:`,
    ...formatTable(
      [
        { title: 'when', cell: (row: ReadersView['read'][number]) => row.at, whole: true },
        { title: 'node', cell: (row) => names.get(row.uuid) },
        { title: 'uuid', cell: (row) => row.uuid, whole: true },
        { title: 'version', cell: (row) => String(row.version) },
        { title: 'release', cell: (row) => String(row.release) },
      ],
      read,
      width,
    ),
  ];
}
