/** `holdfast status`: how the fleet and its control plane stand. */
import { Command } from 'commander';
import type { StatusView } from '../../functions/admin/routes/status.ts';
import { formatFields } from '../table.ts';
import type { Terminal } from '../terminal.ts';
import { show, watchOption } from '../watch.ts';

export function statusCommand(terminal: Terminal): Command {
  return new Command('status')
    .description('show how the fleet and its control plane stand')
    .option(...watchOption)
    .addHelpText('after', '\nExamples:\n  holdfast status --json\n  holdfast status --watch\n')
    .action((options: { watch?: boolean }, command: Command) =>
      show(terminal, command, options, async (client) => {
        const status = await client.get<StatusView>('/v1/status');
        return { data: status, lines: () => formatStatus(status) };
      }),
    );
}

function formatStatus(status: StatusView): string[] {
  const { nodes, operators, release, gateway } = status;
  return formatFields([
    ['server', `${status.url} (version ${status.version}, since ${status.started})`],
    ['gateway', `${gateway.address}, ${gateway.ready ? 'ready' : 'NOT READY'}, ${gateway.connections} connected`],
    ['fleet', status.fleet],
    ['fleet pin', status.pin],
    ['operators', `${operators.threshold} of ${operators.keys} must sign a release`],
    ['nodes', `${nodes.active} active, ${nodes.quarantined} quarantined, ${nodes.revoked} revoked`],
    ['release', release === undefined ? 'none yet' : `${release.number} (${release.digest})`],
    ['audit log', `${status.log.size} entries (${status.log.origin})`],
  ]);
}
