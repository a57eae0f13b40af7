/**
 * Where a secret may stand in a resource: a closed list, the same for the check before signing, for the server and for
 * the node. Whatever names a resource, is shown in reports, or becomes a command line or an environment is not on it.
 */
import type { Json } from '../crypto/jcs.ts';
import { SecretsError } from './errors.ts';
import { formatReference, type Marker, referencesIn } from './reference.ts';

/** `bytes`: handed to the executor as a blob that exists for this run only. `text`: put in place of the marker. */
type SecretField = 'bytes' | 'text';

const fields: { readonly [type: string]: { readonly [field: string]: SecretField } } = {
  file: { content: 'bytes' },
  exec: { stdin: 'bytes' },
  line: { line: 'text' },
  block: { content: 'text' },
  ini: { value: 'text' },
  json: { value: 'text' },
  user: { password: 'text', password_hash: 'text' },
};

/** What a schema that is strict about its text takes for a secret, in two versions. */
const samples: { readonly [field: string]: (sample: string) => string } = {
  'user.password_hash': (sample) => `$6$${sample}$${(sample[0] ?? 'a').repeat(86)}`,
};

/** Never in plain sight: what stands here must be a secret. */
const secretOnly: ReadonlySet<string> = new Set(['user.password']);

/** These edit a file that exists: who could read it before could read the secret after. */
const editors: ReadonlySet<string> = new Set(['line', 'block', 'ini', 'json']);

export type Desired = { readonly [field: string]: Json };

export function secretField(type: string, field: string): SecretField | undefined {
  const table = Object.hasOwn(fields, type) ? fields[type] : undefined;
  return table !== undefined && Object.hasOwn(table, field) ? table[field] : undefined;
}

/** Whether the type puts a secret into a file that it didn't make. */
export function editsFile(type: string): boolean {
  return editors.has(type);
}

/** The secrets that a resource needs. Throws `SecretsError` `misplaced` or `bad_reference`. */
export function secretsOf(type: string, desired: Desired): ReadonlySet<string> {
  const paths = new Set<string>();
  for (const [field, value] of Object.entries(desired)) {
    const found = referencesIn(value);
    const [first] = found;
    if (first === undefined) assertPlain(type, field);
    else assertPlace(type, field, first);
    for (const path of found) paths.add(path);
  }
  if (paths.size > 0) assertMode(type, desired);
  return paths;
}

/** Throws `SecretsError` `misplaced` where anything but a secret would be in plain sight. */
export function assertPlain(type: string, field: string): void {
  if (!secretOnly.has(`${type}.${field}`)) return;
  throw new SecretsError('misplaced', `"${field}" of "${type}" must be a secret`, {
    hint: 'Store it with "holdfast secret set", and refer to it as secret:PATH.',
  });
}

/** Throws `SecretsError` `misplaced` unless a secret may stand in the field. */
export function assertPlace(type: string, field: string, path: string): void {
  if (secretField(type, field) !== undefined) return;
  const reference = formatReference(path);
  const places = Object.keys(Object.hasOwn(fields, type) ? (fields[type] ?? {}) : {});
  const hint = ['exec', 'cron', 'service'].includes(type)
    ? 'Command lines and environments can be read by others on the machine: hand it over by "stdin", or in a file.'
    : places.length > 0
      ? `In "${type}" a secret may stand in: ${places.join(', ')}.`
      : `No field of "${type}" may hold a secret; put it into a file.`;
  throw new SecretsError('misplaced', `${reference} may not stand in "${field}" of "${type}"`, { hint });
}

/** A file that holds a secret is never open to everybody. Throws `SecretsError` `misplaced`. */
export function assertMode(type: string, desired: Desired): void {
  const mode = desired['mode'];
  if (type !== 'file' || typeof mode !== 'string') return;
  if ((Number.parseInt(mode, 8) & 0o007) === 0) return;
  throw new SecretsError('misplaced', `a file that holds a secret can't have mode ${JSON.stringify(mode)}`, {
    hint: 'Leave the mode out for 0600, or give it to a group, such as "0640".',
  });
}

/** What a marker looks like to a schema: two samples differ, so that what depends on the secret shows. */
export function sampleOf(type: string, field: string, marker: Marker, sample: string): Json {
  if (secretField(type, field) === 'bytes') return { sha256: '0'.repeat(64), bytes: 0 };
  const strict = samples[`${type}.${field}`];
  if (strict !== undefined) return strict(sample);
  if ('$secret' in marker) return sample;
  return marker.$join.map((part) => (typeof part === 'string' ? part : sample)).join('');
}
