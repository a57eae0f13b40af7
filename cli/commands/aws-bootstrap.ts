/**
 * `holdfast aws bootstrap`: from a deployment to its first admin and its first machine. Every step is an invocation that
 * IAM allows the caller, and can be repeated: what stands already is left as it is.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { Command } from 'commander';
import { z } from 'zod';
import type { MintedToken } from '../../functions/admin/routes/tokens.ts';
import type { UserView } from '../../functions/admin/routes/users.ts';
import { equalBytes, fromBase64url, toBase64url } from '../../lib/crypto/encoding.ts';
import { parseEnrollmentToken } from '../../lib/crypto/token.ts';
import { fleetPin, parseDescriptor } from '../../lib/identity/descriptor.ts';
import type { AwsAccount, openAccount } from '../aws/account.ts';
import {
  type DeploymentOptions,
  type Direct,
  directAdmin,
  functionNamed,
  onDeployment,
  threw,
} from '../aws/deployment.ts';
import { collect, collectLabel, globalsOf, parseCount, print } from '../command.ts';
import { CliError } from '../errors.ts';
import type { Terminal } from '../terminal.ts';
import { joinCommand } from './token.ts';

type BootstrapOptions = DeploymentOptions & {
  readonly user: string;
  readonly operatorKey?: readonly string[];
  readonly threshold?: number;
  readonly label?: Record<string, string>;
  readonly descriptor?: string;
};

export function bootstrapCommand(terminal: Terminal, open: typeof openAccount): Command {
  return onDeployment(new Command('bootstrap'))
    .description('found the fleet if it is not, create the first admin, and print the command that joins a machine')
    .requiredOption('--user <name>', 'the first admin; the password is asked for, or read from standard input')
    .option('--operator-key <file>', "an operator's SSH public key, when the fleet is not founded; repeatable", collect)
    .option('--threshold <n>', 'how many operators must sign a release (default 1)', parseCount)
    .option('--label <name=value>', 'label of the machine that joins; repeatable', collectLabel)
    .option(
      '--descriptor <file>',
      "where the operator's own copy of the fleet descriptor goes (default FLEET.fleet.json)",
    )
    .addHelpText(
      'after',
      '\nIAM judges who may do this: it needs lambda:InvokeFunction on both functions, and cloudformation:DescribeStacks.' +
        '\nKeep the descriptor: it is what "holdfast token create --fleet FILE" compares the server with.' +
        '\n\nExamples:\n  holdfast aws bootstrap --user alice --operator-key ~/.ssh/id_ed25519.pub\n' +
        '  holdfast aws bootstrap --fleet acme --region eu-central-1 --user alice < password.txt\n',
    )
    .action(async (options: BootstrapOptions, command: Command) => {
      const operatorKeys = (await Promise.all((options.operatorKey ?? []).map(readPublicKeys))).flat();
      const account = await open({ region: options.region });
      const admin = directAdmin(account, await functionNamed(account, options.fleet, 'AdminFunctionName'));
      const { bytes, pin } = await foundedFleet(account, options, operatorKeys);
      const copy = options.descriptor ?? `${options.fleet}.fleet.json`;
      await keepCopy(copy, bytes);
      const user = await firstAdmin(admin, options.user, terminal);
      const { url } = await admin.get<{ url: string }>('/v1/status');
      const minted = await admin.post<MintedToken>('/v1/tokens', options.label ? { labels: options.label } : {});
      if (!equalBytes(parseEnrollmentToken(minted.token).pin, pin))
        throw new CliError('refused', 'the token that was minted is for another fleet than the one that was founded');
      const join = joinCommand(url, minted.token);
      const shown = { fleet: options.fleet, pin: toBase64url(pin), url, user: user.name, descriptor: copy, join };
      print(terminal, command, shown, () => [join]);
      if (globalsOf(command).json) return;
      terminal.err(`fleet ${shown.fleet}, pin ${shown.pin}; your own copy is ${copy}: keep it apart from AWS\n`);
      terminal.err(`admin ${user.name}: holdfast login --server ${url} --user ${user.name}\n`);
      terminal.err(`the line above admits one machine until ${minted.expires}\n`);
    });
}

const described = z.object({ descriptor: z.string().max(20_000), pin: z.string() });

/** Founds the fleet when operators are named; in any case the descriptor is parsed, and its pin computed here. */
async function foundedFleet(account: AwsAccount, options: BootstrapOptions, operatorKeys: readonly string[]) {
  const identity = await functionNamed(account, options.fleet, 'IdentityFunctionName');
  const order =
    operatorKeys.length === 0
      ? { holdfast: 'describe-fleet' }
      : { holdfast: 'found-fleet', name: options.fleet, operatorKeys, threshold: options.threshold ?? 1 };
  const result = await account.invoke(identity, order);
  if (result.kind === 'threw') throw threw('identity', result.message);
  const bytes = fromBase64url(described.parse(result.value).descriptor);
  const { fleet } = parseDescriptor(bytes);
  if (fleet !== options.fleet)
    throw new CliError('refused', `the functions answer for the fleet ${JSON.stringify(fleet)}, not ${options.fleet}`);
  return { bytes, pin: fleetPin(bytes) };
}

/** A copy that is there already is what the server must agree with. */
async function keepCopy(path: string, bytes: Uint8Array): Promise<void> {
  try {
    await writeFile(path, bytes, { flag: 'wx', mode: 0o644 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    if (equalBytes(await readFile(path), bytes)) return;
    throw new CliError('refused', `${path} describes another fleet than the functions do; nothing more was done`, {
      hint: 'find out which of the two was changed, or name another file with --descriptor',
    });
  }
}

async function firstAdmin(admin: Direct, name: string, terminal: Terminal): Promise<UserView> {
  const path = `/v1/users/${encodeURIComponent(name)}`;
  let user = await admin.find<UserView>(path);
  user ??= await admin.post<UserView>('/v1/users', { name, role: 'admin' });
  if (user.role !== 'admin' || user.state !== 'active')
    throw new CliError('refused', `there is a user ${name} already, ${user.state}, in the role ${user.role}`, {
      hint: 'name another one, or change this one as an admin: holdfast user role',
    });
  if (user.hasPassword) return user;
  if (terminal.secret === undefined) throw new CliError('usage', 'a password can not be read here');
  const typed = await terminal.secret(`password for ${name}: `);
  const password = Buffer.from(typed)
    .toString('utf8')
    .replace(/\r?\n$/, '');
  return admin.post<UserView>(`${path}/password`, { password });
}

/** Every key of the file, one a line; a private key is refused before anything of it is sent. */
async function readPublicKeys(path: string): Promise<string[]> {
  const text = await readFile(path, 'utf8');
  if (text.includes('PRIVATE KEY'))
    throw new CliError('usage', `${path} is a private key`, { hint: `give its public half: ${path}.pub` });
  return text.split(/\r?\n/).filter((line) => line.trim() !== '' && !line.startsWith('#'));
}
