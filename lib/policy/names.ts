/** The names and limits that policy source and releases share, so that what checks clean can also be parsed. */

export const crateNamePattern = /^[a-z][a-z0-9-]{0,62}$/;
export const typeNamePattern = /^[a-z][a-z0-9_]{0,31}$/;
export const fleetNamePattern = /^[a-z][a-z0-9-]{0,62}$/;
/** Names and values of enrolled labels. */
export const labelPattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
export const digestPattern = /^[0-9a-f]{64}$/;
/** No control characters: ids are printed in reports and on terminals. Long enough for a path and a line in it. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
export const idPattern = /^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]{1,4400}$/u;

/** The digest that the first release names as its predecessor's. */
export const noPrevious = '0'.repeat(64);

export const maxReleaseNumber = 9_999_999_999;
/** A manifest is one item of the store together with its signatures (`maxItemBytes` is 400 KiB). */
export const maxManifestBytes = 256 * 1024;
/** A crate without its files' contents. */
export const maxCrateBytes = 4 * 1024 * 1024;
export const maxBindings = 1000;
/** A control that a crate serves, as `cis-debian-12:1.1.1`: the benchmark and the number in it. */
export const controlPattern = /^[a-z0-9][a-z0-9._-]{0,62}:[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
export const maxControls = 200;
export const maxCrates = 1000;
export const maxResources = 2000;
export const maxReferences = 100;
export const maxLabels = 32;
/** Names of vars; `-` would be a subtraction in `when`. */
export const varNamePattern = /^[a-z][a-z0-9_]{0,62}$/;
export const maxVars = 200;
export const maxExpressionChars = 2048;

/** A reference to a resource: of the same crate when `crate` is absent. `key` is `type/id`. */
export type Reference = { readonly crate?: string; readonly key: string };

/** Reads `type/id` or `crate:type/id`; `undefined` for anything else. The id may itself hold `:` and `/`. */
export function parseReference(text: string): Reference | undefined {
  const slash = text.indexOf('/');
  const colon = text.lastIndexOf(':', slash);
  if (slash < 0) return undefined;
  const crate = colon < 0 ? undefined : text.slice(0, colon);
  const type = text.slice(colon + 1, slash);
  if (crate !== undefined && !crateNamePattern.test(crate)) return undefined;
  if (!typeNamePattern.test(type) || !idPattern.test(text.slice(slash + 1))) return undefined;
  const key = text.slice(colon + 1);
  return crate === undefined ? { key } : { crate, key };
}
