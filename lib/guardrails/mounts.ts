/** Mounts: the other places at which the same directory of the same device is seen, as by a bind mount. */
import { isWithin, normalizePath, prefixesOf } from './paths.ts';

/** What is at `root` of a device is seen at `point`. Both are in the spelling of `normalizePath`. */
type Mount = { readonly device: string; readonly root: string; readonly point: string };

export type Mounts = {
  /** By their points in small letters: of those at one point, the uppermost. */
  readonly byPoint: ReadonlyMap<string, Mount>;
  readonly byDevice: ReadonlyMap<string, readonly Mount[]>;
};

let parsed: { readonly text: string; readonly mounts: Mounts } | undefined;

/**
 * Reads the lines of mountinfo (proc_pid_mountinfo(5)); what isn't one is left out. The last text is remembered, since
 * it hardly ever changes.
 */
export function parseMountInfo(text: string): Mounts {
  if (parsed?.text !== text) parsed = { text, mounts: parse(text) };
  return parsed.mounts;
}

/** The other places of a path that is in the spelling of `normalizePath`. */
export function otherPlacesOf(path: string, mounts: Mounts): readonly string[] {
  // The innermost mount that holds it.
  const point = prefixesOf(path.toLowerCase()).findLast((prefix) => mounts.byPoint.has(prefix));
  const holding = mounts.byPoint.get(point ?? '');
  if (holding === undefined) return [];
  const siblings = mounts.byDevice.get(holding.device) ?? [];
  if (siblings.length < 2) return [];
  const inDevice = normalizePath(`${holding.root}/${path.slice(holding.point.length)}`);
  return siblings
    .filter((other) => other !== holding && isWithin(inDevice, other.root))
    .map((other) => normalizePath(`${other.point}/${inDevice.slice(other.root === '/' ? 0 : other.root.length)}`));
}

function parse(text: string): Mounts {
  const byPoint = new Map<string, Mount>();
  const byDevice = new Map<string, Mount[]>();
  for (const line of text.split('\n')) {
    const [, , device, root, point] = line.split(' ');
    if (device === undefined || root === undefined || point === undefined) continue;
    const mount = { device, root: normalizePath(decode(root)), point: normalizePath(decode(point)) };
    // A mount over another comes after it, and hides it.
    byPoint.set(mount.point.toLowerCase(), mount);
    byDevice.set(device, [...(byDevice.get(device) ?? []), mount]);
  }
  return { byPoint, byDevice };
}

function decode(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 8)));
}
