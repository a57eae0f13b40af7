/** `holdfast siem`: where the audit log is delivered, how each destination stands, and what to do about it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Argument, Command } from 'commander';
import type { DestinationView, TestView } from '../../functions/admin/routes/siem.ts';
import { destinationKinds } from '../../lib/siem/config.ts';
import { allItems, type Client } from '../client.ts';
import { collect, globalsOf, parseDuration, print, withClient } from '../command.ts';
import { CliError } from '../errors.ts';
import { formatFields, formatTable } from '../table.ts';
import type { Terminal } from '../terminal.ts';
import { buildConfig, type ConfigOptions, parseSequence, parseStart, withConfigOptions } from './siem-config.ts';

export function siemCommand(terminal: Terminal): Command {
  const siem = new Command('siem').description('deliver the audit log to a SIEM, a webhook or a bucket');
  for (const make of [addCommand, updateCommand, listCommand, showCommand, testCommand, replayCommand, removeCommand])
    siem.addCommand(make(terminal));
  siem.addCommand(order(terminal, 'pause', 'stop delivering; nothing is lost, it goes on from there'));
  siem.addCommand(order(terminal, 'resume', 'go on; and try at once what waits, is blocked or is on hold'));
  return siem;
}

function addCommand(terminal: Terminal): Command {
  const add = new Command('add')
    .description('add a destination; delivery begins at once')
    .argument('<name>', 'a-z, 0-9 and hyphens')
    .addArgument(new Argument('<kind>', 'what kind of receiver').choices([...destinationKinds]))
    .option('--start <place>', 'oldest, newest, or a sequence', parseStart, 'oldest')
    .addHelpText(
      'after',
      '\nCredentials are references to secrets under siem/, never values:\n' +
        '  holdfast secret set siem/splunk-token\n' +
        '  holdfast siem add splunk splunk-hec --set url=https://splunk.example:8088 --set token=secret:siem/splunk-token\n' +
        '\nExamples:\n' +
        '  holdfast siem add logs syslog --set host=logs.example --ca ca.pem --allow 10.20.0.0/16\n' +
        '  holdfast siem add access webhook --set url=https://hook.example/x --set secret=secret:siem/hook --include session.\\*\n',
    );
  return withConfigOptions(add).action(
    async (name: string, kind: string, options: ConfigOptions & { start: unknown }, command: Command) => {
      const config = await buildConfig({ name, kind }, options);
      const body = { config, start: options.start };
      tell(terminal, command, await withClient(command, (client) => client.post('/v1/siem/destinations', body)));
      hintTest(terminal, command, name);
    },
  );
}

function updateCommand(terminal: Terminal): Command {
  const update = new Command('update')
    .description('change a destination; its position stays')
    .argument('<name>', 'the destination')
    .option('--unset <field>', 'take a field away, also filter; repeatable', collect)
    .addHelpText('after', '\nExample:\n  holdfast siem update splunk --pin NEW= --pin OLD=\n');
  return withConfigOptions(update).action(async (name: string, options: ConfigOptions, command: Command) => {
    const changed = await withClient(command, async (client) => {
      const { config } = await client.get<DestinationView>(pathOf(name));
      return client.change<DestinationView>('PUT', pathOf(name), { config: await buildConfig(config, options) });
    });
    tell(terminal, command, changed);
  });
}

function listCommand(terminal: Terminal): Command {
  return new Command('list')
    .description('list the destinations and how they stand')
    .addHelpText('after', '\nExample:\n  holdfast siem list\n')
    .action(async (_options: object, command: Command) => {
      const all = await withClient(command, (client) =>
        Array.fromAsync(allItems<DestinationView>(client, '/v1/siem/destinations')),
      );
      print(terminal, command, all, () =>
        formatTable(
          [
            { title: 'name', cell: (row: DestinationView) => row.name, whole: true },
            { title: 'kind', cell: (row) => row.kind, whole: true },
            { title: 'state', cell: (row) => row.state, whole: true },
            { title: 'behind', cell: (row) => formatLag(row) },
            { title: 'delivered', cell: (row) => String(row.delivered) },
            { title: 'receiver', cell: (row) => row.receiver },
            { title: 'last error', cell: (row) => (row.state === 'active' ? undefined : row.lastError?.reason) },
          ],
          all,
          terminal.width,
        ),
      );
    });
}

function showCommand(terminal: Terminal): Command {
  return new Command('show')
    .description('show one destination: position, lag, last error, configuration')
    .argument('<name>', 'the destination')
    .addHelpText('after', '\nExample:\n  holdfast siem show splunk\n')
    .action(async (name: string, _options: object, command: Command) => {
      tell(terminal, command, await withClient(command, (client) => client.get<DestinationView>(pathOf(name))));
    });
}

type TestOptions = { readonly confirm?: string; readonly wait: number };

function testCommand(terminal: Terminal): Command {
  return new Command('test')
    .description('send an event with a nonce by the way that entries go')
    .argument('<name>', 'the destination')
    .option('--confirm <nonce>', 'say that this nonce was found at the receiver')
    .option('--wait <duration>', 'how long to wait until the receiver has it', parseDuration, 30_000)
    .addHelpText(
      'after',
      '\nThe receiver has it when this command says so; that a person can find it there, only a person can say.\n' +
        '\nExamples:\n  holdfast siem test splunk\n  holdfast siem test splunk --confirm 0f1e2d3c4b5a69788796a5b4c3d2e1f0\n',
    )
    .action(async (name: string, { confirm, wait }: TestOptions, command: Command) => {
      const shown = await withClient(command, async (client) => {
        if (confirm !== undefined)
          return client.post<DestinationView>(`${pathOf(name)}/test/confirm`, { nonce: confirm });
        const { nonce } = await client.post<TestView>(`${pathOf(name)}/test`, {});
        return sent(client, name, nonce, wait);
      });
      const { test } = shown;
      print(terminal, command, { name, ...test }, () => [test?.nonce ?? '']);
      if (globalsOf(command).json) return;
      if (test?.state === 'confirmed') terminal.err('confirmed\n');
      else
        terminal.err(
          `the receiver took it; find the nonce there, then: holdfast siem test ${name} --confirm ${test?.nonce}\n`,
        );
    });
}

/** Looks until the receiver took the test. */
async function sent(client: Client, name: string, nonce: string, waitMs: number): Promise<DestinationView> {
  const until = Date.now() + waitMs;
  for (;;) {
    const shown = await client.get<DestinationView>(pathOf(name));
    if (shown.test?.nonce === nonce && shown.test.state !== 'waiting') return shown;
    if (Date.now() >= until)
      throw new CliError('failure', `the receiver does not have the test; ${name} is ${shown.state}`, {
        ...(shown.lastError && { details: [`last error: ${shown.lastError.reason}`] }),
        hint: `look at it: holdfast siem show ${name}`,
      });
    await sleep(200);
  }
}

function replayCommand(terminal: Terminal): Command {
  return new Command('replay')
    .description('deliver entries again, beside what is new; receivers drop duplicates by the id')
    .argument('<name>', 'the destination')
    .requiredOption('--from <sequence>', 'the first entry', parseSequence)
    .option('--to <sequence>', 'the first entry not to be delivered again; all that were delivered', parseSequence)
    .addHelpText('after', '\nExample:\n  holdfast siem replay splunk --from 120000 --to 130000\n')
    .action(async (name: string, body: { from: number; to?: number }, command: Command) => {
      tell(terminal, command, await withClient(command, (client) => client.post(`${pathOf(name)}/replay`, body)));
    });
}

function removeCommand(terminal: Terminal): Command {
  return new Command('remove')
    .description('deliver nothing to it any more, and forget its position')
    .argument('<name>', 'the destination')
    .addHelpText('after', '\nExample:\n  holdfast siem remove splunk\n')
    .action(async (name: string, _options: object, command: Command) => {
      const removed = await withClient(command, (client) => client.change<object>('DELETE', pathOf(name)));
      print(terminal, command, removed, () => [name]);
      if (!globalsOf(command).json) terminal.err('removed\n');
    });
}

function order(terminal: Terminal, verb: 'pause' | 'resume', about: string): Command {
  return new Command(verb)
    .description(about)
    .argument('<name>', 'the destination')
    .addHelpText('after', `\nExample:\n  holdfast siem ${verb} splunk\n`)
    .action(async (name: string, _options: object, command: Command) => {
      tell(terminal, command, await withClient(command, (client) => client.post(`${pathOf(name)}/${verb}`, {})));
    });
}

function tell(terminal: Terminal, command: Command, shown: DestinationView): void {
  print(terminal, command, shown, () => [
    ...formatFields([
      ['name', shown.name],
      ['kind', shown.kind],
      ['receiver', shown.receiver],
      ['state', `${shown.state} since ${shown.since}`],
      ['behind', formatLag(shown)],
      ['next entry', shown.next],
      ['delivered', shown.delivered],
      ['filtered', shown.filtered || undefined],
      ['quarantined', shown.quarantined || undefined],
      ['last delivery', shown.deliveredAt],
      ['failures', shown.failures || undefined],
      ['next attempt', shown.retryAt],
      ['last error', shown.lastError && `${shown.lastError.reason} (${shown.lastError.at})`],
      ['test', shown.test && `${shown.test.state} ${shown.test.nonce}`],
      ['replay', shown.replay && `${shown.replay.next} of ${shown.replay.from} to ${shown.replay.to}`],
    ]),
    `config: ${JSON.stringify(shown.config)}`,
  ]);
}

function hintTest(terminal: Terminal, command: Command, name: string): void {
  if (!globalsOf(command).json) terminal.err(`see that it arrives: holdfast siem test ${name}\n`);
}

function formatLag({ lag }: DestinationView): string {
  if (lag.entries === 0) return '0';
  const seconds = Math.round(lag.ms / 1000);
  const age =
    seconds < 120
      ? `${seconds} s`
      : seconds < 7200
        ? `${Math.round(seconds / 60)} min`
        : `${Math.round(seconds / 3600)} h`;
  return `${lag.entries} entries, ${age}`;
}

function pathOf(name: string): string {
  return `/v1/siem/destinations/${encodeURIComponent(name)}`;
}
