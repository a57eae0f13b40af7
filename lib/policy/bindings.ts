/**
 * Bindings: which node gets which crates. Judged by the name and labels under which a node was enrolled, never by what
 * it says of itself; evaluated by the node for its own work, and by the gateway for what the node may download.
 */
import { isLiteral, matchesGlob } from './glob.ts';
import type { Manifest, Match } from './model.ts';

export type EnrolledNode = { readonly name: string; readonly labels: { readonly [name: string]: string } };

/** The names of the node's crates, each once, in the order in which the bindings first name them. */
export function cratesFor(manifest: Pick<Manifest, 'bindings'>, node: EnrolledNode): readonly string[] {
  const names = new Set<string>();
  for (const binding of manifest.bindings) {
    if (matchesNode(binding.match, node)) for (const name of binding.crates) names.add(name);
  }
  return [...names];
}

/** Every digest that the node needs, and so may download: its crates and the contents they refer to. */
export function blobsFor(manifest: Pick<Manifest, 'bindings' | 'crates'>, node: EnrolledNode): ReadonlySet<string> {
  const wanted = new Set(cratesFor(manifest, node));
  const digests = new Set<string>();
  for (const crate of manifest.crates) {
    if (!wanted.has(crate.name)) continue;
    digests.add(crate.sha256);
    for (const blob of crate.blobs) digests.add(blob);
  }
  return digests;
}

/** All given conditions hold. A match without any condition matches no node. */
export function matchesNode(match: Match, node: EnrolledNode): boolean {
  if (match.name === undefined && Object.keys(match.labels ?? {}).length === 0) return false;
  if (match.name !== undefined && !matchesGlob(match.name, node.name)) return false;
  return Object.entries(match.labels ?? {}).every(([name, value]) => node.labels[name] === value);
}

/** Whether every node that `narrow` matches is certainly matched by `wide` too. `false` may mean "can't tell". */
export function covers(wide: Match, narrow: Match): boolean {
  const nameCovered =
    wide.name === undefined || wide.name === '*' || (narrow.name !== undefined && coversName(wide.name, narrow.name));
  return nameCovered && Object.entries(wide.labels ?? {}).every(([name, value]) => labelOf(narrow, name) === value);
}

/** Whether some node may be matched by both. `false` is certain. */
export function mayOverlap(a: Match, b: Match): boolean {
  for (const [name, value] of Object.entries(a.labels ?? {})) {
    const other = labelOf(b, name);
    if (other !== undefined && other !== value) return false;
  }
  if (a.name === undefined || b.name === undefined) return true;
  return mayOverlapNames(a.name, b.name);
}

function labelOf(match: Match, name: string): string | undefined {
  return match.labels !== undefined && Object.hasOwn(match.labels, name) ? match.labels[name] : undefined;
}

function coversName(wide: string, narrow: string): boolean {
  return wide === narrow || (isLiteral(narrow) && matchesGlob(wide, narrow));
}

/** Literal beginnings or ends that differ rule out a common name. */
function mayOverlapNames(a: string, b: string): boolean {
  if (isLiteral(a)) return matchesGlob(b, a);
  if (isLiteral(b)) return matchesGlob(a, b);
  const [headA, headB] = [a.split(/[*?]/, 1)[0] ?? '', b.split(/[*?]/, 1)[0] ?? ''];
  const [tailA, tailB] = [a.split(/[*?]/).at(-1) ?? '', b.split(/[*?]/).at(-1) ?? ''];
  return (headA.startsWith(headB) || headB.startsWith(headA)) && (tailA.endsWith(tailB) || tailB.endsWith(tailA));
}
