/** `holdfast aws status`: the stacks, the alarms that sound, and how far the log is behind. */
import { Command } from 'commander';
import type { StatusView } from '../../functions/admin/routes/status.ts';
import type { openAccount } from '../aws/account.ts';
import { type DeploymentOptions, directAdmin, functionNamed, onDeployment, stackParts } from '../aws/deployment.ts';
import { print } from '../command.ts';
import { CliError } from '../errors.ts';
import { formatFields, formatTable } from '../table.ts';
import type { Terminal } from '../terminal.ts';

export function awsStatusCommand(terminal: Terminal, open: typeof openAccount): Command {
  return onDeployment(new Command('status'))
    .description('show the stacks with their outputs, the alarms that sound, and how far the audit log is behind')
    .addHelpText(
      'after',
      '\nEnds with 1 when a stack is missing or half-made, or an alarm sounds.' +
        '\n\nExample:\n  holdfast aws status --fleet acme --region eu-central-1\n',
    )
    .action(async (options: DeploymentOptions, command: Command) => {
      const account = await open({ region: options.region });
      const { fleet } = options;
      const stacks = await Promise.all(stackParts.map((part) => account.stack(`${fleet}-${part}`)));
      const admin = directAdmin(account, await functionNamed(account, fleet, 'AdminFunctionName'));
      const sealer = await functionNamed(account, fleet, 'SealerFunctionName');
      const alarms = await account.alarms(`${fleet}-`);
      const { log, nodes, pin, release, url } = await admin.get<StatusView>('/v1/status');
      const sealerBehindMs = await account.iteratorAgeMs(sealer, Date.now());
      const sounding = alarms.filter(({ state }) => state === 'ALARM');
      const shown = {
        stacks: stackParts.map((part, i) => stacks[i] ?? { name: `${fleet}-${part}`, state: 'missing' }),
        alarms: { count: alarms.length, sounding },
        fleet: { name: fleet, pin, url, nodes, release, log: { ...log, sealerBehindMs } },
      };
      print(terminal, command, shown, () => [
        ...formatTable(
          [
            { title: 'stack', cell: (row: (typeof shown.stacks)[number]) => row.name, whole: true },
            { title: 'state', cell: ({ state }) => state, whole: true },
            { title: 'changed', cell: (row) => ('changed' in row ? row.changed : undefined) },
          ],
          shown.stacks,
          terminal.width,
        ),
        '',
        ...formatFields(stacks.flatMap((stack) => Object.entries(stack?.outputs ?? {}))),
        '',
        ...formatFields([
          ['fleet', `${fleet}, pin ${pin}`],
          ['nodes', `${nodes.active} active, ${nodes.quarantined} quarantined, ${nodes.revoked} revoked`],
          ['release', release === undefined ? 'none yet' : `${release.number} (${release.digest})`],
          ['audit log', `${log.size} entries published`],
          ['sealer', sealerBehindMs === undefined ? 'nothing measured' : `${Math.round(sealerBehindMs)} ms behind`],
          ['alarms', `${sounding.length} of ${alarms.length} sound`],
        ]),
        ...sounding.map(({ name, means, since }) => `  ${name} since ${since ?? 'unknown'}: ${means}`),
      ]);
      const bad = shown.stacks.filter(({ state }) => !/^(CREATE|UPDATE|IMPORT)_COMPLETE$/.test(state));
      if (bad.length + sounding.length === 0) return;
      throw new CliError('failure', 'the deployment needs a look', {
        details: [
          ...bad.map(({ name, state }) => `${name}: ${state}`),
          ...sounding.map(({ name, means }) => `${name}: ${means}`),
        ],
        hint: 'each alarm names its page in docs/runbooks; a stack is mended by npm run deploy',
      });
    });
}
