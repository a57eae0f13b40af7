/** `holdfast secret`: values that nodes get and nobody sees. They go in by standard input or a hidden prompt, and come out to two people or to nobody. */
import { Command, InvalidArgumentError } from 'commander';
import type { SecretView, VersionView } from '../../functions/admin/routes/secrets.ts';
import { type CharacterSet, characterSets } from '../../lib/secrets/generate.ts';
import { formatReference } from '../../lib/secrets/reference.ts';
import { allItems } from '../client.ts';
import { globalsOf, parseCount, print, withClient } from '../command.ts';
import { CliError } from '../errors.ts';
import { formatTable } from '../table.ts';
import type { Terminal } from '../terminal.ts';
import { parsePath, secretUrl } from './secret-path.ts';
import { approveRevealCommand, revealCommand, revealsCommand } from './secret-reveal.ts';
import { whoCommand } from './secret-who.ts';

export function secretCommand(terminal: Terminal): Command {
  const secret = new Command('secret').description('set, list, rotate and delete secrets, and see who can read them');
  secret.addCommand(setCommand(terminal, 'set'));
  secret.addCommand(setCommand(terminal, 'rotate'));
  secret.addCommand(generateCommand(terminal));
  secret.addCommand(listCommand(terminal));
  secret.addCommand(versionsCommand(terminal));
  secret.addCommand(whoCommand(terminal));
  secret.addCommand(deleteCommand(terminal));
  secret.addCommand(rotateMasterCommand(terminal));
  secret.addCommand(revealCommand(terminal));
  secret.addCommand(approveRevealCommand(terminal));
  secret.addCommand(revealsCommand(terminal));
  return secret;
}

function setCommand(terminal: Terminal, verb: 'set' | 'rotate'): Command {
  const about = {
    set: 'give a secret a value, making it when there is none; nodes get it without a publish',
    rotate: 'give a secret that exists a new value; nodes get it without a publish',
  };
  return new Command(verb)
    .description(about[verb])
    .argument('<path>', 'the secret, such as db/password', parsePath)
    .option('--trim', 'leave out one newline at the end, as `echo` adds it', false)
    .addHelpText(
      'after',
      '\nThe value is read from standard input, byte for byte, or typed at a prompt that does not show it.\n' +
        'There is no option for it: other users can see the arguments of a command.\n' +
        `\nExamples:\n  holdfast secret ${verb} db/password\n  holdfast secret ${verb} tls/key < server.key\n`,
    )
    .action(async (path: string, options: { trim: boolean }, command: Command) => {
      const value = await readValue(terminal, path, options.trim);
      try {
        const url = verb === 'set' ? secretUrl(path) : `${secretUrl(path)}/rotate`;
        const made = await withClient(command, (client) => client.put<VersionView>(url, value));
        tell(terminal, command, path, made);
      } finally {
        value.fill(0);
      }
    });
}

async function readValue(terminal: Terminal, path: string, trim: boolean): Promise<Uint8Array> {
  if (terminal.secret === undefined) throw new CliError('usage', 'there is no standard input to read the value from');
  const value = await terminal.secret(`value of ${formatReference(path)} (not shown): `);
  if (value.length === 0) throw new CliError('usage', 'the value is empty, so nothing was set');
  const hasNewline = value.at(-1) === 0x0a;
  if (!hasNewline) return value;
  if (trim) return value.subarray(0, value.at(-2) === 0x0d ? -2 : -1);
  // A file of many lines ends in one; a password that does is most often a slip.
  if (value.indexOf(0x0a) === value.length - 1) {
    terminal.err('warning: the value ends in a newline, which is part of it; leave it out with --trim\n');
  }
  return value;
}

type GenerateOptions = { readonly length: number; readonly characters: string; readonly rotate: boolean };

function generateCommand(terminal: Terminal): Command {
  return new Command('generate')
    .description('have the server make a random value that no person ever sees')
    .argument('<path>', 'the secret, such as db/password', parsePath)
    .option('--length <characters>', 'how long it is', parseCount, 32)
    .option('--characters <set>', Object.keys(characterSets).join(', '), parseSet, 'alphanumeric')
    .option('--rotate', 'in place of the value that the secret has', false)
    .addHelpText('after', '\nExample:\n  holdfast secret generate db/password --length 40 --characters printable\n')
    .action(async (path: string, { length, characters, rotate }: GenerateOptions, command: Command) => {
      const made = await withClient(command, async (client) => {
        if (!rotate && (await exists(client, path))) {
          throw new CliError('refused', `${formatReference(path)} has a value already; nothing was changed`, {
            hint: 'give --rotate to put a new one in its place',
          });
        }
        return client.post<VersionView>(`${secretUrl(path)}/generate`, { length, characters, rotate });
      });
      tell(terminal, command, path, made);
    });
}

async function exists(client: Parameters<typeof allItems>[0], path: string): Promise<boolean> {
  for await (const each of allItems<SecretView>(client, '/v1/secrets')) if (each.path === path) return true;
  return false;
}

function listCommand(terminal: Terminal): Command {
  return new Command('list')
    .description('list the secrets: names and versions, never values')
    .addHelpText('after', '\nExample:\n  holdfast secret list\n')
    .action(async (_options: object, command: Command) => {
      const secrets = await withClient(command, (client) =>
        Array.fromAsync(allItems<SecretView>(client, '/v1/secrets')),
      );
      print(terminal, command, secrets, () =>
        formatTable(
          [
            { title: 'path', cell: (row: SecretView) => row.path, whole: true },
            { title: 'version', cell: (row) => String(row.current.version) },
            { title: 'since', cell: (row) => row.current.created },
            { title: 'kept', cell: (row) => String(row.versions) },
          ],
          secrets,
          terminal.width,
        ),
      );
    });
}

function versionsCommand(terminal: Terminal): Command {
  return new Command('versions')
    .description('list the versions of a secret that are kept')
    .argument('<path>', 'the secret, such as db/password', parsePath)
    .addHelpText('after', '\nExample:\n  holdfast secret versions db/password\n')
    .action(async (path: string, _options: object, command: Command) => {
      const versions = await withClient(command, (client) =>
        Array.fromAsync(allItems<VersionView>(client, `${secretUrl(path)}/versions`)),
      );
      print(terminal, command, versions, () =>
        formatTable(
          [
            { title: 'version', cell: (row: VersionView) => String(row.version), whole: true },
            { title: 'created', cell: (row) => row.created },
          ],
          versions,
          terminal.width,
        ),
      );
    });
}

function deleteCommand(terminal: Terminal): Command {
  return new Command('delete')
    .description('destroy every version of a secret; what refers to it fails from then on')
    .argument('<path>', 'the secret, such as db/password', parsePath)
    .addHelpText('after', '\nExample:\n  holdfast secret delete db/password\n')
    .action(async (path: string, _options: object, command: Command) => {
      const deleted = await withClient(command, (client) => client.post<object>(`${secretUrl(path)}/delete`, {}));
      print(terminal, command, deleted, () => [path]);
      if (!globalsOf(command).json) terminal.err('deleted\n');
    });
}

function rotateMasterCommand(terminal: Terminal): Command {
  return new Command('rotate-master-key')
    .description('put every secret under a new master key; nodes notice nothing')
    .addHelpText('after', '\nExample:\n  holdfast secret rotate-master-key\n')
    .action(async (_options: object, command: Command) => {
      const rotated = await withClient(command, (client) =>
        client.post<{ key: string; secrets: number }>('/v1/secrets-master-key/rotate', {}),
      );
      print(terminal, command, rotated, () => [rotated.key]);
      if (!globalsOf(command).json) terminal.err(`${rotated.secrets} versions are under the new key\n`);
    });
}

function tell(terminal: Terminal, command: Command, path: string, made: VersionView): void {
  print(terminal, command, { path, ...made }, () => [`${formatReference(path)} version ${made.version}`]);
}

function parseSet(text: string): CharacterSet {
  if (Object.hasOwn(characterSets, text)) return text as CharacterSet;
  throw new InvalidArgumentError(`one of ${Object.keys(characterSets).join(', ')}`);
}
