/**
 * A release as nodes see it: a manifest of bindings and crates, and one blob a crate. Both are canonical JSON (RFC 8785
 * under the strict entry profile) with no unknown member, so that one value has one encoding and one digest.
 */
import { z } from 'zod';
import { utf8 } from '../crypto/encoding.ts';
import { canonicalize, type Json, parseCanonicalJson } from '../crypto/jcs.ts';
import { PolicyError } from './errors.ts';
import { isGlob } from './glob.ts';
import {
  crateNamePattern,
  digestPattern,
  fleetNamePattern,
  idPattern,
  labelPattern,
  maxBindings,
  maxCrateBytes,
  maxCrates,
  maxLabels,
  maxManifestBytes,
  maxReferences,
  maxReleaseNumber,
  maxResources,
  noPrevious,
  parseReference,
  typeNamePattern,
} from './names.ts';
import { typesWithContent } from './resource-types.ts';

/** The nodes that a binding means: all given conditions hold. Never empty, so that no slip means "every node". */
export type Match = { readonly name?: string; readonly labels?: { readonly [name: string]: string } };
export type Binding = { readonly match: Match; readonly crates: readonly string[] };
/** A crate's digest, and the digests of the contents that it refers to; all of them sorted and without repeats. */
export type ManifestCrate = { readonly name: string; readonly sha256: string; readonly blobs: readonly string[] };

/** Times are Unix milliseconds here, and `YYYY-MM-DDThh:mm:ss.sssZ` in the bytes. */
export type Manifest = {
  readonly fleet: string;
  readonly number: number;
  /** Digest of the manifest before this one; 64 zeros in release 1. */
  readonly previous: string;
  readonly created: number;
  readonly expires: number;
  readonly bindings: readonly Binding[];
  readonly crates: readonly ManifestCrate[];
};

export type CrateResource = {
  readonly type: string;
  readonly id: string;
  /** In the form of the type's schema; each node parses it again with its own. */
  readonly desired: { readonly [name: string]: Json };
  /** References: these come first. */
  readonly requires?: readonly string[];
  /** References: these react when this one changed, and come after it. */
  readonly notify?: readonly string[];
  /** References: these come after. */
  readonly before?: readonly string[];
};
export type Crate = { readonly crate: string; readonly resources: readonly CrateResource[] };

/** What stands in a resource in place of a file's content. */
export type ContentReference = { readonly sha256: string; readonly bytes: number };

const digest = z.string().regex(digestPattern);
const crateName = z.string().regex(crateNamePattern);
const time = z
  .string()
  .regex(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/)
  // The pattern lets 30 February pass; only what formats back to itself is a time.
  .refine((text) => !Number.isNaN(Date.parse(text)) && new Date(text).toISOString() === text);
const sorted = (texts: readonly string[]) => texts.every((text, i) => i === 0 || (texts[i - 1] as string) < text);

const matchSchema = z
  .strictObject({
    name: z.string().refine(isGlob).optional(),
    labels: z
      .record(z.string().regex(labelPattern), z.string().regex(labelPattern))
      .refine((labels) => Object.keys(labels).length >= 1 && Object.keys(labels).length <= maxLabels)
      .optional(),
  })
  .refine((match) => match.name !== undefined || match.labels !== undefined, 'matches by nothing');

const manifestSchema = z
  .strictObject({
    v: z.literal(1),
    fleet: z.string().regex(fleetNamePattern),
    number: z.int().min(1).max(maxReleaseNumber),
    previous: digest,
    created: time,
    expires: time,
    bindings: z
      .array(z.strictObject({ match: matchSchema, crates: z.array(crateName).min(1).max(maxCrates) }))
      .max(maxBindings),
    crates: z
      .array(z.strictObject({ name: crateName, sha256: digest, blobs: z.array(digest).refine(sorted, 'not sorted') }))
      .max(maxCrates)
      .refine((crates) => sorted(crates.map((crate) => crate.name)), 'not sorted by name'),
  })
  .refine((m) => (m.number === 1) === (m.previous === noPrevious), 'only release 1 has no previous release')
  .refine((m) => m.created < m.expires, 'expires before it was created')
  .refine((m) => {
    const names = new Set(m.crates.map((crate) => crate.name));
    return m.bindings.every(
      (b) => b.crates.every((name) => names.has(name)) && new Set(b.crates).size === b.crates.length,
    );
  }, 'a binding names an unknown crate, or one twice');

const contentSchema = z.strictObject({ sha256: digest, bytes: z.int().min(0) });
const references = z
  .array(z.string().refine((text) => parseReference(text) !== undefined, 'not a reference'))
  .min(1)
  .max(maxReferences);
const resourceSchema = z
  .strictObject({
    type: z.string().regex(typeNamePattern),
    id: z.string().regex(idPattern),
    desired: z.record(z.string(), z.json()),
    requires: references.optional(),
    notify: references.optional(),
    before: references.optional(),
  })
  .refine(
    ({ type, desired }) =>
      !typesWithContent.has(type) ||
      desired['content'] === undefined ||
      contentSchema.safeParse(desired['content']).success,
    'content is not a reference to a blob',
  );
const crateSchema = z.strictObject({
  v: z.literal(1),
  crate: crateName,
  resources: z.array(resourceSchema).max(maxResources),
});

/** Reads attacker-controlled bytes. Throws `PolicyError` `malformed`, and nothing else. */
export function parseManifest(bytes: Uint8Array): Manifest {
  const value = parseWith(manifestSchema, bytes, maxManifestBytes, 'manifest');
  const { fleet, number, previous, crates } = value;
  const bindings = value.bindings.map((binding) => ({ match: compact(binding.match), crates: binding.crates }));
  return {
    fleet,
    number,
    previous,
    created: Date.parse(value.created),
    expires: Date.parse(value.expires),
    bindings,
    crates,
  };
}

/** The canonical bytes of a manifest; what is signed. */
export function formatManifest(manifest: Manifest): Uint8Array {
  const { fleet, number, previous, bindings, crates } = manifest;
  const created = new Date(manifest.created).toISOString();
  const expires = new Date(manifest.expires).toISOString();
  return utf8(
    canonicalize({ v: 1, fleet, number, previous, created, expires, bindings: bindings.map(jsonBinding), crates }),
  );
}

/** Reads attacker-controlled bytes. Throws `PolicyError` `malformed`, and nothing else. */
export function parseCrate(bytes: Uint8Array): Crate {
  const value = parseWith(crateSchema, bytes, maxCrateBytes, 'crate');
  return { crate: value.crate, resources: value.resources.map((resource) => compact(resource) as CrateResource) };
}

export function formatCrate(crate: Crate): Uint8Array {
  return utf8(canonicalize({ v: 1, crate: crate.crate, resources: crate.resources as unknown as Json }));
}

/** What decides what nodes do: equal for two releases exactly when they differ in number, times and chain alone. */
export function formatContent(manifest: Pick<Manifest, 'bindings' | 'crates'>): string {
  return canonicalize({ bindings: manifest.bindings.map(jsonBinding), crates: manifest.crates });
}

/** The blob that a resource's content is in, if it has any. */
export function contentOf(resource: CrateResource): ContentReference | undefined {
  if (!typesWithContent.has(resource.type)) return undefined;
  const content = contentSchema.safeParse(resource.desired['content']);
  return content.success ? content.data : undefined;
}

function parseWith<T extends z.ZodType>(schema: T, bytes: Uint8Array, maxBytes: number, what: string): z.infer<T> {
  let json: Json;
  try {
    json = parseCanonicalJson(bytes, { maxBytes, maxDepth: 16 });
  } catch (cause) {
    throw new PolicyError('malformed', `the ${what} is not canonical JSON`, { cause });
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const where = issue === undefined || issue.path.length === 0 ? '' : ` at ${issue.path.join('.').slice(0, 100)}`;
  throw new PolicyError('malformed', `the ${what} is malformed${where}`, { cause: parsed.error });
}

function jsonBinding(binding: Binding): Json {
  return { match: compact(binding.match) as Json, crates: binding.crates };
}

/** Without members that are `undefined`, which canonical JSON can't carry. */
function compact<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as never;
}
