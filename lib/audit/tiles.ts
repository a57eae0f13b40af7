/** Tiles of 256 hashes and bundles of 256 entries: paths and bytes exactly as C2SP tlog-tiles prescribes. */
import { AuditError } from './port.ts';
import { hashBytes } from './tree.ts';

/** C2SP tlog-tiles, "Merkle Tree": tiles are of height 8. */
export const tileHeight = 8;
export const tileWidth = 256;

/** `width` is 1 to 256; a tile narrower than 256 is partial and only ever the rightmost one of its level. */
export type TileRef = { readonly level: number; readonly index: number; readonly width: number };
export type BundleRef = { readonly index: number; readonly width: number };

/** `tile/<L>/<N>[.p/<W>]` */
export function tilePath(tile: TileRef): string {
  return `tile/${tile.level}/${formatIndex(tile.index)}${partialSuffix(tile.width)}`;
}

/** `tile/entries/<N>[.p/<W>]` */
export function bundlePath(bundle: BundleRef): string {
  return `tile/entries/${formatIndex(bundle.index)}${partialSuffix(bundle.width)}`;
}

/** How many hashes level L has in a tree of this size: whole subtrees of 256^L leaves only. */
export function levelSize(size: number, level: number): number {
  return Math.floor(size / tileWidth ** level);
}

/** Big-endian uint16 length before each entry (C2SP tlog-tiles, "Log Entries"). */
export function encodeBundle(entries: readonly Uint8Array[]): Uint8Array {
  const bytes = Buffer.allocUnsafe(entries.reduce((sum, entry) => sum + 2 + entry.length, 0));
  let at = 0;
  for (const entry of entries) {
    at = bytes.writeUInt16BE(entry.length, at);
    bytes.set(entry, at);
    at += entry.length;
  }
  return bytes;
}

/**
 * Reads the first `width` entries of an attacker-controlled bundle; `exact` also refuses bytes after them. Throws
 * `AuditError` `malformed`, which names the entry within the bundle.
 */
export function decodeBundle(bytes: Uint8Array, width: number, exact: boolean): Uint8Array[] {
  const entries: Uint8Array[] = [];
  let at = 0;
  while (entries.length < width) {
    const length = at + 2 <= bytes.length ? (bytes[at] as number) * 256 + (bytes[at + 1] as number) : -1;
    if (length < 0 || at + 2 + length > bytes.length) throw new BundleError(entries.length, entries);
    entries.push(bytes.subarray(at + 2, at + 2 + length));
    at += 2 + length;
  }
  if (exact && at !== bytes.length) throw new BundleError(width, entries);
  return entries;
}

/** A bundle that ends inside entry `position`, or goes on after its last one. `read` are the whole ones before. */
export class BundleError extends AuditError {
  readonly position: number;
  readonly read: readonly Uint8Array[];
  constructor(position: number, read: readonly Uint8Array[]) {
    super('malformed', `entry bundle does not hold exactly its entries: wrong at its entry ${position}`);
    this.position = position;
    this.read = read;
  }
}

/** The hashes of a tile. Throws `AuditError` `malformed` unless it holds at least `width` whole hashes. */
export function decodeTile(bytes: Uint8Array, width: number): Uint8Array[] {
  if (bytes.length % hashBytes !== 0 || bytes.length < width * hashBytes) {
    throw new AuditError('malformed', `a tile of ${width} hashes has ${bytes.length} bytes`);
  }
  return Array.from({ length: width }, (_, i) => bytes.subarray(i * hashBytes, (i + 1) * hashBytes));
}

/** Three digits an element, all but the last marked with an x: 1234067 is `x001/x234/067`. */
function formatIndex(index: number): string {
  let path = String(index % 1000).padStart(3, '0');
  for (let rest = Math.floor(index / 1000); rest > 0; rest = Math.floor(rest / 1000)) {
    path = `x${String(rest % 1000).padStart(3, '0')}/${path}`;
  }
  return path;
}

function partialSuffix(width: number): string {
  return width === tileWidth ? '' : `.p/${width}`;
}
