/** `holdfast audit`: read the audit log, take it away, and verify it without trusting who keeps it. */
import { Command, Option } from 'commander';
import type { CheckpointView, EntryView } from '../../functions/admin/routes/audit.ts';
import { exportLog } from '../../lib/audit/export.ts';
import { formatDescriptor } from '../../lib/identity/descriptor.ts';
import { allItems } from '../client.ts';
import { globalsOf, parseCount, print, withClient } from '../command.ts';
import { fleetOption, readOwnFleet, requireSameFleet } from '../fleet.ts';
import { createProgress } from '../progress.ts';
import { formatTable } from '../table.ts';
import type { Terminal } from '../terminal.ts';
import { clientSource, proveCommand } from './audit-prove.ts';
import { verifyCommand } from './audit-verify.ts';
import { witnessCommand } from './audit-witness.ts';

export function auditCommand(terminal: Terminal): Command {
  const audit = new Command('audit').description('list, prove, export, verify and witness the audit log');
  audit.addCommand(listCommand(terminal));
  audit.addCommand(exportCommand(terminal));
  audit.addCommand(proveCommand(terminal));
  audit.addCommand(verifyCommand(terminal));
  audit.addCommand(witnessCommand(terminal));
  return audit;
}

type ListOptions = {
  readonly limit: number;
  readonly type?: string;
  readonly actor?: string;
  readonly object?: string;
  readonly order: string;
};

function listCommand(terminal: Terminal): Command {
  return new Command('list')
    .description('list entries; reading them leaves an entry too')
    .option('--limit <n>', 'how many at most', parseCount, 50)
    .option('--type <type>', 'only operations of this type, such as node.enroll')
    .option('--actor <id>', 'only what this principal did')
    .option('--object <kind[/id]>', 'only what was done to this, such as node/6b1f0a52-…')
    .addOption(new Option('--order <order>', 'which come first').choices(['newest', 'oldest']).default('newest'))
    .addHelpText(
      'after',
      '\nExamples:\n  holdfast audit list --limit 20\n  holdfast audit list --type node.revoke --json\n',
    )
    .action(async ({ limit, ...filters }: ListOptions, command: Command) => {
      const entries = await withClient(command, async (client) => {
        const found: EntryView[] = [];
        for await (const entry of allItems<EntryView>(client, '/v1/audit/entries', {
          ...filters,
          limit: Math.min(limit, 500),
        })) {
          found.push(entry);
          if (found.length === limit) break;
        }
        return found;
      });
      print(terminal, command, entries, () =>
        formatTable(
          [
            { title: 'index', cell: (row: EntryView) => row.index, whole: true },
            { title: 'time', cell: ({ entry }) => entry.ts, whole: true },
            { title: 'operation', cell: ({ entry }) => entry.op.type, whole: true },
            { title: 'outcome', cell: ({ entry }) => entry.outcome, whole: true },
            { title: 'actor', cell: ({ entry }) => entry.actor.id },
            { title: 'object', cell: ({ entry }) => `${entry.object.kind}/${entry.object.id}` },
          ],
          entries,
          terminal.width,
        ),
      );
    });
}

function exportCommand(terminal: Terminal): Command {
  return new Command('export')
    .description('write the whole log into a directory that anybody can verify')
    .argument('<dir>', 'directory to make; must not exist or be empty')
    .option(...fleetOption)
    .addHelpText('after', '\nExample:\n  holdfast audit export ./evidence && holdfast audit verify ./evidence\n')
    .action(async (directory: string, _options: object, command: Command) => {
      const { descriptor } = await readOwnFleet(command);
      const progress = createProgress(terminal, 'files');
      const { size, root } = await withClient(command, async (client) => {
        await requireSameFleet(client, await readOwnFleet(command));
        const { note } = await client.post<CheckpointView>('/v1/audit/export', {});
        return exportLog({
          source: clientSource(client, note),
          verifierKey: descriptor.log.key,
          directory,
          descriptor: formatDescriptor(descriptor),
          onProgress: progress.show,
        });
      }).finally(progress.end);
      const summary = { directory, size, root: Buffer.from(root).toString('hex') };
      print(terminal, command, summary, () => [directory]);
      if (!globalsOf(command).json) terminal.err(`${size} entries, root ${summary.root}\n`);
    });
}
