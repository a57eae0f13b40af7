/**
 * The secrets of one run, between the engine and the node: which resources need which, how each is opened, and what
 * has changed since. What was applied is remembered in memory alone, by version, so that a rotation re-applies only what
 * depends on it.
 */
import type { Json } from '../lib/crypto/jcs.ts';
import type { Vars } from '../lib/policy/vars.ts';
import { SecretsError } from '../lib/secrets/errors.ts';
import { assertMode, type Desired, editsFile, secretsOf } from '../lib/secrets/fields.ts';
import { asMarker, referencesIn } from '../lib/secrets/reference.ts';
import type { Resource } from './engine.ts';
import type { Host } from './host.ts';
import { openRunSecrets, type SecretDeps, SecretUnavailable } from './secrets.ts';

/** What this process knows of its secrets: versions and an epoch, never a value. */
export type NodeSecrets = SecretDeps & { readonly memory: SecretMemory };

export type SecretMemory = {
  /** The epoch at which the secrets were last resolved; 0 before. */
  epoch: number;
  /** The newest that the control plane told of. */
  announced: number;
  readonly versions: Map<string, number>;
};

export function newSecretMemory(): SecretMemory {
  return { epoch: 0, announced: 0, versions: new Map() };
}

export type ResourceSecrets = {
  readonly hooks: { open(resource: Resource): Promise<unknown>; redact(text: string): string };
  blob(sha256: string): Uint8Array | undefined;
  /** What tells the resources that depend on a secret that has changed since it was applied. */
  changed(): Promise<(resource: Resource) => boolean>;
  /** After the run: remembers what was resolved. */
  settle(): void;
  close(): void;
};

export function openResourceSecrets(
  deps: { readonly secrets?: NodeSecrets; readonly host: Pick<Host, 'inspect'> },
  releaseDigest: string,
  resources: readonly Resource[],
): ResourceSecrets {
  // By what is desired: the engine spreads resources into its own, and leaves that as it is.
  const needs = new Map(resources.map((resource) => [resource.desired, needsOf(resource)]));
  // What is not meant for this machine is not asked for.
  const meant = resources.filter(({ decided }) => decided === undefined);
  const paths = [...new Set(meant.flatMap((resource) => [...(needs.get(resource.desired)?.paths ?? [])]))];
  const { secrets } = deps;
  const run = secrets && openRunSecrets(secrets, { releaseDigest, paths });

  async function open(resource: Resource): Promise<unknown> {
    const need = needs.get(resource.desired) ?? needsOf(resource);
    if (need.wrong !== undefined) throw new SecretUnavailable(need.wrong);
    if (need.paths.size === 0) return resource.desired;
    if (run === undefined) throw new SecretUnavailable('this agent has no secrets');
    const desired = resource.desired as Desired;
    if (editsFile(resource.type)) await assertClosed(deps.host, desired['path']);
    const opened = await run.open(resource.type, desired);
    // Also where a release leaves it out: never wider by default.
    const mode = resource.type === 'file' && desired['mode'] === undefined ? { mode: '0600' } : {};
    if (resource.late === undefined) return { ...opened, ...mode };
    const values: Record<string, Json> = {};
    for (const [name, value] of Object.entries(resource.late.secrets)) values[name] = await fill(value, run.text);
    const content = run.keep(Buffer.from(resource.late.render(values as Vars), 'utf8'));
    return { ...opened, ...mode, content };
  }

  return {
    hooks: { open, redact: (text) => secrets?.redaction.text(text) ?? text },
    blob: (sha256) => run?.blob(sha256),
    async changed() {
      await run?.prefetch();
      const versions = run?.resolved()?.versions ?? new Map<string, number>();
      const changed = new Set(
        [...versions].filter(([path, v]) => secrets?.memory.versions.get(path) !== v).map(([p]) => p),
      );
      return (resource) =>
        [...(needs.get(resource.desired) ?? needsOf(resource)).paths].some((path) => changed.has(path));
    },
    settle() {
      if (secrets === undefined) return;
      const resolved = run?.resolved();
      for (const [path, version] of resolved?.versions ?? []) secrets.memory.versions.set(path, version);
      if (resolved !== undefined) secrets.memory.epoch = resolved.epoch;
      // Nothing here depends on any secret, so every epoch is as good as the newest.
      else if (paths.length === 0) secrets.memory.epoch = secrets.memory.announced;
    },
    close: () => run?.close(),
  };
}

type Need = { readonly paths: ReadonlySet<string> /** Why it may not have them. */; readonly wrong?: string };

function needsOf({ type, desired, late }: Pick<Resource, 'type' | 'desired' | 'late'>): Need {
  if (typeof desired !== 'object' || desired === null) return { paths: new Set() };
  try {
    const paths = new Set(secretsOf(type, desired as Desired));
    if (late !== undefined) {
      for (const value of Object.values(late.secrets)) for (const path of referencesIn(value)) paths.add(path);
      assertMode(type, desired as Desired);
    }
    return { paths };
  } catch (error) {
    if (!(error instanceof SecretsError)) throw error;
    return { paths: new Set(), wrong: error.message };
  }
}

/** A secret is edited only into a file that others can't read: its mode stays as it is. */
async function assertClosed(host: Pick<Host, 'inspect'>, path: Json | undefined): Promise<void> {
  const status = typeof path === 'string' ? await host.inspect({ path }) : undefined;
  if (status?.kind === 'file' && (status.mode & 0o007) === 0) return;
  const what = status === undefined ? 'does not exist' : 'can be read by every user';
  throw new SecretUnavailable(
    `a secret is put only into a file that is closed to others, and ${JSON.stringify(path)} ${what}`,
  );
}

/** Vars with texts in place of their markers. */
async function fill(
  value: Json,
  text: (marker: NonNullable<ReturnType<typeof asMarker>>) => Promise<string>,
): Promise<Json> {
  const marker = asMarker(value);
  if (marker !== undefined) return text(marker);
  if (Array.isArray(value)) return Promise.all(value.map((item) => fill(item, text)));
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(async ([key, member]) => [key, await fill(member as Json, text)] as const);
  return Object.fromEntries(await Promise.all(entries));
}
