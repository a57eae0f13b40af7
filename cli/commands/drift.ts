/** `holdfast drift`: what was found out of its declared state, and who moved it. */
import { Command, Option } from 'commander';
import type { DriftView } from '../../functions/admin/routes/drift.ts';
import type { NodeView } from '../../functions/admin/routes/nodes.ts';
import { allItems } from '../client.ts';
import { parseCount } from '../command.ts';
import { formatTable } from '../table.ts';
import type { Terminal } from '../terminal.ts';
import { show, watchOption } from '../watch.ts';

export function driftCommand(terminal: Terminal): Command {
  const drift = new Command('drift').description('what was found out of its declared state');
  drift.addCommand(listCommand(terminal));
  return drift;
}

type Options = {
  readonly node?: string;
  readonly cause?: 'outside' | 'ours';
  readonly flapping?: boolean;
  readonly limit: number;
  readonly watch?: boolean;
};

function listCommand(terminal: Terminal): Command {
  return new Command('list')
    .description('list resources that drifted; "outside": under an unchanged release, so not by us')
    .option('--node <uuid>', 'of one node only')
    .addOption(new Option('--cause <cause>', 'only what changed by this cause').choices(['outside', 'ours']))
    .option('--flapping', 'only what comes back again and again')
    .option('--limit <count>', 'at most so many', parseCount, 500)
    .option(...watchOption)
    .addHelpText('after', '\nExamples:\n  holdfast drift list\n  holdfast drift list --flapping --json\n')
    .action((options: Options, command: Command) => {
      const path = options.node === undefined ? '/v1/drift' : `/v1/nodes/${encodeURIComponent(options.node)}/drift`;
      const query = {
        limit: Math.min(options.limit, 500),
        cause: options.cause,
        flapping: options.flapping === true ? 'true' : undefined,
      };
      return show(terminal, command, options, async (client) => {
        const found: DriftView[] = [];
        for await (const view of allItems<DriftView>(client, path, query)) {
          if (found.push(view) >= options.limit) break;
        }
        const uuids = [...new Set(found.map(({ node }) => node))];
        const nodes = await Promise.all(uuids.map((uuid) => client.get<NodeView>(`/v1/nodes/${uuid}`)));
        const names = new Map(nodes.map((node) => [node.uuid, node.name]));
        return { data: found, lines: () => formatDrift(found, terminal.width, (uuid) => names.get(uuid) ?? uuid) };
      });
    });
}

/** A table of drifted resources. Without `nameOf` they are all of one node. */
export function formatDrift(
  drift: readonly DriftView[],
  width: number | undefined,
  nameOf?: (uuid: string) => string,
): string[] {
  const node = nameOf === undefined ? [] : [{ title: 'node', cell: (row: DriftView) => nameOf(row.node) }];
  return formatTable(
    [
      ...node,
      { title: 'last', cell: (row: DriftView) => row.events[0]?.at, whole: true },
      { title: 'cause', cell: (row) => row.events[0]?.cause, whole: true },
      { title: 'outside', cell: (row) => `${row.outside}×${row.flapping ? ' flapping' : ''}`, whole: true },
      { title: 'release', cell: (row) => row.events[0]?.release },
      { title: 'resource', cell: (row) => row.resource },
      { title: 'reason', cell: (row) => row.events[0]?.reason },
    ],
    drift,
    width,
  );
}
