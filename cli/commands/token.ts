/** `holdfast token`: enrollment tokens, which admit one machine each. */
import { Command } from 'commander';
import type { MintedToken, TokenView } from '../../functions/admin/routes/tokens.ts';
import { equalBytes } from '../../lib/crypto/encoding.ts';
import { parseEnrollmentToken } from '../../lib/crypto/token.ts';
import { collectLabel, globalsOf, parseDuration, print, withClient } from '../command.ts';
import { CliError } from '../errors.ts';
import { fleetOption, readOwnFleet, requireSameFleet } from '../fleet.ts';
import { limitOption, printList } from '../list.ts';
import type { Terminal } from '../terminal.ts';

export function tokenCommand(terminal: Terminal): Command {
  const token = new Command('token').description('mint, list and cancel enrollment tokens');
  token.addCommand(createCommand(terminal));
  token.addCommand(listCommand(terminal));
  token.addCommand(cancelCommand(terminal));
  return token;
}

type CreateOptions = {
  readonly label?: Record<string, string>;
  readonly hostname?: string;
  readonly fingerprint?: string;
  readonly ttl?: number;
};

function createCommand(terminal: Terminal): Command {
  return new Command('create')
    .description('mint a token and print the command that joins one machine with it')
    .option('--label <name=value>', 'label of the node; repeatable', collectLabel)
    .option('--hostname <pattern>', 'only a machine of this name may use it ("*" stands for a part of a label)')
    .option('--fingerprint <SHA256:…>', 'only the holder of this identity key may use it')
    .option('--ttl <duration>', 'how long it can be used, 1m to 30d (default 24h)', parseDuration)
    .option(...fleetOption)
    .addHelpText(
      'after',
      '\nThe token is shown this once. It carries the fleet pin, so the machine trusts no other control plane.' +
        '\n\nExamples:\n  holdfast token create --label role=web --ttl 1h\n  holdfast token create --hostname "web-*.example.org" --json\n',
    )
    .action(async (options: CreateOptions, command: Command) => {
      const own = await readOwnFleet(command);
      const { minted, url } = await withClient(command, async (client) => {
        // Before anything is minted: a server that lies about the fleet gets no machine sent to it.
        const { url } = await requireSameFleet(client, own);
        const minted = await client.post<MintedToken>('/v1/tokens', {
          ...(options.label === undefined ? {} : { labels: options.label }),
          ...(options.hostname === undefined ? {} : { hostname: options.hostname }),
          ...(options.fingerprint === undefined ? {} : { fingerprint: options.fingerprint }),
          ...(options.ttl === undefined ? {} : { ttlMs: options.ttl }),
        });
        return { minted, url };
      });
      if (!equalBytes(parseEnrollmentToken(minted.token).pin, own.pin))
        throw new CliError('refused', 'the server minted a token for another fleet than the operator knows', {
          hint: `do not use it; cancel it with: holdfast token cancel ${minted.id}`,
        });
      const line = joinCommand(url, minted.token);
      print(terminal, command, { ...minted, join: line }, () => [line]);
      if (!globalsOf(command).json)
        terminal.err(`token ${minted.id} admits one machine until ${minted.expires}; run the line above on it\n`);
    });
}

function listCommand(terminal: Terminal): Command {
  return new Command('list')
    .description('list the tokens, newest first; never the secrets, which are not kept')
    .option(...limitOption)
    .addHelpText('after', '\nExamples:\n  holdfast token list\n  holdfast token list --limit 20 --json\n')
    .action(({ limit }: { limit?: number }, command: Command) =>
      printList<TokenView>(terminal, command, {
        path: '/v1/tokens',
        limit,
        columns: [
          { title: 'id', cell: (row) => row.id, whole: true },
          { title: 'state', cell: (row) => row.state, whole: true },
          { title: 'expires', cell: (row) => row.expires },
          { title: 'created by', cell: (row) => row.createdBy },
          { title: 'node', cell: (row) => row.usedBy },
          { title: 'for', cell: (row) => row.hostname ?? row.fingerprint },
        ],
      }),
    );
}

function cancelCommand(terminal: Terminal): Command {
  return new Command('cancel')
    .description('cancel a token that was not used yet')
    .argument('<id>', 'the token, as `token list` shows it')
    .addHelpText('after', '\nExample:\n  holdfast token cancel 0f3c9a71d2e84b56\n')
    .action(async (id: string, _options: object, command: Command) => {
      const token = await withClient(command, (client) =>
        client.post<TokenView>(`/v1/tokens/${encodeURIComponent(id)}/cancel`, {}),
      );
      print(terminal, command, token, () => [token.id]);
      if (!globalsOf(command).json) terminal.err('cancelled\n');
    });
}

/** The line to run on the machine. Its parts are a URL that was parsed and a token of a fixed alphabet: no quoting is needed. */
export function joinCommand(url: string, token: string): string {
  // Pasted into a root shell, and the address is the server's word: nothing that a shell would act on gets through.
  if (!pasteable.test(url) || !/^[A-Za-z0-9_.-]+$/.test(token))
    throw new CliError('refused', 'the server calls itself by an address that is none', {
      details: [`server: ${JSON.stringify(url)}`],
      hint: 'do not use the token; correct "names" in the configuration of the server',
    });
  return `npx holdfast-agent join --server ${url} --token ${token}`;
}

/** A host name, an IPv4 or a bracketed IPv6 address, and a port. */
const pasteable = /^https:\/\/(?:[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?$/;
