/** `holdfast login`, `logout`, `whoami`: who the command speaks as. */
import { readFile } from 'node:fs/promises';
import { Command } from 'commander';
import type { SessionView } from '../../functions/admin/routes/session.ts';
import { fromBase64url } from '../../lib/crypto/encoding.ts';
import { pemEncode } from '../../lib/crypto/x509.ts';
import { connect, readEndpoint } from '../client.ts';
import { globalsOf, print, profileFor, withClient } from '../command.ts';
import { CliError } from '../errors.ts';
import { readOwn } from '../fleet.ts';
import { type LoginOptions, logIn } from '../login.ts';
import { type Profile, readProfiles, writeProfiles } from '../profiles.ts';
import { formatFields } from '../table.ts';
import type { Terminal } from '../terminal.ts';

type Options = LoginOptions & {
  readonly server?: string;
  readonly ca?: string;
  readonly fleet?: string;
  readonly apiToken?: boolean;
};

export function loginCommand(terminal: Terminal): Command {
  return new Command('login')
    .description('log in, by the method that the server is configured for, and keep the session in a profile')
    .option('--server <url>', 'the server (default: the one of the state directory)')
    .option('--fleet <file>', "the operator's own copy of the fleet descriptor: trust the CA in it")
    .option('--ca <file>', 'trust this CA, PEM, for this server')
    .option('--user <name>', 'who you are (basic and isowebauth)')
    .option('--key <file>', 'your SSH key, or the public half of one that an agent holds (isowebauth)')
    .option('--device', 'show a code to enter in a browser elsewhere (oidc)')
    .option('--api-token', 'keep an API token, read from standard input, instead of logging in')
    .addHelpText(
      'after',
      '\nThe profile is kept readable by you alone; without --profile it is named "default" and used from then on.' +
        '\n\nExamples:\n  holdfast login --server https://cp.example.org:7443 --fleet fleet.json --user alice --key ~/.ssh/id_ed25519' +
        '\n  holdfast login --server https://cp.example.org --device\n  holdfast login --profile ci --api-token < token.txt\n',
    )
    .action(async (options: Options, command: Command) => {
      const server = await serverOf(command, options);
      const profile =
        options.apiToken === true ? await keepToken(server, terminal) : await openSession(server, terminal, options);
      const name = globalsOf(command).profile ?? 'default';
      const directory = configOf(command);
      const held = await readProfiles(directory);
      await writeProfiles(directory, { ...held, current: name, profiles: { ...held.profiles, [name]: profile } });
      const { token: _token, ca: _ca, ...shown } = profile;
      print(terminal, command, { profile: name, ...shown }, () => [profile.user]);
      if (!globalsOf(command).json)
        terminal.err(
          `logged in at ${profile.url} as profile ${name}${profile.expires ? ` until ${profile.expires}` : ''}\n`,
        );
    });
}

export function logoutCommand(terminal: Terminal): Command {
  return new Command('logout')
    .description('end the session, at the server and here')
    .addHelpText('after', '\nExamples:\n  holdfast logout\n  holdfast logout --profile prod\n')
    .action(async (_options: object, command: Command) => {
      const profile = await profileFor(command);
      if (profile === undefined) throw new CliError('usage', 'nobody is logged in here');
      const directory = configOf(command);
      const client = connect({ ...profile, remedy: 'the session had ended already' });
      try {
        if (profile.kind === 'session') await client.post('/v1/session/end', {});
      } catch (error) {
        // Refused means that it had ended already; then there is only this copy left to forget.
        if (!(error instanceof CliError && error.exit === 'refused')) throw error;
      } finally {
        client.close();
      }
      const { current, profiles, v } = await readProfiles(directory);
      const { [profile.name]: _ended, ...rest } = profiles;
      const kept = current === profile.name || current === undefined ? {} : { current };
      await writeProfiles(directory, { v, profiles: rest, ...kept });
      print(terminal, command, { profile: profile.name, ended: true }, () => []);
      if (!globalsOf(command).json) terminal.err(`logged out of ${profile.url}\n`);
    });
}

export function whoamiCommand(terminal: Terminal): Command {
  return new Command('whoami')
    .description('show as whom this command speaks, and what that may do')
    .addHelpText('after', '\nExamples:\n  holdfast whoami\n  holdfast whoami --json\n')
    .action(async (_options: object, command: Command) => {
      const session = await withClient(command, (client) => client.get<SessionView>('/v1/session'));
      print(terminal, command, session, () =>
        formatFields([
          ['user', session.user],
          ['role', session.role],
          ['by', session.via === session.auth ? session.auth : `${session.via}, ${session.auth}`],
          ['until', session.expires],
          ['may', session.permissions.join(' ')],
        ]),
      );
    });
}

async function openSession(server: Server, terminal: Terminal, options: Options): Promise<Profile> {
  const client = connect({ ...server, remedy: 'check the name, and the key or password' });
  try {
    const { session, user, expires } = await logIn(client, terminal, options);
    return { ...server, kind: 'session', token: session, user, expires };
  } finally {
    client.close();
  }
}

/** Asked once who it is, so that a token which is not accepted is said now and not later. */
async function keepToken(server: Server, terminal: Terminal): Promise<Profile> {
  const typed = await terminal.secret?.('API token: ');
  const token = Buffer.from(typed ?? [])
    .toString('utf8')
    .trim();
  const client = connect({ ...server, token, remedy: 'is it whole, not expired, and of this server?' });
  try {
    const { user, expires } = await client.get<SessionView>('/v1/session');
    return { ...server, kind: 'api-token', token, user, ...(expires === undefined ? {} : { expires }) };
  } finally {
    client.close();
  }
}

type Server = { readonly url: string; readonly ca?: string };

/** Which server, and who may vouch for it: what is named, else the server of the state directory. */
async function serverOf(command: Command, options: Options): Promise<Server> {
  const ca = await caOf(options);
  if (options.server === undefined) {
    const endpoint = await readEndpoint(globalsOf(command).state);
    return { url: endpoint.url, ca: ca ?? endpoint.ca };
  }
  const url = URL.canParse(options.server) ? new URL(options.server) : undefined;
  if (url?.protocol !== 'https:')
    throw new CliError('usage', '--server must be like https://cp.example.org:7443; a log-in goes over TLS alone');
  return { url: url.origin, ...(ca === undefined ? {} : { ca }) };
}

async function caOf({ fleet, ca }: Options): Promise<string | undefined> {
  if (fleet !== undefined) return pemEncode('CERTIFICATE', fromBase64url((await readOwn(fleet)).descriptor.ca));
  if (ca === undefined) return undefined;
  return readFile(ca, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw new CliError('failure', `can't read the CA ${ca} (${cause.code})`, { cause });
  });
}

function configOf(command: Command): string {
  const { config } = globalsOf(command);
  if (config === undefined)
    throw new CliError('usage', 'there is no directory for profiles', { hint: 'name one with --config' });
  return config;
}
