/** `holdfast policy plan`: what a directory would change on each node, before anybody signs it. */
import { Command } from 'commander';
import type { NodeView } from '../../functions/admin/routes/nodes.ts';
import { sha256Hex } from '../../lib/crypto/digest.ts';
import { type Crate, type Manifest, parseCrate, parseManifest } from '../../lib/policy/model.ts';
import { type NodePlan, type Plan, planRelease, type ReleaseContent } from '../../lib/policy/plan.ts';
import { allItems } from '../client.ts';
import { print, withClient } from '../command.ts';
import { CliError } from '../errors.ts';
import { fleetOption, readOwnFleet, requireSameFleet } from '../fleet.ts';
import { printable } from '../printable.ts';
import { buildNext, getCurrent } from '../release.ts';
import type { Terminal } from '../terminal.ts';

export function planCommand(terminal: Terminal): Command {
  return new Command('plan')
    .description('show what a policy directory would change on each node')
    .argument('[dir]', 'policy directory', 'policy')
    .option(...fleetOption)
    .addHelpText('after', '\nExample:\n  holdfast policy plan ./policy\n')
    .action(async (directory: string, _options: object, command: Command) => {
      const own = await readOwnFleet(command);
      const plan = await withClient(command, async (client) => {
        await requireSameFleet(client, own);
        const [built, current, nodes] = await Promise.all([
          buildNext(client, own, directory),
          getCurrent(client),
          Array.fromAsync(allItems<NodeView>(client, '/v1/nodes', { limit: 500 })),
        ]);
        const blob = async (digest: string) => built.blobs.get(digest);
        const next = await contentOf(parseManifest(built.manifest), blob);
        const getBlob = (digest: string) => client.getBytes(`/v1/blobs/${digest}`);
        return planRelease({
          next,
          ...(current === undefined ? {} : { current: await contentOf(current.manifest, getBlob) }),
          nodes: nodes.filter((node) => node.state !== 'revoked'),
        });
      });
      print(terminal, command, plan, () => formatPlan(plan));
    });
}

async function contentOf(
  manifest: Manifest,
  blob: (digest: string) => Promise<Uint8Array | undefined>,
): Promise<ReleaseContent> {
  const crates = new Map<string, Crate>();
  for (const { name, sha256 } of manifest.crates) {
    const bytes = await blob(sha256);
    if (bytes === undefined || sha256Hex(bytes) !== sha256)
      throw new CliError('refused', `the server does not have crate "${name}" as it was signed`, {
        hint: 'its blob store was changed; publish again from the policy directory',
      });
    crates.set(name, parseCrate(bytes));
  }
  return { manifest, crates };
}

function formatPlan({ nodes, blastRadius }: Plan): string[] {
  const { nodesChanged, added, changed, removed } = blastRadius;
  return [
    ...nodes.flatMap(formatNode),
    `${nodesChanged} of ${blastRadius.nodes} nodes change: ${added} resources added, ${changed} changed, ${removed} no longer looked after`,
  ];
}

const signs = { added: '+', changed: '~', removed: '-' } as const;

function formatNode(node: NodePlan): string[] {
  const crates = [...node.gained.map((name) => `+${name}`), ...node.lost.map((name) => `-${name}`)].join(' ');
  return [
    `${printable(node.name)} (${node.uuid})${crates === '' ? '' : ` crates: ${crates}`}`,
    ...node.changes.flatMap(({ change, crate, key, fields }) => [
      `  ${signs[change]} ${printable(`${crate}/${key}`)}`,
      ...fields.map(({ field, before, after }) => `      ${printable(`${field}: ${before ?? '-'} → ${after ?? '-'}`)}`),
    ]),
    '',
  ];
}
