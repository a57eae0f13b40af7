/** `holdfast policy freeze` and `thaw`: a time in which nothing new is published. */
import { Command } from 'commander';
import type { FreezeView } from '../../functions/admin/routes/releases.ts';
import { print, withClient } from '../command.ts';
import { printable } from '../printable.ts';
import type { Terminal } from '../terminal.ts';

const path = '/v1/releases/freeze';

export function freezeCommand(terminal: Terminal): Command {
  return new Command('freeze')
    .description('let nothing new be published until somebody thaws; without a reason, say whether that is so')
    .argument('[reason]', 'why, for those who come to publish')
    .addHelpText(
      'after',
      '\nAn earlier release can be restored all the same, by `policy rollback`.\n' +
        '\nExamples:\n  holdfast policy freeze "end of the year"\n  holdfast policy freeze\n',
    )
    .action(async (reason: string | undefined, _options: object, command: Command) => {
      const view = await withClient(command, (client) =>
        reason === undefined ? client.get<FreezeView>(path) : client.post<FreezeView>(path, { reason }),
      );
      print(terminal, command, view, () => [describe(view)]);
    });
}

export function thawCommand(terminal: Terminal): Command {
  return new Command('thaw')
    .description('end a freeze')
    .addHelpText('after', '\nExample:\n  holdfast policy thaw\n')
    .action(async (_options: object, command: Command) => {
      const view = await withClient(command, (client) => client.post<FreezeView>('/v1/releases/thaw', {}));
      print(terminal, command, view, () => [describe(view)]);
    });
}

function describe(view: FreezeView): string {
  if (!view.frozen) return 'not frozen';
  return printable(`frozen since ${view.since} by ${view.by}: ${view.reason}`);
}
