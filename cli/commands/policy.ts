/** `holdfast policy`: what the fleet converges to. Checked offline, signed by operators, relayed by the server. */
import { Command } from 'commander';
import type { PublishedView, ReleaseLine } from '../../functions/admin/routes/releases.ts';
import { checkPolicy, hasErrors } from '../../lib/policy/check.ts';
import { formatProblem, type Problem } from '../../lib/policy/problem.ts';
import { allItems } from '../client.ts';
import { collect, globalsOf, parseCount, print, withClient } from '../command.ts';
import { CliError } from '../errors.ts';
import { fleetOption, readOwnFleet, requireSameFleet } from '../fleet.ts';
import { buildFromDirectory, buildNext, buildRestored, loadPolicy, uploadBlobs, writeManifest } from '../release.ts';
import { readSignatures, signWithKeys } from '../sign.ts';
import { formatTable } from '../table.ts';
import type { Terminal } from '../terminal.ts';
import { freezeCommand, thawCommand } from './policy-freeze.ts';
import { planCommand } from './policy-plan.ts';
import { schemaCommand } from './policy-schema.ts';

type SigningOptions = { readonly key?: readonly string[]; readonly signature?: readonly string[] };

export function policyCommand(terminal: Terminal): Command {
  const policy = new Command('policy').description('check, plan, sign, publish and roll back policy');
  policy.addCommand(checkCommand(terminal));
  policy.addCommand(planCommand(terminal));
  policy.addCommand(schemaCommand(terminal));
  policy.addCommand(buildCommand(terminal));
  policy.addCommand(publishCommand(terminal));
  policy.addCommand(historyCommand(terminal));
  policy.addCommand(rollbackCommand(terminal));
  policy.addCommand(freezeCommand(terminal));
  policy.addCommand(thawCommand(terminal));
  return policy;
}

function checkCommand(terminal: Terminal): Command {
  return new Command('check')
    .description('find every error in a policy directory; needs no server')
    .argument('[dir]', 'policy directory', 'policy')
    .addHelpText('after', '\nExample:\n  holdfast policy check ./policy\n')
    .action(async (directory: string, _options: object, command: Command) => {
      const problems = checkPolicy(await loadPolicy(directory));
      print(terminal, command, problems, () => problems.map(formatProblem));
      if (hasErrors(problems))
        throw new CliError('failure', summaryOf(problems), { hint: 'fix them, then check again' });
      if (!globalsOf(command).json) terminal.err(`no errors in ${directory}\n`);
    });
}

function buildCommand(terminal: Terminal): Command {
  return new Command('build')
    .description('write the manifest of the next release, for other operators to sign')
    .argument('[dir]', 'policy directory', 'policy')
    .requiredOption('-o, --output <file>', 'where to write the manifest')
    .option(...fleetOption)
    .addHelpText(
      'after',
      '\nThe others sign the same bytes, then one of you publishes with all signatures:\n' +
        '  holdfast policy build ./policy -o release.json\n' +
        '  ssh-keygen -Y sign -f ~/.ssh/id_ed25519 -n holdfast-release release.json\n' +
        '  holdfast policy publish ./policy --release release.json --signature release.json.sig --key ~/.ssh/id_ed25519\n',
    )
    .action(async (directory: string, options: { output: string }, command: Command) => {
      const own = await readOwnFleet(command);
      const built = await withClient(command, async (client) => {
        await requireSameFleet(client, own);
        return buildNext(client, own, directory);
      });
      await writeManifest(options.output, built.manifest);
      const { number, digest } = built;
      print(terminal, command, { number, digest, file: options.output }, () => [`${number} ${digest}`]);
      if (!globalsOf(command).json) terminal.err(`release ${number} is written to ${options.output}, unsigned\n`);
    });
}

function publishCommand(terminal: Terminal): Command {
  return withSigning(new Command('publish'))
    .description('check, build, sign and publish a policy directory as the next release')
    .argument('[dir]', 'policy directory', 'policy')
    .option('--release <file>', 'publish exactly this manifest, made from the same directory by `policy build`')
    .option(...fleetOption)
    .addHelpText(
      'after',
      '\nUnencrypted ed25519 keys sign here; every other kind signs through ssh-keygen.\n' +
        '\nExamples:\n  holdfast policy publish ./policy --key ~/.ssh/id_ed25519\n' +
        '  holdfast policy publish ./policy --key ~/.ssh/id_a --key ~/.ssh/id_b\n',
    )
    .action(async (directory: string, options: SigningOptions & { release?: string }, command: Command) => {
      requireSigners(options);
      const own = await readOwnFleet(command);
      const published = await withClient(command, async (client) => {
        await requireSameFleet(client, own);
        const built =
          options.release === undefined
            ? await buildNext(client, own, directory)
            : await buildFromDirectory(directory, own, options.release);
        const signatures = await sign(built.manifest, options);
        await uploadBlobs(client, built.blobs);
        return client.post<PublishedView>('/v1/releases', {
          manifest: Buffer.from(built.manifest).toString('base64url'),
          signatures,
        });
      });
      report(terminal, command, published, 'published');
    });
}

function historyCommand(terminal: Terminal): Command {
  return new Command('history')
    .description('list the releases, newest first')
    .addHelpText('after', '\nExample:\n  holdfast policy history\n')
    .action(async (_options: object, command: Command) => {
      const lines = await withClient(command, (client) =>
        Array.fromAsync(allItems<ReleaseLine>(client, '/v1/releases', { limit: 500 })),
      );
      print(terminal, command, lines, () =>
        formatTable(
          [
            { title: 'release', cell: (row: ReleaseLine) => row.number, whole: true },
            { title: 'published', cell: (row) => row.published, whole: true },
            { title: 'expires', cell: (row) => row.expires },
            { title: 'crates', cell: (row) => row.crates },
            { title: 'signatures', cell: (row) => row.signatures },
            { title: 'digest', cell: (row) => row.digest },
          ],
          lines,
          terminal.width,
        ),
      );
    });
}

function rollbackCommand(terminal: Terminal): Command {
  return withSigning(new Command('rollback'))
    .description('publish the content of an earlier release under a new number')
    .argument('<release>', 'number of the release to restore', parseCount)
    .option(...fleetOption)
    .addHelpText('after', '\nExample:\n  holdfast policy rollback 7 --key ~/.ssh/id_ed25519\n')
    .action(async (to: number, options: SigningOptions, command: Command) => {
      requireSigners(options);
      const own = await readOwnFleet(command);
      const published = await withClient(command, async (client) => {
        await requireSameFleet(client, own);
        const manifest = await buildRestored(client, own, to);
        return client.post<PublishedView>('/v1/releases/rollback', {
          manifest: Buffer.from(manifest).toString('base64url'),
          signatures: await sign(manifest, options),
          to,
        });
      });
      report(terminal, command, published, `published with the content of release ${to}`);
    });
}

function withSigning(command: Command): Command {
  return command
    .option('--key <file>', "an operator's SSH key to sign with; repeatable", collect)
    .option('--signature <file>', 'a signature that another operator made; repeatable', collect);
}

function requireSigners({ key = [], signature = [] }: SigningOptions): void {
  if (key.length + signature.length === 0)
    throw new CliError('usage', 'a release must be signed', {
      hint: 'give --key FILE, or --signature FILE with --release',
    });
}

async function sign(manifest: Uint8Array, { key = [], signature = [] }: SigningOptions): Promise<readonly string[]> {
  return [...(await readSignatures(signature)), ...(await signWithKeys(manifest, key))];
}

function report(terminal: Terminal, command: Command, published: PublishedView, done: string): void {
  const { number, digest, signers, repeated } = published;
  print(terminal, command, published, () => [`${number} ${digest}`]);
  if (globalsOf(command).json) return;
  terminal.err(`release ${number} ${repeated ? 'was current already' : done}, signed by ${signers.join(', ')}\n`);
}

function summaryOf(problems: readonly Problem[]): string {
  const errors = problems.filter((problem) => problem.severity === 'error').length;
  return `the policy has ${errors} ${errors === 1 ? 'error' : 'errors'}`;
}
