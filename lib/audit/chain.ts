/**
 * The two hash chains over entries: one per lane, one over the whole log. Their inputs are ASCII on purpose, so that
 * the query language of a log store, which can hash strings but not canonicalise JSON, can recompute them.
 */
import { sha256Hex } from '../crypto/digest.ts';

/** B = hex(H(E)) */
export function bodyHash(entry: Uint8Array): string {
  return sha256Hex(entry);
}

/** hex A(−1), which entry 0 of a lane names as its predecessor; made like C(−1), so no entry fits two lanes. */
export function laneStart(origin: string, lane: string): string {
  return sha256Hex(`holdfast/lane/v1|${origin}|${lane}`);
}

/** hex A(n), from hex A(n−1) */
export function laneHash(origin: string, lane: string, n: number, body: string, previous: string): string {
  return sha256Hex(`holdfast/lane/v1|${origin}|${lane}|${n}|${body}|${previous}`);
}

/** hex C(−1) */
export function chainStart(origin: string): string {
  return sha256Hex(`holdfast/chain/v1|${origin}`);
}

/** hex C(i), from hex C(i−1) */
export function chainHash(origin: string, index: number, body: string, previous: string): string {
  return sha256Hex(`holdfast/chain/v1|${origin}|${index}|${body}|${previous}`);
}
