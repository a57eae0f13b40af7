/** Versions of artifacts: semver.org 2.0.0 without build metadata, because two builds of one version must not exist. */
import { ArtifactError } from './errors.ts';

declare const brand: unique symbol;

/** Canonical, so that equal text is an equal version. Made only by `parseVersion`. */
export type Version = string & { readonly [brand]: 'Version' };

/** §2 and §9: no leading zeros. Nine digits are exact in a double, and more than anybody needs. */
const number = '(?:0|[1-9][0-9]{0,8})';
const identifier = `(?:${number}|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*)`;
const pattern = new RegExp(`^${number}\\.${number}\\.${number}(?:-${identifier}(?:\\.${identifier})*)?$`);

/** Reads an attacker-controlled version. Throws `ArtifactError` `malformed`. */
export function parseVersion(text: string): Version {
  if (text.length > 64 || !pattern.test(text)) {
    throw new ArtifactError('malformed', `${JSON.stringify(text.slice(0, 80))} is not a version such as 1.2.3`);
  }
  return text as Version;
}

/** Negative when `a` is older than `b`, 0 for the same version, positive when it is newer (§11). */
export function compareVersions(a: Version, b: Version): number {
  const [coreA, ...preA] = split(a);
  const [coreB, ...preB] = split(b);
  const byCore = compareLists(coreA, coreB);
  if (byCore !== 0) return byCore;
  // §11.3: a pre-release is older than its release.
  if (preA.length === 0 || preB.length === 0) return preB.length - preA.length;
  return compareLists(preA[0] ?? [], preB[0] ?? []);
}

function split(version: Version): [core: string[], pre?: string[]] {
  const dash = version.indexOf('-');
  if (dash < 0) return [version.split('.')];
  return [version.slice(0, dash).split('.'), version.slice(dash + 1).split('.')];
}

/** §11.4: field by field; a list that ends first is older. */
function compareLists(a: readonly string[], b: readonly string[]): number {
  for (const [index, field] of a.entries()) {
    const other = b[index];
    if (other === undefined) return 1;
    const order = compareFields(field, other);
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

function compareFields(a: string, b: string): number {
  const [numericA, numericB] = [/^[0-9]+$/.test(a), /^[0-9]+$/.test(b)];
  if (numericA && numericB) return Number(a) - Number(b);
  if (numericA !== numericB) return numericA ? -1 : 1;
  return a === b ? 0 : a < b ? -1 : 1; // ASCII order
}
