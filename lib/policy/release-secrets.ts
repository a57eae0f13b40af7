/** The secrets of a whole release, checked against the provider when it is published: what nodes would lack is said now. */
import type { Json } from '../crypto/jcs.ts';
import { SecretsError } from '../secrets/errors.ts';
import { secretsOf } from '../secrets/fields.ts';
import type { SecretsProvider } from '../secrets/provider.ts';
import { formatReference, referencesIn } from '../secrets/reference.ts';
import { PolicyError } from './errors.ts';
import type { Crate, Manifest } from './model.ts';
import type { Vars } from './vars.ts';

const maxShown = 10;

/** Every path that a crate itself refers to, by its resources and by the defaults of its vars. */
export function secretsOfCrate(crate: Pick<Crate, 'resources' | 'vars'>): ReadonlySet<string> {
  const paths = new Set(secretsOfVars(crate.vars));
  for (const { type, desired } of crate.resources) for (const path of secretsOf(type, desired)) paths.add(path);
  return paths;
}

export function secretsOfVars(vars: Vars | undefined): ReadonlySet<string> {
  return vars === undefined ? new Set() : referencesIn(vars as Json);
}

/**
 * Throws `PolicyError` `unknown_secret` for references to nothing, and `secrets_unavailable` when nobody can say: then a
 * release that needs secrets is not published, and one that needs none is.
 */
export async function assertSecretsExist(
  provider: Pick<SecretsProvider, 'existing'> | undefined,
  manifest: Manifest,
  crates: readonly Crate[],
): Promise<void> {
  const paths = new Set(secretsOfVars(manifest.vars));
  for (const { vars } of manifest.bindings) for (const path of secretsOfVars(vars)) paths.add(path);
  for (const crate of crates) for (const path of secretsOfCrate(crate)) paths.add(path);
  if (paths.size === 0) return;
  const existing = await askProvider(provider, [...paths]);
  const unknown = [...paths].filter((path) => !existing.has(path)).sort();
  if (unknown.length === 0) return;
  const shown = unknown.slice(0, maxShown).map(formatReference).join(', ');
  const more = unknown.length > maxShown ? ` and ${unknown.length - maxShown} more` : '';
  throw new PolicyError('unknown_secret', `the release refers to secrets that do not exist: ${shown}${more}`, {
    hint: 'Set each with: holdfast secret set PATH',
  });
}

async function askProvider(
  provider: Pick<SecretsProvider, 'existing'> | undefined,
  paths: readonly string[],
): Promise<ReadonlySet<string>> {
  const hint = 'Publish again when the secrets provider can be reached.';
  if (provider === undefined) {
    throw new PolicyError('secrets_unavailable', 'the release refers to secrets, and there is no secrets provider');
  }
  try {
    return await provider.existing(paths);
  } catch (cause) {
    if (!(cause instanceof SecretsError)) throw cause;
    const message = `the release refers to secrets, and the secrets provider can't be asked: ${cause.message}`;
    throw new PolicyError('secrets_unavailable', message, { cause, hint });
  }
}
