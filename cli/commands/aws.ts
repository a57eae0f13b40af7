/** `holdfast aws`: the deployment in one's own account: its beginning, how it stands, what an end would cost. */
import { Command } from 'commander';
import { openAccount } from '../aws/account.ts';
import type { Terminal } from '../terminal.ts';
import { bootstrapCommand } from './aws-bootstrap.ts';
import { destroyCheckCommand } from './aws-destroy-check.ts';
import { awsStatusCommand } from './aws-status.ts';

export function awsCommand(terminal: Terminal, open = openAccount): Command {
  return new Command('aws')
    .description('the deployment in an AWS account: first steps, status, and what a tear-down would lose')
    .addCommand(bootstrapCommand(terminal, open))
    .addCommand(awsStatusCommand(terminal, open))
    .addCommand(destroyCheckCommand(terminal, open));
}
