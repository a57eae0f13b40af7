/** The Merkle tree of RFC 6962: hashes, the compact range that grows it, proofs and their verification (RFC 9162 §2.1). */
import { sha256 } from '../crypto/digest.ts';
import { equalBytes } from '../crypto/encoding.ts';
import { AuditError } from './port.ts';

export const hashBytes = 32;
/** RFC 9162 §2.1.1: the head of an empty tree is the hash of an empty string. */
export const emptyRoot: Uint8Array = sha256('');

/**
 * A compact range from leaf 0: the roots of the perfect subtrees that cover `size` leaves, largest first. It is all
 * that is needed to append. Invariant: there are as many hashes as `size` has one bits.
 */
export type CompactRange = { size: number; readonly hashes: Uint8Array[] };

/** The root of the perfect subtree of 2^level leaves that begins at leaf index × 2^level. */
export type NodeReader = (level: number, index: number) => Promise<Uint8Array>;

const scratch = Buffer.alloc(1 + 2 * hashBytes);
/** Its first byte stays 0. */
const leafScratch = Buffer.alloc(1 + 8 * 1024);

/** Domain separation by the first byte keeps a leaf from passing for a node (RFC 9162 §2.1.1). */
export function leafHash(entry: Uint8Array): Uint8Array {
  const length = entry.length + 1;
  const prefixed = length <= leafScratch.length ? leafScratch : Buffer.alloc(length);
  prefixed.set(entry, 1);
  return sha256(length === prefixed.length ? prefixed : prefixed.subarray(0, length));
}

export function nodeHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  scratch[0] = 0x01;
  scratch.set(left, 1);
  scratch.set(right, 1 + hashBytes);
  return sha256(scratch);
}

export function emptyRange(): CompactRange {
  return { size: 0, hashes: [] };
}

/**
 * Adds one leaf's hash, in place: a subtree merges with its left neighbour for each trailing one bit of the size.
 * `onMerge` sees the root of every perfect subtree that this completes, lowest first.
 */
export function appendLeafHash(
  range: CompactRange,
  leaf: Uint8Array,
  onMerge?: (height: number, root: Uint8Array) => void,
): void {
  let node = leaf;
  let height = 0;
  for (let rest = range.size; rest % 2 === 1; rest = (rest - 1) / 2) {
    node = nodeHash(range.hashes.pop() as Uint8Array, node);
    height += 1;
    onMerge?.(height, node);
  }
  range.hashes.push(node);
  range.size += 1;
}

export function rootOf(range: CompactRange): Uint8Array {
  const last = range.hashes.at(-1);
  if (last === undefined) return emptyRoot;
  let root = last;
  for (let i = range.hashes.length - 2; i >= 0; i--) root = nodeHash(range.hashes[i] as Uint8Array, root);
  return root;
}

/** How many hashes the compact range of a tree of this size has. */
export function rangeLength(size: number): number {
  let ones = 0;
  for (let rest = size; rest > 0; rest = Math.floor(rest / 2)) ones += rest % 2;
  return ones;
}

/** RFC 9162 §2.1.3.1. Throws `TypeError` unless index < size. */
export async function inclusionProof(read: NodeReader, index: number, size: number): Promise<Uint8Array[]> {
  if (!(index >= 0 && index < size)) throw new TypeError(`no leaf ${index} in a tree of ${size}`);
  const proof: Uint8Array[] = [];
  let begin = 0;
  let end = size;
  while (end - begin > 1) {
    const middle = begin + largestPowerBelow(end - begin);
    if (index < middle) {
      proof.push(await subtreeRoot(read, middle, end));
      end = middle;
    } else {
      proof.push(await subtreeRoot(read, begin, middle));
      begin = middle;
    }
  }
  return proof.reverse();
}

/** RFC 9162 §2.1.4.1. An empty proof for equal sizes and for a first size of 0. Throws `TypeError` unless first ≤ second. */
export async function consistencyProof(read: NodeReader, first: number, second: number): Promise<Uint8Array[]> {
  if (!(first >= 0 && first <= second)) throw new TypeError(`no proof from size ${first} to ${second}`);
  if (first === 0 || first === second) return [];
  const proof: Uint8Array[] = [];
  let begin = 0;
  let end = second;
  while (end !== first) {
    const middle = begin + largestPowerBelow(end - begin);
    if (first <= middle) {
      proof.push(await subtreeRoot(read, middle, end));
      end = middle;
    } else {
      proof.push(await subtreeRoot(read, begin, middle));
      begin = middle;
    }
  }
  // The verifier knows the old root already when the old tree is itself one whole left subtree.
  if (begin !== 0) proof.push(await subtreeRoot(read, begin, end));
  return proof.reverse();
}

/** RFC 9162 §2.1.3.2; `proof` is attacker-controlled. Throws `AuditError` `not_authentic`. */
export function verifyInclusion(
  leaf: Uint8Array,
  index: number,
  size: number,
  proof: readonly Uint8Array[],
  root: Uint8Array,
): void {
  if (!isIndex(index) || !isIndex(size) || index >= size) throw refused(`no leaf ${index} in a tree of ${size}`);
  assertHashes([leaf, root, ...proof]);
  let node = leaf;
  let fn = index;
  let sn = size - 1;
  for (const sibling of proof) {
    if (sn === 0) throw refused('inclusion proof is too long');
    if (fn % 2 === 1 || fn === sn) {
      node = nodeHash(sibling, node);
      while (fn % 2 === 0 && fn !== 0) [fn, sn] = [half(fn), half(sn)];
    } else {
      node = nodeHash(node, sibling);
    }
    [fn, sn] = [half(fn), half(sn)];
  }
  if (sn !== 0) throw refused('inclusion proof is too short');
  if (!equalBytes(node, root)) throw refused('inclusion proof leads to another root');
}

/** RFC 9162 §2.1.4.2; `proof` is attacker-controlled. Throws `AuditError` `not_authentic`. */
export function verifyConsistency(
  first: { readonly size: number; readonly root: Uint8Array },
  second: { readonly size: number; readonly root: Uint8Array },
  proof: readonly Uint8Array[],
): void {
  if (!isIndex(first.size) || !isIndex(second.size) || first.size > second.size) {
    throw refused(`size ${first.size} does not precede ${second.size}`);
  }
  if (first.size === 0 || first.size === second.size) {
    if (proof.length > 0) throw refused('consistency proof should be empty');
    if (first.size === second.size && !equalBytes(first.root, second.root)) throw refused('two roots of one size');
    return;
  }
  assertHashes([first.root, second.root, ...proof]);
  const isPower = largestPowerBelow(first.size + 1) === first.size;
  const path = isPower ? [first.root, ...proof] : proof;
  let fn = first.size - 1;
  let sn = second.size - 1;
  while (fn % 2 === 1) [fn, sn] = [half(fn), half(sn)];
  const start = path[0];
  if (start === undefined) throw refused('consistency proof is empty');
  let fr = start;
  let sr = start;
  for (const node of path.slice(1)) {
    if (sn === 0) throw refused('consistency proof is too long');
    if (fn % 2 === 1 || fn === sn) {
      fr = nodeHash(node, fr);
      sr = nodeHash(node, sr);
      while (fn % 2 === 0 && fn !== 0) [fn, sn] = [half(fn), half(sn)];
    } else {
      sr = nodeHash(sr, node);
    }
    [fn, sn] = [half(fn), half(sn)];
  }
  if (sn !== 0) throw refused('consistency proof is too short');
  if (!equalBytes(fr, first.root)) throw refused('consistency proof leads to another first root');
  if (!equalBytes(sr, second.root)) throw refused('consistency proof leads to another second root');
}

/** The root over leaves [begin, end), where begin is a multiple of the largest power of two below the length. */
async function subtreeRoot(read: NodeReader, begin: number, end: number): Promise<Uint8Array> {
  const roots: Uint8Array[] = [];
  for (let at = begin; at < end; ) {
    const width = largestPowerBelow(end - at + 1);
    roots.push(await read(Math.log2(width), at / width));
    at += width;
  }
  return roots.reduceRight((right, left) => nodeHash(left, right));
}

/** The largest power of two smaller than n, for n ≥ 2. Not by bit operations: sizes go beyond 32 bits. */
function largestPowerBelow(n: number): number {
  let power = 1;
  while (power * 2 < n) power *= 2;
  return power;
}

const half = (n: number): number => Math.floor(n / 2);
const isIndex = (n: number): boolean => Number.isSafeInteger(n) && n >= 0;

function assertHashes(hashes: readonly Uint8Array[]): void {
  if (hashes.some((each) => each.length !== hashBytes)) throw refused('a hash is not 32 bytes');
}

function refused(message: string): AuditError {
  return new AuditError('not_authentic', message);
}
