/**
 * `holdfast aws destroy-check`: what would be kept and what would be lost if the stacks were deleted, read from the
 * templates as they were deployed. It changes nothing.
 */
import { Command } from 'commander';
import type { openAccount, TemplateView } from '../aws/account.ts';
import { type DeploymentOptions, onDeployment, stackParts } from '../aws/deployment.ts';
import { print } from '../command.ts';
import { CliError } from '../errors.ts';
import { formatTable } from '../table.ts';
import type { Terminal } from '../terminal.ts';

/** What can't be made again: the fleet's identity, its data and its evidence. */
const irreplaceable = ['AWS::DynamoDB::GlobalTable', 'AWS::DynamoDB::Table', 'AWS::KMS::Key', 'AWS::S3::Bucket'];

type Fate = { readonly stack: string; readonly type: string; readonly id: string; readonly fate: 'kept' | 'lost' };

export function destroyCheckCommand(terminal: Terminal, open: typeof openAccount): Command {
  return onDeployment(new Command('destroy-check'))
    .description('say what a tear-down would keep and what it would lose; changes nothing')
    .addHelpText(
      'after',
      '\nEnds with 3 when something that can not be made again would be lost.' +
        '\n\nExample:\n  holdfast aws destroy-check --fleet acme\n',
    )
    .action(async (options: DeploymentOptions, command: Command) => {
      const account = await open({ region: options.region });
      const names = stackParts.map((part) => `${options.fleet}-${part}`);
      const present = (await Promise.all(names.map((name) => account.stack(name)))).flatMap((each) => each ?? []);
      if (present.length === 0)
        throw new CliError('failure', `there is no stack of the fleet ${options.fleet} in this region`, {
          hint: 'name another --fleet or --region',
        });
      const fates = (
        await Promise.all(present.map(async ({ name }) => fatesOf(name, await account.template(name))))
      ).flat();
      const stacks = present.map(({ name, isProtected }) => ({ name, protected: isProtected }));
      const precious = fates.filter(({ type }) => irreplaceable.includes(type));
      const lost = precious.filter(({ fate }) => fate === 'lost');
      print(terminal, command, { stacks, resources: fates, lostForEver: lost }, () => [
        ...formatTable(
          [
            { title: 'stack', cell: (row: (typeof stacks)[number]) => row.name, whole: true },
            { title: 'deletion', cell: (row) => (row.protected ? 'refused (termination protection)' : 'POSSIBLE') },
            { title: 'kept', cell: (row) => count(fates, row.name, 'kept') },
            { title: 'lost', cell: (row) => count(fates, row.name, 'lost') },
          ],
          stacks,
          terminal.width,
        ),
        '',
        ...precious.map(({ stack, id, type, fate }) => `${fate === 'kept' ? 'kept' : 'LOST'}  ${stack} ${type} ${id}`),
        '',
        'Before anything is deleted: export the log to a place of your own, and verify it there:',
        '  holdfast audit export ./evidence && holdfast audit verify ./evidence',
        'Nodes go on with the release that they hold, and hear no news; their names and keys are in the table alone.',
        'A key that is deleted takes the table, the buckets and every backup with it.',
      ]);
      if (lost.length > 0)
        throw new CliError('refused', 'deleting these stacks would lose what can not be made again', {
          details: lost.map(({ stack, type, id }) => `${stack}: ${type} ${id}`),
          hint: 'deploy this version first: it keeps all of them',
        });
    });
}

/** AWS CloudFormation User Guide, "DeletionPolicy attribute": without one, a resource goes with its stack. */
function fatesOf(stack: string, { Resources = {} }: TemplateView): Fate[] {
  return Object.entries(Resources).map(([id, { Type: type, DeletionPolicy }]) => ({
    stack,
    type,
    id,
    fate: /^Retain/.test(DeletionPolicy ?? '') ? 'kept' : 'lost',
  }));
}

function count(fates: readonly Fate[], stack: string, fate: Fate['fate']): number {
  return fates.filter((each) => each.stack === stack && each.fate === fate).length;
}
