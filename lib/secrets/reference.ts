/**
 * Secret references: how authors write them, and the markers that stand for them in a release.
 *
 * In source text, a value that begins with `secret:` is one reference, as `secret:db/password`; inside other text a
 * reference is `${secret:db/password}`. Literal text is written with a backslash before it, `\secret:…` (one is taken
 * away), or with a doubled dollar sign, `$${secret:…}`. In a release a reference is `{"$secret":{"path":…}}`, and text
 * around references is `{"$join":[…]}`. No authored key may begin with `$`, and text never becomes a marker after a
 * crate was built, so what an author, a variable or a template yields can't forge one.
 */
import type { Json } from '../crypto/jcs.ts';
import { SecretsError } from './errors.ts';

export const maxPathChars = 200;
const segment = '[a-z0-9][a-z0-9._-]{0,62}';
/** Lower case, so that a file system that folds case can't make two secrets one. */
export const pathPattern = new RegExp(`^${segment}(?:/${segment}){0,15}$`);

const prefix = 'secret:';
const escapeHint = 'For literal text write "\\secret:…", or "$${secret:…}" inside other text.';

export type SecretText =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'reference'; readonly path: string }
  | { readonly kind: 'composition'; readonly parts: readonly Part[] };
type Part = string | { readonly path: string };

export type SecretMarker = { readonly $secret: { readonly path: string } };
export type JoinMarker = { readonly $join: readonly (string | SecretMarker)[] };
export type Marker = SecretMarker | JoinMarker;

export function isSecretPath(text: string): boolean {
  return text.length <= maxPathChars && pathPattern.test(text);
}

/** Throws `SecretsError` `bad_reference`. */
export function parseSecretPath(text: string): string {
  if (isSecretPath(text)) return text;
  throw new SecretsError('bad_reference', `${quote(text)} is not the path of a secret`, {
    hint: 'A path is lower-case names with slashes between them, such as db/password.',
  });
}

/** As it is written, bound into what is sealed and shown to people. */
export function formatReference(path: string): string {
  return `${prefix}${path}`;
}

/** What authored text stands for. Throws `SecretsError` `bad_reference` rather than taking a slip for literal text. */
export function parseSecretText(text: string): SecretText {
  if (/^\\+secret:/.test(text)) return parseComposition(text.slice(1));
  if (text.startsWith(prefix)) {
    const path = text.slice(prefix.length);
    if (isSecretPath(path)) return { kind: 'reference', path };
    throw new SecretsError('bad_reference', `${quote(text)} is not a secret reference`, { hint: escapeHint });
  }
  return parseComposition(text);
}

function parseComposition(text: string): SecretText {
  if (!text.includes('${secret:')) return { kind: 'text', text };
  const parts: Part[] = [];
  let literal = '';
  let at = 0;
  while (at < text.length) {
    if (text.startsWith('$${secret:', at)) {
      literal += '${secret:';
      at += '$${secret:'.length;
    } else if (text.startsWith('${secret:', at)) {
      const end = text.indexOf('}', at);
      const path = end < 0 ? '' : text.slice(at + '${secret:'.length, end);
      if (!isSecretPath(path)) {
        const shown = quote(text.slice(at, end < 0 ? at + 40 : end + 1));
        throw new SecretsError('bad_reference', `${shown} is not a secret reference`, { hint: escapeHint });
      }
      if (literal !== '') parts.push(literal);
      literal = '';
      parts.push({ path });
      at = end + 1;
    } else {
      literal += text[at];
      at += 1;
    }
  }
  if (parts.length === 0) return { kind: 'text', text: literal };
  return { kind: 'composition', parts: literal === '' ? parts : [...parts, literal] };
}

/** The marker of what authored text stands for; literal text stays text. */
export function toMarker(parsed: SecretText): string | Marker {
  switch (parsed.kind) {
    case 'text':
      return parsed.text;
    case 'reference':
      return { $secret: { path: parsed.path } };
    case 'composition':
      return {
        $join: parsed.parts.map((part) => (typeof part === 'string' ? part : { $secret: { path: part.path } })),
      };
    default:
      return parsed satisfies never;
  }
}

/** Attacker-controlled: the marker that a value is, or none. Throws `SecretsError` `bad_reference` for half a marker. */
export function asMarker(value: Json): Marker | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const keys = Object.keys(value);
  if (!keys.some((key) => key.startsWith('$'))) return undefined;
  const members = value as { readonly [key: string]: Json };
  if (keys.length === 1 && isSecretMarker(members)) return members;
  const join = members['$join'];
  if (keys.length === 1 && Array.isArray(join) && join.length >= 1 && join.length <= 1000) {
    const isPart = (part: Json) => typeof part === 'string' || isSecretMarker(part);
    if (join.every(isPart) && join.some((part) => typeof part !== 'string')) return members as unknown as JoinMarker;
  }
  throw new SecretsError('bad_reference', 'a key that begins with "$" and is no marker of a secret');
}

function isSecretMarker(value: Json): value is SecretMarker {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  if (Object.keys(value).join() !== '$secret') return false;
  const inner = (value as { readonly [key: string]: Json })['$secret'];
  if (typeof inner !== 'object' || inner === null || Array.isArray(inner)) return false;
  const { path } = inner as { readonly [key: string]: Json };
  return Object.keys(inner).join() === 'path' && typeof path === 'string' && isSecretPath(path);
}

/** Replaces each marker in a value, and leaves everything else as it is. Throws as `asMarker`. */
export function replaceMarkers(value: Json, replace: (marker: Marker) => Json): Json {
  const marker = asMarker(value);
  if (marker !== undefined) return replace(marker);
  if (Array.isArray(value)) return value.map((item) => replaceMarkers(item, replace));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => [key, replaceMarkers(member as Json, replace)]),
  );
}

/** The paths that a value refers to, each once. Throws as `asMarker`. */
export function referencesIn(value: Json): ReadonlySet<string> {
  const paths = new Set<string>();
  replaceMarkers(value, (marker) => {
    for (const path of pathsOf(marker)) paths.add(path);
    return '';
  });
  return paths;
}

export function pathsOf(marker: Marker): readonly string[] {
  if ('$secret' in marker) return [marker.$secret.path];
  return marker.$join.flatMap((part) => (typeof part === 'string' ? [] : [part.$secret.path]));
}

function quote(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}
