/** The plan of a release: what it would change on each enrolled node, compared with the release before it. */

import { canonicalize, type Json } from '../crypto/jcs.ts';
import { cratesFor, type EnrolledNode } from './bindings.ts';
import type { Crate, CrateResource, Manifest } from './model.ts';
import { resourceKey } from './resource-types.ts';
import { givenVars, type Vars, varsOfCrate } from './vars.ts';

/** A release with its crates by name. */
export type ReleaseContent = {
  readonly manifest: Pick<Manifest, 'bindings' | 'vars'>;
  readonly crates: ReadonlyMap<string, Crate>;
  /** The text of templates by digest. Of one that is missing, every var is taken for used. */
  readonly templates?: ReadonlyMap<string, string>;
};
export type PlannedNode = EnrolledNode & { readonly uuid: string };

export type FieldChange = {
  /** Path within the resource, such as `desired.mode`. */
  readonly field: string;
  /** Canonical JSON, shortened. */
  readonly before?: string;
  readonly after?: string;
};
export type ResourceChange = {
  readonly change: 'added' | 'changed' | 'removed';
  readonly crate: string;
  /** `type/id`. A removed resource is no longer looked after; nothing is undone on the node. */
  readonly key: string;
  readonly fields: readonly FieldChange[];
};
export type NodePlan = {
  readonly uuid: string;
  readonly name: string;
  readonly gained: readonly string[];
  readonly lost: readonly string[];
  readonly changes: readonly ResourceChange[];
};
export type Plan = {
  /** Nodes with a change, by name. */
  readonly nodes: readonly NodePlan[];
  readonly blastRadius: {
    readonly nodes: number;
    readonly nodesChanged: number;
    readonly added: number;
    readonly changed: number;
    readonly removed: number;
  };
};

const maxShownChars = 120;

/** What `next` would change on `nodes`; everything is new when there is no current release. */
export function planRelease(input: {
  readonly current?: ReleaseContent;
  readonly next: ReleaseContent;
  readonly nodes: readonly PlannedNode[];
}): Plan {
  const { current, next } = input;
  const crateDiffs = new Map<string, readonly ResourceChange[]>();
  const nodes = input.nodes
    .map((node) => planNode(node, current, next, crateDiffs))
    .filter((plan) => plan.gained.length + plan.lost.length + plan.changes.length > 0)
    .sort((a, b) => compare(a.name, b.name) || compare(a.uuid, b.uuid));
  const count = (change: ResourceChange['change']) =>
    nodes.reduce((sum, node) => sum + node.changes.filter((c) => c.change === change).length, 0);
  return {
    nodes,
    blastRadius: {
      nodes: input.nodes.length,
      nodesChanged: nodes.length,
      added: count('added'),
      changed: count('changed'),
      removed: count('removed'),
    },
  };
}

/** `crateDiffs` remembers each crate's diff, which is the same on all nodes that see it with the same vars. */
function planNode(
  node: PlannedNode,
  current: ReleaseContent | undefined,
  next: ReleaseContent,
  crateDiffs: Map<string, readonly ResourceChange[]>,
): NodePlan {
  const had = current === undefined ? [] : cratesFor(current.manifest, node);
  const gets = cratesFor(next.manifest, node);
  const changes = [...new Set([...gets, ...had])].flatMap((name) => {
    const hadIt = had.includes(name);
    const getsIt = gets.includes(name);
    const before = hadIt && current !== undefined ? seenBy(node, name, current) : undefined;
    const after = getsIt ? seenBy(node, name, next) : undefined;
    const memo = `${name} ${canonicalize([before?.vars ?? false, after?.vars ?? false])}`;
    const known = crateDiffs.get(memo);
    if (known !== undefined) return known;
    const diff = diffCrate(name, before, after);
    crateDiffs.set(memo, diff);
    return diff;
  });
  return {
    uuid: node.uuid,
    name: node.name,
    gained: gets.filter((name) => !had.includes(name)),
    lost: had.filter((name) => !gets.includes(name)),
    changes,
  };
}

/** A crate with the vars that a node gives it. */
type SeenCrate = { readonly crate: Crate; readonly vars: Vars; readonly templates: ReadonlyMap<string, string> };

function seenBy(node: PlannedNode, name: string, content: ReleaseContent): SeenCrate | undefined {
  const { manifest, crates, templates = new Map() } = content;
  const crate = crates.get(name);
  return crate === undefined
    ? undefined
    : { crate, vars: varsOfCrate(crate, givenVars(manifest, node)).vars, templates };
}

function diffCrate(
  crate: string,
  before: SeenCrate | undefined,
  after: SeenCrate | undefined,
): readonly ResourceChange[] {
  const resources = before?.crate.resources ?? [];
  const old = new Map(resources.map((resource) => [resourceKey(resource.type, resource.id), resource]));
  const changes: ResourceChange[] = [];
  for (const resource of after?.crate.resources ?? []) {
    const key = resourceKey(resource.type, resource.id);
    const previous = old.get(key);
    old.delete(key);
    const fields = diffFields(flatten(previous, before), flatten(resource, after));
    if (previous === undefined) changes.push({ change: 'added', crate, key, fields });
    else if (fields.length > 0) changes.push({ change: 'changed', crate, key, fields });
  }
  for (const [key, resource] of old)
    changes.push({ change: 'removed', crate, key, fields: diffFields(flatten(resource, before), new Map()) });
  return changes;
}

function diffFields(old: ReadonlyMap<string, string>, fresh: ReadonlyMap<string, string>): readonly FieldChange[] {
  return [...new Set([...old.keys(), ...fresh.keys()])].sort(compare).flatMap((field) => {
    const [was, is] = [old.get(field), fresh.get(field)];
    if (was === is) return [];
    return [
      {
        field,
        ...(was === undefined ? {} : { before: shorten(was) }),
        ...(is === undefined ? {} : { after: shorten(is) }),
      },
    ];
  });
}

/**
 * The first level of what is desired, and the rest, each as canonical JSON. What a template or condition makes of vars
 * is known on the node only, so every var that it names counts.
 */
function flatten(resource: CrateResource | undefined, seen: SeenCrate | undefined): ReadonlyMap<string, string> {
  if (resource === undefined || seen === undefined) return new Map();
  const { desired, requires, notify, before, when, accepts, template, item } = resource;
  const source = template === undefined ? '' : seen.templates.get(template.sha256);
  const used = Object.entries(seen.vars).filter(
    ([name]) => source === undefined || namesVar(`${when ?? ''} ${source}`, name),
  );
  const members: [string, Json | undefined][] = [
    ...Object.entries(desired).map(([name, value]): [string, Json] => [`desired.${name}`, value]),
    ['requires', requires],
    ['notify', notify],
    ['before', before],
    ['when', when],
    ['accepts', accepts],
    ['template', template?.sha256],
    ['item', item],
    ...used.map(([name, value]): [string, Json] => [`vars.${name}`, value]),
  ];
  return new Map(members.flatMap(([name, value]) => (value === undefined ? [] : [[name, canonicalize(value)]])));
}

function namesVar(text: string, name: string): boolean {
  return new RegExp(`\\b${name}\\b`).test(text);
}

function shorten(text: string): string {
  return text.length > maxShownChars ? `${text.slice(0, maxShownChars)}…` : text;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
