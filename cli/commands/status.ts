/** `holdfast status`: how the fleet and its control plane stand. */
import { Command } from 'commander';
import type { StatusView } from '../../functions/admin/routes/status.ts';
import { print, withClient } from '../command.ts';
import { formatFields } from '../table.ts';
import type { Terminal } from '../terminal.ts';

export function statusCommand(terminal: Terminal): Command {
  return new Command('status')
    .description('show how the fleet and its control plane stand')
    .addHelpText('after', '\nExample:\n  holdfast status --json\n')
    .action(async (_options: object, command: Command) => {
      const status = await withClient(command, (client) => client.get<StatusView>('/v1/status'));
      const { nodes, operators, release, gateway } = status;
      print(terminal, command, status, () =>
        formatFields([
          ['server', `${status.url} (version ${status.version}, since ${status.started})`],
          ['gateway', `${gateway.address}, ${gateway.ready ? 'ready' : 'NOT READY'}, ${gateway.connections} connected`],
          ['fleet', status.fleet],
          ['fleet pin', status.pin],
          ['operators', `${operators.threshold} of ${operators.keys} must sign a release`],
          ['nodes', `${nodes.active} active, ${nodes.quarantined} quarantined, ${nodes.revoked} revoked`],
          ['release', release === undefined ? 'none yet' : `${release.number} (${release.digest})`],
          ['audit log', `${status.log.size} entries (${status.log.origin})`],
        ]),
      );
    });
}
