/**
 * Secret references as authors write them, on their way into a crate: text becomes markers, and a reference where no
 * secret may stand is reported at its place.
 */
import type { Json } from '../crypto/jcs.ts';
import { SecretsError } from '../secrets/errors.ts';
import { assertMode, assertPlace, assertPlain, type Desired, sampleOf } from '../secrets/fields.ts';
import { parseSecretText, referencesIn, replaceMarkers, toMarker } from '../secrets/reference.ts';
import type { Report } from './problem.ts';
import type { ResourceType } from './resource-types.ts';
import { quote, type YamlMap, yamlNodeAt } from './yaml.ts';

/** The value with markers in place of references, and literal text without its escapes. Throws `SecretsError`. */
export function markSecrets(value: Json): Json {
  if (typeof value === 'string') return toMarker(parseSecretText(value)) as Json;
  if (Array.isArray(value)) return value.map(markSecrets);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, markSecrets(member as Json)]));
}

/** Whether authored text refers to a secret, or was meant to. */
export function isSecretText(text: string): boolean {
  try {
    return parseSecretText(text).kind !== 'text';
  } catch {
    return true;
  }
}

export type Marked = {
  /** What is signed. */
  readonly signed: Desired;
  /** What schemas see: the same, with two different texts in place of each secret. */
  readonly samples: readonly [Desired, Desired];
  readonly hasSecrets: boolean;
};

/** Returns `undefined` after reporting what is wrong. */
export function markDesired(type: ResourceType, input: Desired, source: YamlMap, report: Report): Marked | undefined {
  const signed: Record<string, Json> = {};
  let hasSecrets = false;
  let isRight = true;
  for (const [field, member] of Object.entries(input)) {
    try {
      const marked = markSecrets(member);
      const [first] = referencesIn(marked);
      if (first === undefined) assertPlain(type.name, field);
      else assertPlace(type.name, field, first);
      hasSecrets ||= first !== undefined;
      signed[field] = marked;
    } catch (error) {
      reportSecret(error, source, [field], report);
      isRight = false;
    }
  }
  if (!isRight) return undefined;
  // Said in what is signed, so that a reader of the release sees it.
  if (hasSecrets && type.name === 'file' && signed['mode'] === undefined) signed['mode'] = '0600';
  if (hasSecrets) {
    try {
      assertMode(type.name, signed);
    } catch (error) {
      reportSecret(error, source, ['mode'], report);
      return undefined;
    }
  }
  const sample = (text: string): Desired =>
    Object.fromEntries(
      Object.entries(signed).map(([field, member]) => [
        field,
        replaceMarkers(member, (marker) => sampleOf(type.name, field, marker, text)),
      ]),
    );
  return { signed, samples: [sample('first'), sample('second')], hasSecrets };
}

/** A secret that names its resource would be in every report. Returns false after reporting it. */
export function checkNames(
  type: ResourceType,
  { samples, hasSecrets }: Marked,
  source: YamlMap,
  report: Report,
): boolean {
  if (!hasSecrets) return true;
  const ids = samples.map((sample) => {
    const parsed = type.schema.safeParse(sample);
    return parsed.success ? type.id(parsed.data) : undefined;
  });
  if (ids[0] === ids[1]) return true;
  const hint = type.name === 'line' ? 'Give "prefix": what the line begins with, without the secret.' : undefined;
  report(
    'misplaced_secret',
    source.place,
    `a secret would name this ${quote(type.name)}, and so be in every report`,
    hint,
  );
  return false;
}

export function reportSecret(error: unknown, source: YamlMap, path: readonly string[], report: Report): void {
  if (!(error instanceof SecretsError)) throw error;
  const code = error.code === 'misplaced' ? 'misplaced_secret' : 'bad_secret';
  report(code, yamlNodeAt(source, path).place, error.message, error.hint);
}
