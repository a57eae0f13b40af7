/** `holdfast api-token`: long-lived credentials of a user, for programs. */
import { Command } from 'commander';
import type { ApiTokenView, MintedApiToken } from '../../functions/admin/routes/api-tokens.ts';
import { collect, globalsOf, parseDuration, print, withClient } from '../command.ts';
import { limitOption, printList } from '../list.ts';
import type { Terminal } from '../terminal.ts';

export function apiTokenCommand(terminal: Terminal): Command {
  const token = new Command('api-token').description('mint, list and revoke API tokens');
  token.addCommand(createCommand(terminal));
  token.addCommand(listCommand(terminal));
  token.addCommand(revokeCommand(terminal));
  return token;
}

type CreateOptions = {
  readonly owner?: string;
  readonly scope?: readonly string[];
  readonly ttl?: number;
};

function createCommand(terminal: Terminal): Command {
  return new Command('create')
    .description('mint a token; it can do what its owner can, or less')
    .argument('<name>', 'what it is for')
    .option('--owner <user>', 'whose it is (default: your own)')
    .option('--scope <permission>', 'only this permission; repeatable', collect)
    .option('--ttl <duration>', 'how long it lives, 1m to 366d (default: until it is revoked)', parseDuration)
    .addHelpText(
      'after',
      '\nThe token is shown this once.' +
        '\n\nExample:\n  holdfast api-token create nightly-report --scope fleet.read --ttl 90d\n',
    )
    .action(async (name: string, { owner, scope, ttl }: CreateOptions, command: Command) => {
      const minted = await withClient(command, (client) =>
        client.post<MintedApiToken>('/v1/api-tokens', {
          name,
          ...(owner === undefined ? {} : { owner }),
          ...(scope === undefined ? {} : { scope }),
          ...(ttl === undefined ? {} : { ttlMs: ttl }),
        }),
      );
      print(terminal, command, minted, () => [minted.token]);
      if (!globalsOf(command).json)
        terminal.err(
          `token ${minted.id} of ${minted.owner}, ${minted.expires ? `until ${minted.expires}` : 'until revoked'}\n`,
        );
    });
}

function listCommand(terminal: Terminal): Command {
  return new Command('list')
    .description('list the tokens, newest first; never the tokens themselves, which are not kept')
    .option('--owner <user>', 'only those of this user')
    .option(...limitOption)
    .addHelpText('after', '\nExamples:\n  holdfast api-token list\n  holdfast api-token list --owner alice --json\n')
    .action(({ owner, limit }: { owner?: string; limit?: number }, command: Command) =>
      printList<ApiTokenView>(terminal, command, {
        path: '/v1/api-tokens',
        query: { owner },
        limit,
        columns: [
          { title: 'id', cell: (row) => row.id, whole: true },
          { title: 'name', cell: (row) => row.name },
          { title: 'owner', cell: (row) => row.owner },
          { title: 'state', cell: (row) => row.state, whole: true },
          { title: 'expires', cell: (row) => row.expires },
          { title: 'used', cell: (row) => row.used },
          { title: 'scope', cell: (row) => row.scope?.join(' ') },
        ],
      }),
    );
}

function revokeCommand(terminal: Terminal): Command {
  return new Command('revoke')
    .description('end a token; its next call is refused')
    .argument('<id>', 'the token, as `api-token list` shows it')
    .addHelpText('after', '\nExample:\n  holdfast api-token revoke 0f3c9a71d2e84b56\n')
    .action(async (id: string, _options: object, command: Command) => {
      const token = await withClient(command, (client) =>
        client.post<ApiTokenView>(`/v1/api-tokens/${encodeURIComponent(id)}/revoke`, {}),
      );
      print(terminal, command, token, () => [token.id]);
      if (!globalsOf(command).json) terminal.err('revoked\n');
    });
}
