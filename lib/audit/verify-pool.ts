/** Threads that digest bundles, so that a long log is verified on more than one core. */
import { Worker } from 'node:worker_threads';
import { verifiedProgram } from '../crypto/program.ts';
import { type Digested, decodeFacts } from './digested.ts';

export type PoolRequest = {
  readonly id: number;
  readonly bytes: Uint8Array;
  readonly width: number;
  readonly parse: boolean;
};
export type PoolAnswer = Omit<Digested, 'facts'> & { readonly id: number; readonly facts?: string };

export type VerifyPool = {
  readonly size: number;
  /** Digests the first `width` entries of a bundle that was found whole. */
  digest(bytes: Uint8Array, width: number, parse: boolean): Promise<Digested>;
  close(): Promise<void>;
};

type Waiting = { readonly resolve: (digested: Digested) => void; readonly reject: (cause: unknown) => void };

export function openVerifyPool(size: number): VerifyPool {
  const waiting = new Map<number, Waiting>();
  let next = 0;
  const fail = (cause: unknown) => {
    for (const { reject } of waiting.values()) reject(cause);
    waiting.clear();
  };
  const workers = Array.from({ length: size }, () => {
    const worker = openWorker();
    worker.on('message', ({ id, facts, ...digested }: PoolAnswer) => {
      waiting.get(id)?.resolve({ ...digested, ...(facts !== undefined && { facts: decodeFacts(facts) }) });
      waiting.delete(id);
    });
    worker.on('error', fail);
    worker.on('exit', () => fail(new Error('a thread of the verifier ended')));
    return worker;
  });

  return {
    size,
    digest(bytes, width, parse) {
      const id = next++;
      const request: PoolRequest = { id, bytes, width, parse };
      return new Promise((resolve, reject) => {
        waiting.set(id, { resolve, reject });
        workers[id % size]?.postMessage(request);
      });
    },
    async close() {
      await Promise.all(workers.map((worker) => worker.terminate()));
    },
  };
}

/** A thread has a module loader of its own, which knows nothing of the gate: it is given verified source, not a path. */
function openWorker(): Worker {
  const source = verifiedProgram()?.files.get('workers/verify-worker.cjs');
  if (source === undefined) return new Worker(new URL('./verify-worker.ts', import.meta.url));
  return new Worker(Buffer.from(source).toString(), { eval: true });
}
