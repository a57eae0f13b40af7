/**
 * The port through which policy sees resource types. The agent's executors satisfy it, and more: here only what is
 * needed to check a crate before it is signed.
 */
import type { z } from 'zod';

export type ResourceType = {
  /** The key that names the type in YAML, such as `file`. */
  readonly name: string;
  /** A strict schema of what is desired, in the form that nodes get: with file contents replaced by digests. */
  readonly schema: z.ZodType;
  /** What tells resources of this type apart on one node, such as the path. */
  // biome-ignore lint/suspicious/noExplicitAny: each type has its own shape, which only its own schema makes
  id(desired: any): string;
};

export type ResourceTypes = ReadonlyMap<string, ResourceType>;

/** Types whose `content` (inline text) or `source` (a file of the crate) becomes a blob. */
export const typesWithContent: ReadonlySet<string> = new Set(['file', 'archive']);

/** Types that claim one and the same space: there can be one of them at a path. */
const typesOfPaths: ReadonlySet<string> = new Set(['file', 'directory', 'symlink']);

/** `type/id`, by which other resources refer to one. */
export function resourceKey(type: string, id: string): string {
  return `${type}/${id}`;
}

/** What a resource holds for itself on its node. Two resources with one claim would undo each other's work for ever. */
export function claimOf(type: string, id: string): string {
  return typesOfPaths.has(type) ? `path ${id}` : resourceKey(type, id);
}
