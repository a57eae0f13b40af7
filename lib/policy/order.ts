/** The order of resources: each after all that it needs, and otherwise in the order of the files. */

import { PolicyError } from './errors.ts';
import { parseReference } from './names.ts';

/** A resource as far as order is concerned. `key` is `type/id`; references without a crate mean their own. */
export type Ordered = {
  readonly crate: string;
  readonly key: string;
  readonly requires?: readonly string[];
  readonly notify?: readonly string[];
  readonly before?: readonly string[];
};

export type Order<T> =
  | { readonly ok: true; readonly sorted: readonly T[] }
  /** `cycle` lists the resources of one circle; each must come before the next, and the last before the first. */
  | { readonly ok: false; readonly cycle: readonly T[] };

/**
 * Sorts resources of one or several crates. Deterministic: of all that could come next, the first in the given order
 * does. References to resources that are not in the list are left to the caller (`danglingReferences`).
 */
export function orderResources<T extends Ordered>(resources: readonly T[]): Order<T> {
  const successors = edges(resources);
  const waitingFor = new Array<number>(resources.length).fill(0);
  for (const targets of successors) for (const target of targets) waitingFor[target] = (waitingFor[target] ?? 0) + 1;
  const ready: number[] = [];
  for (let i = resources.length - 1; i >= 0; i -= 1) if (waitingFor[i] === 0) ready.push(i);
  const sorted: T[] = [];
  // `ready` descends, so that the smallest index is popped.
  for (let next = ready.pop(); next !== undefined; next = ready.pop()) {
    sorted.push(resources[next] as T);
    for (const target of successors[next] ?? []) {
      const left = (waitingFor[target] ?? 0) - 1;
      waitingFor[target] = left;
      if (left === 0) insertDescending(ready, target);
    }
  }
  if (sorted.length === resources.length) return { ok: true, sorted };
  return { ok: false, cycle: findCycle(successors, waitingFor).map((i) => resources[i] as T) };
}

/** As `orderResources`, but throws `PolicyError` `cycle`, with the circle in its message. */
export function sortResources<T extends Ordered>(resources: readonly T[]): readonly T[] {
  const order = orderResources(resources);
  if (order.ok) return order.sorted;
  throw new PolicyError('cycle', `resources depend on each other in a circle: ${formatCycle(order.cycle)}`);
}

export function formatCycle(cycle: readonly Ordered[]): string {
  const names = cycle.map((resource) => `${resource.crate}:${resource.key}`);
  return [...names, names[0]].join(' → ');
}

/** References of these resources to one that is not among them. */
export function danglingReferences<T extends Ordered>(
  resources: readonly T[],
): readonly { readonly from: T; readonly reference: string }[] {
  const known = new Set(resources.map((resource) => fullKey(resource.crate, resource.key)));
  return resources.flatMap((from) =>
    [...(from.requires ?? []), ...(from.notify ?? []), ...(from.before ?? [])]
      .filter((reference) => !known.has(targetKey(from, reference) ?? ''))
      .map((reference) => ({ from, reference })),
  );
}

/** For each resource the indexes of those that must come after it, without repeats. */
function edges(resources: readonly Ordered[]): readonly ReadonlySet<number>[] {
  const indexes = new Map(resources.map((resource, i) => [fullKey(resource.crate, resource.key), i]));
  const successors = resources.map((): Set<number> | undefined => undefined);
  const find = (from: Ordered, reference: string) => indexes.get(targetKey(from, reference) ?? '');
  for (const [i, resource] of resources.entries()) {
    for (const reference of resource.requires ?? []) {
      const target = find(resource, reference);
      if (target !== undefined) follow(target, i);
    }
    for (const reference of [...(resource.notify ?? []), ...(resource.before ?? [])]) {
      const target = find(resource, reference);
      if (target !== undefined) follow(i, target);
    }
  }
  return successors.map((targets) => targets ?? nothing);

  function follow(from: number, to: number): void {
    const known = successors[from] ?? new Set();
    successors[from] = known.add(to);
  }
}

/** Most resources are followed by none. */
const nothing: ReadonlySet<number> = new Set();

function targetKey(from: Ordered, reference: string): string | undefined {
  const parsed = parseReference(reference);
  return parsed === undefined ? undefined : fullKey(parsed.crate ?? from.crate, parsed.key);
}

function fullKey(crate: string, key: string): string {
  return `${crate}:${key}`;
}

function insertDescending(list: number[], value: number): void {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((list[middle] as number) > value) low = middle + 1;
    else high = middle;
  }
  list.splice(low, 0, value);
}

/** What still waits includes a cycle, and things behind it. Walking backwards from any of them runs into the cycle. */
function findCycle(successors: readonly ReadonlySet<number>[], waitingFor: readonly number[]): readonly number[] {
  const stuck = waitingFor.flatMap((count, i) => (count > 0 ? [i] : []));
  const predecessor = new Map<number, number>();
  for (const i of stuck) {
    for (const target of successors[i] ?? []) if (!predecessor.has(target)) predecessor.set(target, i);
  }
  const walked: number[] = [];
  const seen = new Map<number, number>();
  let at = stuck[0] as number;
  while (!seen.has(at)) {
    seen.set(at, walked.length);
    walked.push(at);
    at = predecessor.get(at) as number;
  }
  const cycle = walked.slice(seen.get(at)).reverse();
  // Told from the resource that stands first, so that the same policy gives the same message.
  const first = cycle.indexOf(Math.min(...cycle));
  return [...cycle.slice(first), ...cycle.slice(0, first)];
}
