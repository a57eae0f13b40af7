/** `holdfast run`: what the agents of nodes did, run by run. */
import { Command } from 'commander';
import type { RunView } from '../../functions/admin/routes/runs.ts';
import { allItems, type Client } from '../client.ts';
import { parseCount } from '../command.ts';
import { formatDurationMs } from '../duration.ts';
import { printable } from '../printable.ts';
import { formatFields, formatTable } from '../table.ts';
import type { Terminal } from '../terminal.ts';
import { show, watchOption } from '../watch.ts';

export function runCommand(terminal: Terminal): Command {
  const run = new Command('run').description('list and inspect what agents did');
  run.addCommand(listCommand(terminal));
  run.addCommand(showCommand(terminal));
  return run;
}

function listCommand(terminal: Terminal): Command {
  return new Command('list')
    .description('list the newest runs of a node, newest first')
    .argument('<uuid>', 'the node')
    .option('--limit <count>', 'at most so many', parseCount, 50)
    .option(...watchOption)
    .addHelpText('after', '\nExample:\n  holdfast run list 6b1f0a52-8f0e-4c57-9d3c-2f5f1f0c9a11\n')
    .action((uuid: string, options: { limit: number; watch?: boolean }, command: Command) => {
      const path = `/v1/nodes/${encodeURIComponent(uuid)}/runs`;
      return show(terminal, command, options, async (client) => {
        const found: RunView[] = [];
        for await (const run of allItems<RunView>(client, path, { limit: Math.min(options.limit, 500) })) {
          if (found.push(run) >= options.limit) break;
        }
        return { data: found, lines: () => formatRuns(found, terminal.width) };
      });
    });
}

function showCommand(terminal: Terminal): Command {
  return new Command('show')
    .description('show one run: every resource, its result and the time it took')
    .argument('<uuid>', 'the node')
    .argument('[run]', 'UUID of the run, or its beginning; the newest when left out')
    .option('--all', 'also resources that were in order')
    .option(...watchOption)
    .addHelpText('after', '\nExample:\n  holdfast run show 6b1f0a52-8f0e-4c57-9d3c-2f5f1f0c9a11 d41c\n')
    .action((uuid: string, id: string | undefined, options: { all?: boolean; watch?: boolean }, command: Command) => {
      const path = `/v1/nodes/${encodeURIComponent(uuid)}/runs`;
      const find = async (client: Client) => {
        if (id !== undefined) return client.get<RunView>(`${path}/${encodeURIComponent(id)}`);
        const { items } = await client.get<{ items: readonly RunView[] }>(path, { limit: 1 });
        return items[0];
      };
      return show(terminal, command, options, async (client) => {
        const run = await find(client);
        const lines = () =>
          run === undefined ? ['no run was reported yet'] : formatRun(run, options.all === true, terminal.width);
        return { data: run ?? {}, lines };
      });
    });
}

/** A table of runs. */
export function formatRuns(runs: readonly RunView[], width: number | undefined): string[] {
  return formatTable(
    [
      { title: 'run', cell: (row: RunView) => row.runId.slice(0, 8), whole: true },
      { title: 'started', cell: (row) => row.started, whole: true },
      { title: 'took', cell: (row) => formatDurationMs(row.durationMs), whole: true },
      { title: 'release', cell: (row) => `${row.release?.number ?? '-'}${row.dryRun ? ' (dry run)' : ''}` },
      { title: 'result', cell: (row) => row.error ?? formatCounts(row.counts) },
    ],
    runs,
    width,
  );
}

export function formatCounts(counts: RunView['counts']): string {
  const text = Object.entries(counts)
    .filter(([, count]) => count > 0)
    .map(([result, count]) => `${count} ${result}`)
    .join(', ');
  return text === '' ? 'no resources' : text;
}

function formatRun(run: RunView, all: boolean, width: number | undefined): string[] {
  const shown = run.results.filter(({ result }) => all || result !== 'unchanged');
  const hidden = run.results.length - shown.length;
  return [
    ...formatFields([
      ['run', run.runId],
      ['started', run.started],
      ['took', formatDurationMs(run.durationMs)],
      ['release', run.release && `${run.release.number} (${run.release.digest})`],
      ['dry run', run.dryRun ? 'yes' : undefined],
      ['result', formatCounts(run.counts)],
      ['error', run.error],
      ['dropped before it', run.droppedRuns > 0 ? `${run.droppedRuns} runs, while the node was away` : undefined],
    ]),
    ...(shown.length === 0 ? [] : ['', ...formatResults(shown, width)]),
    ...(hidden > 0 ? [printable(`${hidden} in order are not shown: --all shows them`)] : []),
    ...(run.omitted > 0 ? [`${run.omitted} more were counted, but not kept`] : []),
  ];
}

function formatResults(results: RunView['results'], width: number | undefined): string[] {
  return formatTable(
    [
      { title: 'result', cell: (row: RunView['results'][number]) => row.result, whole: true },
      { title: 'took', cell: (row) => formatDurationMs(row.durationMs), whole: true },
      { title: 'resource', cell: (row) => row.resource },
      { title: 'reason', cell: (row) => row.reason },
    ],
    results,
    width,
  );
}
