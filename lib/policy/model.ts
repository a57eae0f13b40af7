/**
 * A release as nodes see it: a manifest of bindings and crates, and one blob a crate. Both are canonical JSON (RFC 8785
 * under the strict entry profile) with no unknown member, so that one value has one encoding and one digest.
 */
import { z } from 'zod';
import { utf8 } from '../crypto/encoding.ts';
import { canonicalize, type Json, parseCanonicalJson } from '../crypto/jcs.ts';
import { secretsOf } from '../secrets/fields.ts';
import { asMarker, referencesIn } from '../secrets/reference.ts';
import { type Accepts, acceptsSchema } from './accepts.ts';
import { PolicyError } from './errors.ts';
import { isGlob } from './glob.ts';
import {
  controlPattern,
  crateNamePattern,
  digestPattern,
  fleetNamePattern,
  idPattern,
  labelPattern,
  maxBindings,
  maxControls,
  maxCrateBytes,
  maxCrates,
  maxExpressionChars,
  maxLabels,
  maxManifestBytes,
  maxReferences,
  maxReleaseNumber,
  maxResources,
  maxVars,
  noPrevious,
  parseReference,
  typeNamePattern,
  varNamePattern,
} from './names.ts';
import { typesWithContent } from './resource-types.ts';
import type { Inputs, Vars } from './vars.ts';

/** The nodes that a binding means: all given conditions hold. Never empty, so that no slip means "every node". */
export type Match = { readonly name?: string; readonly labels?: { readonly [name: string]: string } };
export type Binding = { readonly match: Match; readonly crates: readonly string[]; readonly vars?: Vars };
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
  /** Of the whole fleet; bindings override them. */
  readonly vars?: Vars;
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
  /** An expression in CEL: without it being true, a node leaves the resource alone. */
  readonly when?: string;
  /** Rules by which its command is unknown, each with the reason why it may run. */
  readonly accepts?: Accepts;
  /** The template that a node renders into the content. */
  readonly template?: ContentReference;
  /** The item of the list that `foreach` made this resource of; `when` and the template see it. */
  readonly item?: Json;
};
export type Crate = {
  readonly crate: string;
  /** What the crate declares, with defaults. */
  readonly vars?: Vars;
  /** What it declares without a default. */
  readonly inputs?: Inputs;
  /** The controls that it serves, sorted: for reports alone, agents do nothing with them. */
  readonly controls?: readonly string[];
  readonly resources: readonly CrateResource[];
};

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

const varName = z.string().regex(varNamePattern);
const varsSchema = z
  .record(varName, z.json())
  .refine((vars) => Object.keys(vars).length >= 1 && Object.keys(vars).length <= maxVars)
  .refine(hasWholeMarkers, 'a key that begins with "$" and is no marker');
const inputsSchema = z
  .record(varName, z.enum(['text', 'number', 'flag', 'list', 'map']))
  .refine((inputs) => Object.keys(inputs).length >= 1 && Object.keys(inputs).length <= maxVars);

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
    vars: varsSchema.optional(),
    bindings: z
      .array(
        z
          .strictObject({ match: matchSchema, crates: z.array(crateName).max(maxCrates), vars: varsSchema.optional() })
          .refine((binding) => binding.crates.length > 0 || binding.vars !== undefined, 'a binding of nothing'),
      )
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
    when: z.string().min(1).max(maxExpressionChars).optional(),
    accepts: acceptsSchema.optional(),
    template: contentSchema.optional(),
    item: z.json().optional(),
  })
  .refine(
    ({ type, desired, template }) =>
      template === undefined || (typesWithContent.has(type) && desired['content'] === undefined),
    'a template where none can be',
  )
  .refine(
    ({ type, desired }) =>
      !typesWithContent.has(type) ||
      desired['content'] === undefined ||
      contentSchema.safeParse(desired['content']).success ||
      isMarker(desired['content'] as Json),
    'content is not a reference to a blob or secret',
  )
  .refine(({ type, desired }) => {
    try {
      return secretsOf(type, desired as { readonly [name: string]: Json }).size >= 0;
    } catch {
      return false;
    }
  }, 'a secret where none may be');
const crateSchema = z.strictObject({
  v: z.literal(1),
  crate: crateName,
  vars: varsSchema.optional(),
  inputs: inputsSchema.optional(),
  controls: z.array(z.string().regex(controlPattern)).min(1).max(maxControls).refine(sorted, 'not sorted').optional(),
  resources: z.array(resourceSchema).max(maxResources),
});

/** Reads attacker-controlled bytes. Throws `PolicyError` `malformed`, and nothing else. */
export function parseManifest(bytes: Uint8Array): Manifest {
  const value = parseWith(manifestSchema, bytes, maxManifestBytes, 'manifest');
  const { fleet, number, previous, crates } = value;
  const bindings = value.bindings.map(
    ({ match, crates: given, vars }): Binding => ({
      match: compact(match),
      crates: given,
      ...(vars === undefined ? {} : { vars: vars as Vars }),
    }),
  );
  return {
    fleet,
    number,
    previous,
    created: Date.parse(value.created),
    expires: Date.parse(value.expires),
    ...(value.vars === undefined ? {} : { vars: value.vars as Vars }),
    bindings,
    crates,
  };
}

/** The canonical bytes of a manifest; what is signed. */
export function formatManifest(manifest: Manifest): Uint8Array {
  const { fleet, number, previous, bindings, crates } = manifest;
  const created = new Date(manifest.created).toISOString();
  const expires = new Date(manifest.expires).toISOString();
  const vars = jsonVars(manifest.vars);
  return utf8(
    canonicalize({
      v: 1,
      fleet,
      number,
      previous,
      created,
      expires,
      ...vars,
      bindings: bindings.map(jsonBinding),
      crates,
    }),
  );
}

/** Reads attacker-controlled bytes. Throws `PolicyError` `malformed`, and nothing else. */
export function parseCrate(bytes: Uint8Array): Crate {
  const value = parseWith(crateSchema, bytes, maxCrateBytes, 'crate');
  const resources = value.resources.map((resource) => compact(resource) as CrateResource);
  const { crate, vars, inputs, controls } = value;
  const declared = { vars: vars as Vars | undefined, inputs: inputs as Inputs | undefined, controls };
  return { ...compact({ crate, ...declared }), resources };
}

export function formatCrate(crate: Crate): Uint8Array {
  const { vars, inputs, controls = [], resources } = crate;
  const inputsGiven = inputs !== undefined && Object.keys(inputs).length > 0 ? { inputs } : {};
  return utf8(
    canonicalize({
      v: 1,
      crate: crate.crate,
      ...jsonVars(vars),
      ...inputsGiven,
      ...(controls.length === 0 ? {} : { controls }),
      resources: resources as unknown as Json,
    }),
  );
}

/** What decides what nodes do: equal for two releases exactly when they differ in number, times and chain alone. */
export function formatContent(manifest: Pick<Manifest, 'vars' | 'bindings' | 'crates'>): string {
  const { vars, bindings, crates } = manifest;
  return canonicalize({ ...jsonVars(vars), bindings: bindings.map(jsonBinding), crates });
}

/** The blob that a resource's content is in, or is rendered from, if it has any. */
export function contentOf(resource: CrateResource): ContentReference | undefined {
  if (!typesWithContent.has(resource.type)) return undefined;
  if (resource.template !== undefined) return resource.template;
  const content = contentSchema.safeParse(resource.desired['content']);
  return content.success ? content.data : undefined;
}

function hasWholeMarkers(vars: { readonly [name: string]: unknown }): boolean {
  try {
    return referencesIn(vars as Json).size >= 0;
  } catch {
    return false;
  }
}

function isMarker(value: Json): boolean {
  try {
    return asMarker(value) !== undefined;
  } catch {
    return false;
  }
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
  return { match: compact(binding.match) as Json, crates: binding.crates, ...jsonVars(binding.vars) };
}

/** No vars have one form, which is none. */
function jsonVars(vars: Vars | undefined): { readonly vars?: Vars } {
  return vars === undefined || Object.keys(vars).length === 0 ? {} : { vars };
}

/** Without members that are `undefined`, which canonical JSON can't carry. */
function compact<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as never;
}
