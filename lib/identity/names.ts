/**
 * The names that a node has or is given: UUID, hostname, labels, platform, version. Each has one strict ASCII pattern
 * and is compared as exact bytes after it was parsed here, so look-alikes, case, trailing dots, NUL, slashes, `..`
 * and terminal escapes never get further.
 */
import { fromHex } from '../crypto/encoding.ts';
import { IdentityError } from './errors.ts';

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
/** Firmware without an own UUID reports one of these (RFC 9562 §5.9, §5.10): no machine may claim what many have. */
const sharedUuids: ReadonlySet<string> = new Set([
  '00000000-0000-0000-0000-000000000000',
  'ffffffff-ffff-ffff-ffff-ffffffffffff',
]);

/** RFC 1123 §2.1: letters, digits and hyphens; no label begins or ends with a hyphen. */
const hostnameLabel = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const labelPattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
const platformPattern = /^[a-z0-9][a-z0-9._-]{0,63}$/;
const versionPattern = /^[0-9A-Za-z][0-9A-Za-z.+-]{0,63}$/;
const fleetPattern = /^[a-z][a-z0-9-]{0,62}$/;

const maxLabels = 32;

export type Labels = { readonly [name: string]: string };

/** A node's UUID in its one spelling: lower case, canonical. */
export function parseUuid(text: unknown): string {
  if (typeof text !== 'string' || !uuidPattern.test(text) || sharedUuids.has(text)) throw malformed('UUID', text);
  return text;
}

/** The 16 bytes of a UUID (RFC 9562 §4). */
export function uuidBytes(uuid: string): Uint8Array {
  if (!uuidPattern.test(uuid)) throw malformed('UUID', uuid);
  return fromHex(uuid.replaceAll('-', ''));
}

/** A hostname of 1 to 253 ASCII characters, lower-cased. */
export function parseHostname(text: unknown): string {
  if (typeof text !== 'string' || text.length < 1 || text.length > 253) throw malformed('hostname', text);
  // Only ASCII is folded: `toLowerCase` maps U+212A (the Kelvin sign) to "k" and would admit a look-alike.
  const name = text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
  if (!name.split('.').every((label) => hostnameLabel.test(label))) throw malformed('hostname', text);
  return name;
}

/** A pattern of hostnames, as a token may carry one: a hostname in which `*` stands for any run within one label. */
export function parseHostnamePattern(text: unknown): string {
  if (typeof text !== 'string') throw malformed('hostname pattern', text);
  if (text.includes('**')) throw malformed('hostname pattern', text);
  parseHostname(text.replaceAll('*', 'x'));
  return text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

/** Whether a parsed hostname matches a parsed pattern as a whole. Linear in both: no regular expression is built. */
export function matchesHostname(pattern: string, hostname: string): boolean {
  const wanted = pattern.split('.');
  const labels = hostname.split('.');
  return wanted.length === labels.length && wanted.every((part, i) => matchesLabel(part, labels[i] ?? ''));
}

export function parseLabels(value: unknown): Labels {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw malformed('labels', value);
  const entries = Object.entries(value);
  if (entries.length > maxLabels) throw new IdentityError('malformed', `A node has at most ${maxLabels} labels.`);
  for (const [name, text] of entries) {
    if (!labelPattern.test(name)) throw malformed('label name', name);
    if (typeof text !== 'string' || !labelPattern.test(text)) throw malformed('label value', text);
  }
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Operating system and architecture, as `linux-x64`. */
export function parsePlatform(text: unknown): string {
  if (typeof text !== 'string' || !platformPattern.test(text)) throw malformed('platform', text);
  return text;
}

export function parseVersion(text: unknown): string {
  if (typeof text !== 'string' || !versionPattern.test(text)) throw malformed('version', text);
  return text;
}

export function parseFleetName(text: unknown): string {
  if (typeof text !== 'string' || !fleetPattern.test(text)) throw malformed('fleet name', text);
  return text;
}

function matchesLabel(pattern: string, label: string): boolean {
  const parts = pattern.split('*');
  const first = parts[0] ?? '';
  const last = parts.at(-1) ?? '';
  if (parts.length === 1) return pattern === label;
  if (label.length < first.length + last.length || !label.startsWith(first) || !label.endsWith(last)) return false;
  let at = first.length;
  for (const part of parts.slice(1, -1)) {
    const found = label.indexOf(part, at);
    if (found < 0 || found + part.length > label.length - last.length) return false;
    at = found + part.length;
  }
  return true;
}

/** Quotes what was given, shortened and escaped, so that it can't write to a terminal or log of its own accord. */
function malformed(what: string, given: unknown): IdentityError {
  const quoted = typeof given === 'string' ? `: ${printable(given)}` : '';
  return new IdentityError('malformed', `Not a ${what}${quoted}`);
}

function printable(text: string): string {
  const short = text.length > 64 ? `${text.slice(0, 64)}…` : text;
  return JSON.stringify(short).replace(/[^\x20-\x7e]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
