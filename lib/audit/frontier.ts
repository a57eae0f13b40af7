/**
 * The right edge of the published tree: the hashes of the rightmost, still partial tile of each level. It is all that
 * is needed to make the next tiles, and the sealer and the verifier make them with this same code.
 */
import { type BundleRef, encodeBundle, type TileRef, tileHeight, tileWidth } from './tiles.ts';
import { appendLeafHash, type CompactRange, emptyRange, leafHash, nodeHash } from './tree.ts';

/** Invariant: `levels[L]` has floor(size / 256^L) mod 256 hashes; `entries` are those of the partial bundle. */
export type Frontier = {
  readonly range: CompactRange;
  readonly levels: Uint8Array[][];
  entries: Uint8Array[];
};

export type TileSink = {
  readonly tile: (ref: TileRef, bytes: Uint8Array) => void;
  /** Without it no bundles are made. */
  readonly bundle?: (ref: BundleRef, bytes: Uint8Array) => void;
};

export function emptyFrontier(): Frontier {
  return { range: emptyRange(), levels: [], entries: [] };
}

/** Appends one entry; every tile and bundle that becomes full goes to the sink. */
export function appendEntry(frontier: Frontier, entry: Uint8Array, sink: TileSink): void {
  appendLeaf(frontier, leafHash(entry), sink);
  frontier.entries.push(entry);
  if (frontier.entries.length === tileWidth) {
    const ref = { index: frontier.range.size / tileWidth - 1, width: tileWidth };
    sink.bundle?.(ref, encodeBundle(frontier.entries));
    frontier.entries = [];
  }
}

/** Appends the hash of an entry that is kept elsewhere; the frontier then makes tiles only. */
export function appendLeaf({ range, levels }: Frontier, leaf: Uint8Array, sink: TileSink): void {
  appendLeafHash(range, leaf, (height, root) => {
    if (height % tileHeight === 0) pushHash(levels, height / tileHeight, root);
  });
  pushHash(levels, 0, leaf);
  for (let level = 0; levels[level]?.length === tileWidth; level++) {
    const index = range.size / tileWidth ** (level + 1) - 1;
    sink.tile({ level, index, width: tileWidth }, Buffer.concat(levels[level] as Uint8Array[]));
    levels[level] = [];
  }
}

/** The partial tiles and the partial bundle that a checkpoint of the present size needs besides the full ones. */
export function emitPartial(frontier: Frontier, sink: TileSink): void {
  const { size } = frontier.range;
  if (frontier.entries.length > 0) {
    const index = Math.floor(size / tileWidth);
    sink.bundle?.({ index, width: frontier.entries.length }, encodeBundle(frontier.entries));
  }
  frontier.levels.forEach((hashes, level) => {
    if (hashes.length === 0) return;
    const index = Math.floor(size / tileWidth ** (level + 1));
    sink.tile({ level, index, width: hashes.length }, Buffer.concat(hashes));
  });
}

/** The frontier that published partial tiles hold. The caller compares the root of its range with a signed one. */
export function frontierOf(size: number, levels: Uint8Array[][], entries: Uint8Array[]): Frontier {
  const stack: { height: number; hash: Uint8Array }[] = [];
  for (let level = levels.length - 1; level >= 0; level--) {
    for (const hash of levels[level] as Uint8Array[]) {
      let node = { height: level * tileHeight, hash };
      for (let top = stack.at(-1); top?.height === node.height; top = stack.at(-1)) {
        stack.pop();
        node = { height: node.height + 1, hash: nodeHash(top.hash, node.hash) };
      }
      stack.push(node);
    }
  }
  return { range: { size, hashes: stack.map(({ hash }) => hash) }, levels, entries };
}

function pushHash(levels: Uint8Array[][], level: number, hash: Uint8Array): void {
  const hashes = levels[level];
  if (hashes === undefined) levels[level] = [hash];
  else hashes.push(hash);
}
