/** `holdfast node facts`: what a node said of its machine. */
import { Command } from 'commander';
import type { FactsView } from '../../functions/admin/routes/facts.ts';
import { globalsOf, print, withClient } from '../command.ts';
import { formatFields } from '../table.ts';
import type { Terminal } from '../terminal.ts';

export function factsCommand(terminal: Terminal): Command {
  return new Command('facts')
    .description('show what a node says of its machine, by the names that `when` and templates use')
    .argument('<uuid>', 'the node')
    .argument('[path]', 'only this one and what is below it, such as os or os.family')
    .addHelpText('after', '\nExample:\n  holdfast node facts 6b1f0a52-8f0e-4c57-9d3c-2f5f1f0c9a11 os\n')
    .action(async (uuid: string, path: string | undefined, _options: object, command: Command) => {
      const view = await withClient(command, (client) =>
        client.get<FactsView>(`/v1/nodes/${encodeURIComponent(uuid)}/facts`),
      );
      const rows = flatten(view.facts).filter(
        ([name]) => path === undefined || name === path || name.startsWith(`${path}.`) || name.startsWith(`${path}[`),
      );
      print(terminal, command, view, () => formatFields(rows));
      if (!globalsOf(command).json) terminal.err(`reported ${view.reported}\n`);
    });
}

/** Every value with its path: `os.family`, `disks.devices[0].name`. */
function flatten(value: unknown, path = ''): readonly (readonly [string, string])[] {
  if (Array.isArray(value)) {
    const isPlain = value.every((item) => typeof item !== 'object');
    return isPlain ? [[path, value.join(' ') || '-']] : value.flatMap((item, i) => flatten(item, `${path}[${i}]`));
  }
  if (typeof value !== 'object' || value === null) return [[path, String(value) || '-']];
  return Object.entries(value).flatMap(([name, member]) => flatten(member, path === '' ? name : `${path}.${name}`));
}
