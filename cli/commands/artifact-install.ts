/** `holdfast artifact install-command`: what to paste into a machine's shell to bring the agent there and join it. */
import { readFile } from 'node:fs/promises';
import { Command } from 'commander';
import type { BuildView } from '../../functions/admin/routes/artifacts.ts';
import type { MintedToken } from '../../functions/admin/routes/tokens.ts';
import { ArtifactError } from '../../lib/artifacts/errors.ts';
import { parseKeys } from '../../lib/artifacts/keys.ts';
import { verifyManifest } from '../../lib/artifacts/verify.ts';
import { equalBytes, fromBase64url, toBase64 } from '../../lib/crypto/encoding.ts';
import { parseEnrollmentToken } from '../../lib/crypto/token.ts';
import { collectLabel, globalsOf, parseDuration, print, withClient } from '../command.ts';
import { CliError } from '../errors.ts';
import { fleetOption, readOwnFleet, requireSameFleet } from '../fleet.ts';
import { formatInstallCommands } from '../install-command.ts';
import type { Terminal } from '../terminal.ts';

type Options = {
  readonly url: string;
  readonly keys: string;
  readonly platform: string;
  readonly label?: Record<string, string>;
  readonly hostname?: string;
  readonly ttl?: number;
};

export function installCommandCommand(terminal: Terminal): Command {
  return new Command('install-command')
    .description('mint a token and print what to paste into one machine’s shell: fetch, verify, join, install')
    .argument('<version>', 'a published version')
    .requiredOption('--url <https://…>', 'where that machine can fetch the program; it is trusted with nothing')
    .requiredOption('--keys <file>', 'your own copy of the list of artifact keys')
    .option('--platform <name>', 'the machine’s', 'linux-x64')
    .option('--label <name=value>', 'label of the node; repeatable', collectLabel)
    .option('--hostname <pattern>', 'only a machine of this name may use the token')
    .option('--ttl <duration>', 'how long the token can be used, 1m to 30d (default 24h)', parseDuration)
    .option(...fleetOption)
    .addHelpText(
      'after',
      '\nThe digest of the program, its signed manifest and the pin of the fleet are in the line itself: whoever answers' +
        '\nthe download can only fail it.' +
        '\n\nExample:\n  holdfast artifact install-command 1.4.0 --keys artifact-keys --url https://downloads.example/holdfast-agent\n',
    )
    .action(async (version: string, options: Options, command: Command) => {
      const own = await readOwnFleet(command);
      const keys = parseKeys(await readFile(options.keys, 'utf8'));
      const { commands, minted } = await withClient(command, async (client) => {
        const { url: server } = await requireSameFleet(client, own);
        const path = `/v1/artifacts/${encodeURIComponent(version)}/${encodeURIComponent(options.platform)}`;
        const build = await client.get<BuildView & { manifest: string }>(path);
        const note = fromBase64url(build.manifest);
        const sha256 = judge(note, keys, version, options.platform);
        const minted = await client.post<MintedToken>('/v1/tokens', {
          ...(options.label === undefined ? {} : { labels: options.label }),
          ...(options.hostname === undefined ? {} : { hostname: options.hostname }),
          ...(options.ttl === undefined ? {} : { ttlMs: options.ttl }),
        });
        if (!equalBytes(parseEnrollmentToken(minted.token).pin, own.pin))
          throw new CliError('refused', 'the server minted a token for another fleet than the operator knows');
        const parts = { url: options.url, sha256, manifest: toBase64(note), server, token: minted.token };
        return { commands: formatInstallCommands(parts), minted };
      });
      print(terminal, command, { ...commands, id: minted.id, expires: minted.expires }, () => [
        '# One line, as root:',
        commands.oneLine,
        '# Or step by step:',
        ...commands.twoLines,
      ]);
      if (!globalsOf(command).json) terminal.err(`token ${minted.id} admits one machine until ${minted.expires}\n`);
    });
}

/** The server only relays the manifest; whether it is one, the operator's own keys say. Returns the program's SHA-256. */
function judge(note: Uint8Array, keys: ReturnType<typeof parseKeys>, version: string, platform: string): string {
  try {
    const manifest = verifyManifest(note, keys, { kind: 'agent', name: 'holdfast-agent', platform }, Date.now());
    const [file] = manifest.files;
    if (manifest.version === version && file !== undefined) return file.sha256;
  } catch (cause) {
    if (!(cause instanceof ArtifactError)) throw cause;
    throw new CliError('refused', `the manifest of this build does not prove itself: ${cause.message}`, { cause });
  }
  throw new CliError('refused', 'the server shows the manifest of another version');
}
