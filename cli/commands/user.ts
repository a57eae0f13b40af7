/** `holdfast user`: who may log in, in which role, with which keys. */
import { readFile } from 'node:fs/promises';
import { Argument, Command } from 'commander';
import type { UserView } from '../../functions/admin/routes/users.ts';
import { allItems, type Client } from '../client.ts';
import { collect, globalsOf, print, withClient } from '../command.ts';
import { CliError } from '../errors.ts';
import { formatFields, formatTable } from '../table.ts';
import type { Terminal } from '../terminal.ts';

const roles = ['admin', 'viewer', 'compliance'];

export function userCommand(terminal: Terminal): Command {
  const user = new Command('user').description('list, create and change users');
  for (const make of [listCommand, showCommand, createCommand, roleCommand, deleteCommand, passwordCommand])
    user.addCommand(make(terminal));
  const put = (body: object) => (client: Client, path: string) => client.change<UserView>('PUT', path, body);
  const post = (route: string) => (client: Client, path: string) => client.post<UserView>(`${path}/${route}`, {});
  user.addCommand(
    order(terminal, 'disable', 'end every session and token of a user at once', put({ state: 'disabled' })),
  );
  user.addCommand(order(terminal, 'enable', 'let a disabled user log in again', put({ state: 'active' })));
  user.addCommand(order(terminal, 'log-out', 'end every session of a user', post('sessions/end')));
  user.addCommand(order(terminal, 'unlock', 'forget failed log-ins', post('unlock')));
  user.addCommand(keyCommand(terminal));
  return user;
}

function listCommand(terminal: Terminal): Command {
  return new Command('list')
    .description('list the users')
    .addHelpText('after', '\nExample:\n  holdfast user list\n')
    .action(async (_options: object, command: Command) => {
      const users = await withClient(command, (client) => Array.fromAsync(allItems<UserView>(client, '/v1/users')));
      print(terminal, command, users, () =>
        formatTable(
          [
            { title: 'name', cell: (row: UserView) => row.name, whole: true },
            { title: 'role', cell: (row) => row.role, whole: true },
            { title: 'state', cell: (row) => row.state },
            { title: 'logs in with', cell: formatProofs },
            { title: 'created by', cell: (row) => row.createdBy },
          ],
          users,
          terminal.width,
        ),
      );
    });
}

function showCommand(terminal: Terminal): Command {
  return new Command('show')
    .description('show one user')
    .argument('<name>', 'the user')
    .addHelpText('after', '\nExample:\n  holdfast user show alice\n')
    .action(async (name: string, _options: object, command: Command) => {
      show(terminal, command, await withClient(command, (client) => client.get<UserView>(pathOf(name))));
    });
}

type CreateOptions = { readonly role: string; readonly key?: readonly string[]; readonly subject?: string };

function createCommand(terminal: Terminal): Command {
  return new Command('create')
    .description('create a user, who can log in once there is a key, a password or an account')
    .argument('<name>', 'letters, digits, dots, hyphens, "_", "@", "+"')
    .requiredOption('--role <role>', `one of ${roles.join(', ')}`)
    .option('--key <file>', "the user's SSH public key; repeatable (isowebauth)", collect)
    .option('--subject <sub>', 'the account at the identity provider, as its `sub` claim says (oidc)')
    .addHelpText('after', '\nExample:\n  holdfast user create alice --role admin --key alice.pub\n')
    .action(async (name: string, options: CreateOptions, command: Command) => {
      const keys = await Promise.all((options.key ?? []).map(readPublicKey));
      const { role, subject } = options;
      const user = await withClient(command, async (client) => {
        const body = { name, role, ...(subject === undefined ? {} : { subject }) };
        let made = await client.post<UserView>('/v1/users', body);
        for (const key of keys) made = await client.post<UserView>(`${pathOf(made.name)}/keys`, { key });
        return made;
      });
      show(terminal, command, user);
    });
}

function roleCommand(terminal: Terminal): Command {
  return new Command('role')
    .description('give a user another role; every session ends')
    .argument('<name>', 'the user')
    .addArgument(new Argument('<role>', 'the new role').choices(roles))
    .addHelpText('after', '\nExample:\n  holdfast user role alice viewer\n')
    .action(async (name: string, role: string, _options: object, command: Command) => {
      show(
        terminal,
        command,
        await withClient(command, (client) => client.change<UserView>('PUT', pathOf(name), { role })),
      );
    });
}

function deleteCommand(terminal: Terminal): Command {
  return new Command('delete')
    .description('delete a user, with every session, token and key')
    .argument('<name>', 'the user')
    .addHelpText('after', '\nExample:\n  holdfast user delete alice\n')
    .action(async (name: string, _options: object, command: Command) => {
      const user = await withClient(command, (client) => client.change<UserView>('DELETE', pathOf(name)));
      print(terminal, command, user, () => [user.name]);
      if (!globalsOf(command).json) terminal.err('deleted\n');
    });
}

function passwordCommand(terminal: Terminal): Command {
  return new Command('password')
    .description('set a password, typed or from standard input; every session ends')
    .argument('<name>', 'the user')
    .addHelpText('after', '\nExample:\n  holdfast user password alice\n')
    .action(async (name: string, _options: object, command: Command) => {
      const typed = await terminal.secret?.(`new password of ${name}: `);
      const password = Buffer.from(typed ?? [])
        .toString('utf8')
        .replace(/\r?\n$/, '');
      const user = await withClient(command, (client) =>
        client.post<UserView>(`${pathOf(name)}/password`, { password }),
      );
      show(terminal, command, user);
    });
}

function keyCommand(terminal: Terminal): Command {
  const key = new Command('key').description('add and remove the SSH keys of a user');
  key.addCommand(
    new Command('add')
      .description('let a user log in with this key')
      .argument('<name>', 'the user')
      .argument('<file>', 'the public key')
      .addHelpText('after', '\nExample:\n  holdfast user key add alice alice.pub\n')
      .action(async (name: string, file: string, _options: object, command: Command) => {
        const line = await readPublicKey(file);
        const send = (client: Client) => client.post<UserView>(`${pathOf(name)}/keys`, { key: line });
        show(terminal, command, await withClient(command, send));
      }),
  );
  key.addCommand(
    new Command('remove')
      .description('no longer accept this key; every session ends')
      .argument('<name>', 'the user')
      .argument('<fingerprint>', 'as `user show` prints it')
      .addHelpText('after', '\nExample:\n  holdfast user key remove alice SHA256:…\n')
      .action(async (name: string, fingerprint: string, _options: object, command: Command) => {
        const send = (client: Client) => client.post<UserView>(`${pathOf(name)}/keys/remove`, { fingerprint });
        show(terminal, command, await withClient(command, send));
      }),
  );
  return key;
}

function order(
  terminal: Terminal,
  verb: string,
  description: string,
  act: (client: Client, path: string) => Promise<UserView>,
): Command {
  return new Command(verb)
    .description(description)
    .argument('<name>', 'the user')
    .addHelpText('after', `\nExample:\n  holdfast user ${verb} alice\n`)
    .action(async (name: string, _options: object, command: Command) => {
      show(terminal, command, await withClient(command, (client) => act(client, pathOf(name))));
    });
}

function show(terminal: Terminal, command: Command, user: UserView): void {
  print(terminal, command, user, () =>
    formatFields([
      ['name', user.name],
      ['role', user.role],
      ['state', user.state],
      ['password', user.hasPassword ? 'set' : 'none'],
      ...user.keys.map(({ fingerprint, added }): [string, string] => ['key', `${fingerprint} (since ${added})`]),
      ['account', user.account && `${user.account.subject} at ${user.account.issuer}`],
      ['created', `${user.created} by ${user.createdBy}`],
    ]),
  );
}

function formatProofs({ hasPassword, keys, account }: UserView): string | undefined {
  const proofs = [
    hasPassword ? 'password' : '',
    keys.length > 0 ? `${keys.length} key(s)` : '',
    account ? 'account' : '',
  ];
  return proofs.filter((proof) => proof !== '').join(', ') || undefined;
}

function pathOf(name: string): string {
  return `/v1/users/${encodeURIComponent(name)}`;
}

/** A private key is refused before anything of it is sent. */
async function readPublicKey(path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw new CliError('failure', `can't read the public key ${path} (${cause.code})`, { cause });
  });
  if (text.includes('PRIVATE KEY'))
    throw new CliError('usage', `${path} is a private key`, { hint: `give its public half: ${path}.pub` });
  return text.trim();
}
