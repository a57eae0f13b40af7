/** `holdfast node`: the machines of the fleet. */
import { Command } from 'commander';
import type { DriftView } from '../../functions/admin/routes/drift.ts';
import type { FactsView } from '../../functions/admin/routes/facts.ts';
import type { NodeView } from '../../functions/admin/routes/nodes.ts';
import type { RunView } from '../../functions/admin/routes/runs.ts';
import { allItems } from '../client.ts';
import { globalsOf, print, withClient } from '../command.ts';
import { formatFields, formatTable } from '../table.ts';
import type { Terminal } from '../terminal.ts';
import { show, watchOption } from '../watch.ts';
import { formatDrift } from './drift.ts';
import { factsCommand } from './node-facts.ts';
import { formatRuns } from './run.ts';

export function nodeCommand(terminal: Terminal): Command {
  const node = new Command('node').description('list, inspect, wake, quarantine, recover and revoke nodes');
  node.addCommand(listCommand(terminal));
  node.addCommand(showCommand(terminal));
  node.addCommand(factsCommand(terminal));
  node.addCommand(wakeCommand(terminal));
  node.addCommand(
    orderCommand(terminal, 'quarantine', 'let it check in, but give it no policy and no secrets', 'quarantined'),
  );
  node.addCommand(orderCommand(terminal, 'recover', 'end its quarantine', 'recovered'));
  node.addCommand(orderCommand(terminal, 'revoke', 'shut it out for ever; its UUID never comes back', 'revoked'));
  return node;
}

function listCommand(terminal: Terminal): Command {
  return new Command('list')
    .description('list the nodes')
    .option('--filter <state>', 'only those that are active, quarantined or revoked')
    .option(...watchOption)
    .addHelpText(
      'after',
      '\nExamples:\n  holdfast node list --watch\n  holdfast node list --filter quarantined --json\n',
    )
    .action((options: { filter?: string; watch?: boolean }, command: Command) =>
      show(terminal, command, options, async (client) => {
        const nodes = await Array.fromAsync(
          allItems<NodeView>(client, '/v1/nodes', { state: options.filter, limit: 500 }),
        );
        return { data: nodes, lines: () => formatNodes(nodes, terminal) };
      }),
    );
}

function formatNodes(nodes: readonly NodeView[], terminal: Terminal): readonly string[] {
  if (nodes.length === 0 && terminal.interactive)
    return ['no nodes yet: `holdfast token create` mints a token for the first one'];
  return formatTable(
    [
      { title: 'uuid', cell: (row: NodeView) => row.uuid, whole: true },
      { title: 'name', cell: (row) => row.name },
      { title: 'state', cell: (row) => row.state, whole: true },
      { title: 'release', cell: (row) => row.release?.number },
      { title: 'seen', cell: (row) => row.seen },
      { title: 'labels', cell: (row) => formatLabels(row.labels) },
    ],
    nodes,
    terminal.width,
  );
}

function showCommand(terminal: Terminal): Command {
  return new Command('show')
    .description('show one node, its newest runs and what drifted')
    .argument('<uuid>', 'the node')
    .addHelpText('after', '\nExample:\n  holdfast node show 6b1f0a52-8f0e-4c57-9d3c-2f5f1f0c9a11\n')
    .action(async (uuid: string, _options: object, command: Command) => {
      const path = `/v1/nodes/${encodeURIComponent(uuid)}`;
      const [node, runs, drift, facts] = await withClient(command, (client) =>
        Promise.all([
          client.get<NodeView>(path),
          client.get<{ items: readonly RunView[] }>(`${path}/runs`, { limit: 10 }),
          client.get<{ items: readonly DriftView[] }>(`${path}/drift`, { limit: 10, cause: 'outside' }),
          client.getBytes(`${path}/facts`),
        ]),
      );
      const known = facts === undefined ? undefined : (JSON.parse(Buffer.from(facts).toString('utf8')) as FactsView);
      print(terminal, command, { ...node, runs: runs.items, drift: drift.items, facts: known?.facts }, () => [
        ...formatFields([
          ['uuid', node.uuid],
          ['name', node.name],
          ['state', node.state],
          ['labels', formatLabels(node.labels)],
          ['platform', node.platform],
          ['system', known && summaryOf(known)],
          ['agent', node.agentVersion],
          ['identity key', node.fingerprint],
          ['enrolled', `${node.enrolled} with token ${node.token}`],
          ['certificate expires', node.certificateExpires],
          ['seen', node.seen],
          ['revoked', node.revoked],
          ['release', node.release && `${node.release.number} (${node.release.digest})`],
        ]),
        '',
        ...formatRuns(runs.items, terminal.width),
        ...(drift.items.length === 0
          ? []
          : ['', 'Changed outside of policy:', ...formatDrift(drift.items, terminal.width)]),
      ]);
    });
}

function orderCommand(terminal: Terminal, verb: string, description: string, done: string): Command {
  return new Command(verb)
    .description(description)
    .argument('<uuid>', 'the node')
    .option('--reason <text>', 'why, for the audit log')
    .addHelpText('after', `\nExample:\n  holdfast node ${verb} 6b1f0a52-8f0e-4c57-9d3c-2f5f1f0c9a11 --reason "…"\n`)
    .action(async (uuid: string, options: { reason?: string }, command: Command) => {
      const node = await withClient(command, (client) =>
        client.post<NodeView>(`/v1/nodes/${encodeURIComponent(uuid)}/${verb}`, options),
      );
      print(terminal, command, node, () => [node.uuid]);
      if (!globalsOf(command).json) terminal.err(`${done}\n`);
    });
}

function wakeCommand(terminal: Terminal): Command {
  return new Command('wake')
    .description('have a connected node check in and run now; one that is away does so when it is back')
    .argument('<uuid>', 'the node')
    .option('--no-run', 'only check in')
    .option('--dry-run', 'say how it stands against the release that it holds, and change nothing')
    .addHelpText('after', '\nExample:\n  holdfast node wake 6b1f0a52-8f0e-4c57-9d3c-2f5f1f0c9a11\n')
    .action(async (uuid: string, options: { run: boolean; dryRun?: boolean }, command: Command) => {
      const order = options.dryRun === true ? { run: false, dryRun: true } : { run: options.run };
      const node = await withClient(command, (client) =>
        client.post<NodeView>(`/v1/nodes/${encodeURIComponent(uuid)}/wake`, order),
      );
      print(terminal, command, node, () => [node.uuid]);
      if (!globalsOf(command).json) terminal.err('told to wake\n');
    });
}

/** One line about the machine, by its own word. */
function summaryOf({ facts }: FactsView): string {
  const at = (group: string, name: string): unknown => {
    const members = (facts as { readonly [group: string]: unknown } | null)?.[group];
    return typeof members === 'object' && members !== null ? (members as { [name: string]: unknown })[name] : undefined;
  };
  const bytes = at('memory', 'bytes');
  const memory = typeof bytes === 'number' ? `${(bytes / 2 ** 30).toFixed(1)} GiB` : undefined;
  const count = at('cpu', 'count');
  const parts = [at('os', 'name'), at('kernel', 'arch'), count === undefined ? undefined : `${count} CPUs`, memory];
  return parts.filter((part) => part !== undefined && part !== '').join(', ');
}

function formatLabels(labels: NodeView['labels']): string | undefined {
  const text = Object.entries(labels)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ');
  return text === '' ? undefined : text;
}
