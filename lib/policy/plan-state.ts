/**
 * A plan against what nodes last reported: which changes a node's own facts leave out, what it found of each resource
 * in its last run, what is in trouble there already, and what the release takes away or touches that is protected.
 */
import type { Json } from '../crypto/jcs.ts';
import { cratesFor } from './bindings.ts';
import { judge } from './expression.ts';
import type { CrateResource } from './model.ts';
import type { NodePlan, Plan, PlannedNode, ReleaseContent, ResourceChange } from './plan.ts';
import { resourceKey } from './resource-types.ts';
import { givenVars, varsOfCrate } from './vars.ts';

/** What is known of a node by its own reports. All of it is the node's word. */
export type ReportedNode = {
  readonly facts?: Json;
  readonly run?: {
    readonly started: string;
    readonly release?: number;
    readonly error?: string;
    /** A dry run that was asked for: what it found changed has drifted, and nothing put it right. */
    readonly isLive?: boolean;
    readonly results: readonly { readonly resource: string; readonly result: string; readonly reason: string }[];
  };
};

export type StatedChange = ResourceChange & {
  /** How the node's last run found or left the resource. */
  readonly reported?: { readonly result: string; readonly reason: string };
  /** Why the node would leave it alone: its `when`, by the facts that were reported. */
  readonly leftOut?: string;
  /** It takes something away from the node. */
  readonly removes: boolean;
  /** What it touches that is protected. */
  readonly protectedBy: readonly string[];
};

/** A resource that no run could make so, and that this release leaves as it is declared. */
export type Trouble = { readonly resource: string; readonly result: string; readonly reason: string };

export type StatedNode = Omit<NodePlan, 'changes'> & {
  readonly changes: readonly StatedChange[];
  readonly trouble: readonly Trouble[];
  readonly lastRun?: { readonly started: string; readonly release?: number; readonly error?: string };
};

export type StatedPlan = {
  readonly nodes: readonly StatedNode[];
  readonly blastRadius: Plan['blastRadius'] & {
    /** Changes that remove a file, package, user, …, on some node. */
    readonly removals: number;
    /** Changes that touch something protected, each resource once. */
    readonly protected: readonly string[];
    /** Changes that nodes leave out by their facts. */
    readonly leftOut: number;
    /** Nodes that change and have never reported a run. */
    readonly unreported: number;
  };
};

export type StateInput = {
  readonly plan: Plan;
  readonly next: ReleaseContent;
  readonly nodes: readonly PlannedNode[];
  /** By UUID. */
  readonly reported: ReadonlyMap<string, ReportedNode>;
  /** What a resource touches that is protected, in words. */
  protectedBy(resource: CrateResource): readonly string[];
};

/** The plan with what the nodes reported. Nodes that don't change are there when they are in trouble. */
export function statePlan(input: StateInput): StatedPlan {
  const planned = new Map(input.plan.nodes.map((node) => [node.uuid, node]));
  const nodes = input.nodes.flatMap((node) => {
    const stated = stateNode(node, planned.get(node.uuid), input);
    return stated.changes.length + stated.gained.length + stated.lost.length + stated.trouble.length > 0
      ? [stated]
      : [];
  });
  const changes = nodes.flatMap((node) => node.changes);
  const touching = changes.filter((change) => change.protectedBy.length > 0 && change.change !== 'removed');
  return {
    nodes: nodes.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.uuid < b.uuid ? -1 : 1)),
    blastRadius: {
      ...input.plan.blastRadius,
      removals: changes.filter((change) => change.removes && change.leftOut === undefined).length,
      protected: [...new Set(touching.flatMap(describeProtected))].sort(),
      leftOut: changes.filter((change) => change.leftOut !== undefined).length,
      unreported: nodes.filter((node) => node.changes.length > 0 && node.lastRun === undefined).length,
    },
  };
}

function describeProtected({ crate, key, protectedBy }: StatedChange): readonly string[] {
  return protectedBy.map((reason) => `${crate}/${key}: ${reason}`);
}

function stateNode(node: PlannedNode, plan: NodePlan | undefined, input: StateInput): StatedNode {
  const reported = input.reported.get(node.uuid);
  const results = new Map(reported?.run?.results.map((result) => [result.resource, result]));
  const resources = resourcesOf(node, input.next);
  const changes = (plan?.changes ?? []).map((change): StatedChange => {
    const resource = resources.get(`${change.crate}/${change.key}`);
    const result = results.get(`${change.crate}/${change.key}`);
    const leftOut = resource === undefined ? undefined : leftOutBy(resource, node, reported?.facts, input.next);
    return {
      ...change,
      ...(result === undefined ? {} : { reported: { result: result.result, reason: result.reason } }),
      ...(leftOut === undefined ? {} : { leftOut }),
      removes: resource !== undefined && isRemoval(resource.resource),
      protectedBy: resource === undefined ? [] : input.protectedBy(resource.resource),
    };
  });
  const changed = new Set(changes.map(({ crate, key }) => `${crate}/${key}`));
  const trouble = [...results.values()].filter(
    ({ resource, result }) =>
      (isTrouble(result) || (reported?.run?.isLive === true && isDrift(result))) &&
      resources.has(resource) &&
      !changed.has(resource),
  );
  const { run } = reported ?? {};
  const { uuid, name } = node;
  return {
    uuid,
    name,
    gained: plan?.gained ?? [],
    lost: plan?.lost ?? [],
    changes,
    trouble,
    ...(run === undefined
      ? {}
      : {
          lastRun: {
            started: run.started,
            ...(run.release === undefined ? {} : { release: run.release }),
            ...(run.error === undefined ? {} : { error: run.error }),
          },
        }),
  };
}

type Located = { readonly resource: CrateResource; readonly crate: string };

/** By `crate/type/id`. */
function resourcesOf(node: PlannedNode, { manifest, crates }: ReleaseContent): ReadonlyMap<string, Located> {
  return new Map(
    cratesFor(manifest, node).flatMap((crate) =>
      (crates.get(crate)?.resources ?? []).map(
        (resource) => [`${crate}/${resourceKey(resource.type, resource.id)}`, { resource, crate }] as const,
      ),
    ),
  );
}

function leftOutBy(
  { resource, crate }: Located,
  node: PlannedNode,
  facts: Json | undefined,
  { manifest, crates }: ReleaseContent,
): string | undefined {
  const source = crates.get(crate);
  if (resource.when === undefined || facts === undefined || source === undefined) return undefined;
  const { vars } = varsOfCrate(source, givenVars(manifest, node));
  const { uuid, name, labels } = node;
  const item = resource.item === undefined ? {} : { item: resource.item };
  const verdict = judge(resource.when, { facts, vars, node: { uuid, name, labels }, ...item });
  if (verdict.ok) return verdict.holds ? undefined : `not when ${resource.when}`;
  return `would fail: when: ${verdict.reason}`;
}

function isDrift(result: string): boolean {
  return result === 'created' || result === 'updated' || result === 'removed';
}

function isTrouble(result: string): boolean {
  return result === 'failed' || result === 'blocked';
}

function isRemoval({ desired }: CrateResource): boolean {
  return desired['state'] === 'absent' || desired['state'] === 'unmounted';
}
