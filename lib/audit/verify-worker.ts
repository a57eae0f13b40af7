/** A thread of the verifier: digests bundles of entries for it. See verify-pool.ts. */
import { parentPort } from 'node:worker_threads';
import { digestEntries, encodeFacts } from './digested.ts';
import { decodeBundle } from './tiles.ts';
import type { PoolAnswer, PoolRequest } from './verify-pool.ts';

parentPort?.on('message', ({ id, bytes, width, parse }: PoolRequest) => {
  const { facts, ...digested } = digestEntries(decodeBundle(bytes, width, false), parse);
  const answer: PoolAnswer = { id, ...digested, ...(facts && { facts: encodeFacts(facts) }) };
  parentPort?.postMessage(answer);
});
