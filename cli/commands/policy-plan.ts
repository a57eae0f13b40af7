/** `holdfast policy plan`: what a directory would change on each node, before anybody signs it. */
import { setTimeout as delay } from 'node:timers/promises';
import { Command } from 'commander';
import type { FactsView } from '../../functions/admin/routes/facts.ts';
import type { NodeView } from '../../functions/admin/routes/nodes.ts';
import type { RunView } from '../../functions/admin/routes/runs.ts';
import { sha256Hex } from '../../lib/crypto/digest.ts';
import { judgeResource } from '../../lib/guardrails/resource.ts';
import { scanner } from '../../lib/guardrails/scanner.ts';
import { type Crate, type CrateResource, type Manifest, parseCrate, parseManifest } from '../../lib/policy/model.ts';
import { planRelease, type ReleaseContent } from '../../lib/policy/plan.ts';
import {
  type ReportedNode,
  type StatedChange,
  type StatedNode,
  type StatedPlan,
  statePlan,
} from '../../lib/policy/plan-state.ts';
import { allItems, type Client } from '../client.ts';
import { print, withClient } from '../command.ts';
import { answerMs, askDryRuns, type DryRuns } from '../dry-runs.ts';
import { CliError } from '../errors.ts';
import { fleetOption, readOwnFleet, requireSameFleet } from '../fleet.ts';
import { printable } from '../printable.ts';
import { buildNext, getCurrent } from '../release.ts';
import type { Terminal } from '../terminal.ts';

export function planCommand(terminal: Terminal): Command {
  return new Command('plan')
    .description('show what a policy directory would change on each node, against what the node last reported')
    .argument('[dir]', 'policy directory', 'policy')
    .option(
      '--live',
      'first have connected nodes check the release that they hold, by a dry run, and compare with that',
    )
    .option(...fleetOption)
    .addHelpText(
      'after',
      '\nNodes run only what operators signed, so none tries this policy. With --live each says how it stands\n' +
        'against the release that it holds. Who is away is said at once, and one that is there has 30 s to answer;\n' +
        'both are taken as they reported last.\n' +
        '\nExamples:\n  holdfast policy plan ./policy\n  holdfast policy plan ./policy --live\n',
    )
    .action(async (directory: string, options: { live?: boolean }, command: Command) => {
      const own = await readOwnFleet(command);
      const { live, ...plan } = await withClient(command, async (client) => {
        await requireSameFleet(client, own);
        const [built, current, nodes] = await Promise.all([
          buildNext(client, own, directory),
          getCurrent(client),
          Array.fromAsync(allItems<NodeView>(client, '/v1/nodes', { limit: 500 })),
        ]);
        const blob = async (digest: string) => built.blobs.get(digest);
        const next = await contentOf(parseManifest(built.manifest), blob);
        const getBlob = (digest: string) => client.getBytes(`/v1/blobs/${digest}`);
        const planned = nodes.filter((node) => node.state !== 'revoked');
        const live = options.live === true ? await askNow(terminal, client, planned) : undefined;
        const before = current === undefined ? {} : { current: await contentOf(current.manifest, getBlob) };
        const stated = statePlan({
          plan: planRelease({ next, ...before, nodes: planned }),
          next,
          nodes: planned,
          reported: await readReported(client, planned, live?.answered ?? new Map()),
          protectedBy,
        });
        return { ...stated, live };
      });
      const data = live === undefined ? plan : { ...plan, live: liveView(live) };
      print(terminal, command, data, () => [...formatPlan(plan), ...(live === undefined ? [] : formatLive(live))]);
    });
}

async function askNow(terminal: Terminal, client: Client, nodes: readonly NodeView[]): Promise<DryRuns> {
  return askDryRuns(
    {
      client,
      now: () => performance.now(),
      pause: (ms) => terminal.pause?.(ms) ?? delay(ms),
      onAway: (away) => terminal.err(`away, and taken as reported last: ${namesOf(away)}\n`),
    },
    nodes,
  );
}

/** UUIDs, as `--json` shows them. */
function liveView({ answered, away, silent }: DryRuns) {
  const uuids = (nodes: readonly NodeView[]) => nodes.map(({ uuid }) => uuid);
  return { answered: [...answered.keys()], away: uuids(away), silent: uuids(silent) };
}

function formatLive({ answered, away, silent }: DryRuns): string[] {
  return [
    `${answered.size} nodes said how they stand now`,
    ...(away.length > 0 ? [`${away.length} are away: ${namesOf(away)}`] : []),
    ...(silent.length > 0
      ? [`${silent.length} are connected and did not answer within ${answerMs / 1000} s: ${namesOf(silent)}`]
      : []),
  ];
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
  const templates = new Map<string, string>();
  for (const { template } of [...crates.values()].flatMap((crate) => crate.resources)) {
    const bytes = template === undefined || templates.has(template.sha256) ? undefined : await blob(template.sha256);
    if (template !== undefined && bytes !== undefined)
      templates.set(template.sha256, Buffer.from(bytes).toString('utf8'));
  }
  return { manifest, crates, templates };
}

const concurrentReads = 8;

/** What nodes reported last: their newest run that was no dry run, and their facts. */
async function readReported(
  client: Client,
  nodes: readonly NodeView[],
  asked: ReadonlyMap<string, RunView>,
): Promise<ReadonlyMap<string, ReportedNode>> {
  const reported = new Map<string, ReportedNode>();
  const waiting = [...nodes];
  const read = async () => {
    for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
      const path = `/v1/nodes/${node.uuid}`;
      const [runs, facts] = await Promise.all([
        client.get<{ items: readonly RunView[] }>(`${path}/runs`, { limit: 5 }),
        client.getBytes(`${path}/facts`),
      ]);
      const run = asked.get(node.uuid) ?? runs.items.find(({ dryRun, results }) => !dryRun && results.length > 0);
      reported.set(node.uuid, {
        ...(facts === undefined ? {} : { facts: (JSON.parse(Buffer.from(facts).toString('utf8')) as FactsView).facts }),
        ...(run === undefined ? {} : { run: stated(run) }),
      });
    }
  };
  await Promise.all(Array.from({ length: concurrentReads }, read));
  return reported;
}

/** Names of a few, and how many more there are. */
function namesOf(nodes: readonly NodeView[]): string {
  const names = nodes.slice(0, 5).map(({ name }) => printable(name));
  return [...names, ...(nodes.length > names.length ? [`${nodes.length - names.length} more`] : [])].join(', ');
}

function stated({ started, release, error, results, dryRun }: RunView): NonNullable<ReportedNode['run']> {
  return {
    started,
    ...(release === undefined ? {} : { release: release.number }),
    ...(error === undefined ? {} : { error }),
    ...(dryRun ? { isLive: true } : {}),
    results,
  };
}

/** What guardrails say of a resource, by the same rules as on the node. */
function protectedBy(resource: CrateResource): readonly string[] {
  return judgeResource(scanner, resource).findings.map(({ rule, reason }) => `${rule}: ${reason}`);
}

function formatPlan({ nodes, blastRadius }: StatedPlan): string[] {
  const { nodesChanged, added, changed, removed, removals, leftOut, unreported } = blastRadius;
  return [
    ...nodes.flatMap(formatNode),
    `${nodesChanged} of ${blastRadius.nodes} nodes change: ${added} resources added, ${changed} changed, ${removed} no longer looked after`,
    ...(removals > 0 ? [`${removals} of them remove something from a node`] : []),
    ...(leftOut > 0 ? [`${leftOut} of them are left out by nodes, by their facts`] : []),
    ...(unreported > 0 ? [`${unreported} of the nodes have not reported a run yet`] : []),
    ...blastRadius.protected.map((text) => `protected: ${printable(text)}`),
  ];
}

const signs = { added: '+', changed: '~', removed: '-' } as const;

function formatNode(node: StatedNode): string[] {
  const crates = [...node.gained.map((name) => `+${name}`), ...node.lost.map((name) => `-${name}`)].join(' ');
  return [
    `${printable(node.name)} (${node.uuid})${crates === '' ? '' : ` crates: ${crates}`}`,
    ...node.changes.flatMap(({ change, crate, key, fields, leftOut, reported }) => [
      `  ${signs[change]} ${printable(`${crate}/${key}`)}${noteOf(leftOut, reported)}`,
      ...fields.map(({ field, before, after }) => `      ${printable(`${field}: ${before ?? '-'} → ${after ?? '-'}`)}`),
    ]),
    ...node.trouble.map(({ resource, result, reason }) =>
      printable(
        result === 'failed' || result === 'blocked'
          ? `  ! ${resource}: ${result} in the last run: ${reason}`
          : `  ! ${resource}: drifted, and would be ${result}: ${reason}`,
      ),
    ),
    '',
  ];
}

function noteOf(leftOut: StatedChange['leftOut'], reported: StatedChange['reported']): string {
  if (leftOut !== undefined) return printable(`  (${leftOut})`);
  if (reported?.result !== 'failed' && reported?.result !== 'blocked') return '';
  return printable(`  (${reported.result} in the last run: ${reported.reason})`);
}
