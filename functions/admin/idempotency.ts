/**
 * Idempotency keys: a mutation that is sent again with the same `Idempotency-Key` is done once and answered the same.
 * The answer is kept sealed, because it may hold a secret that is shown this once.
 */
import { z } from 'zod';
import type { Caller } from '../../lib/access/caller.ts';
import { sha256Hex } from '../../lib/crypto/digest.ts';
import { fromUtf8, utf8 } from '../../lib/crypto/encoding.ts';
import type { DataSealer } from '../../lib/keys/port.ts';
import type { Key, Store } from '../../lib/store/port.ts';
import { Problem, toProblem } from './problem.ts';

export type IdempotencyDeps = { readonly store: Store; readonly sealer: DataSealer; readonly now: () => number };

const headerName = 'idempotency-key';
const keyPattern = /^[\x21-\x7e]{8,128}$/;
const keptMs = 24 * 3_600_000;
const maxAnswerBytes = 256 * 1024;

const stored = z.object({
  request: z.string(),
  expiresAt: z.number(),
  answer: z.instanceof(Uint8Array).optional(),
});

const keptAnswer = z.strictObject({ body: z.unknown(), etag: z.string().optional() });

/** Runs `act` at most once for this caller, key and request; without a key, simply runs it. */
export async function onceOnly(
  deps: IdempotencyDeps,
  request: Request,
  asked: { readonly caller: Caller; readonly where: string; readonly input: unknown },
  act: () => Promise<object>,
): Promise<object> {
  const given = request.headers.get(headerName);
  if (given === null) return act();
  if (!keyPattern.test(given))
    throw new Problem('invalid-request', 'header.idempotency-key: must be 8 to 128 printable ASCII characters');
  const { principal, credential } = asked.caller;
  // By credential where there is one: what one token was told once is not told to another.
  const hash = sha256Hex(JSON.stringify([principal.kind, principal.id, credential ?? '', asked.where, given]));
  const key: Key = { pk: `idempotency#${hash.slice(0, 1)}`, sk: hash };
  const fingerprint = sha256Hex(JSON.stringify(asked.input ?? {}));

  const held = stored.safeParse(await deps.store.get(key)).data;
  if (held !== undefined && held.expiresAt > deps.now()) return repeat(deps, hash, held, fingerprint);
  const reservation = { ...key, request: fingerprint, expiresAt: deps.now() + keptMs };
  const when = held
    ? ({ kind: 'equals', name: 'expiresAt', value: held.expiresAt } as const)
    : ({ kind: 'absent' } as const);
  if (!(await deps.store.transact([{ kind: 'put', item: reservation, when }])).ok) throw inProgress();
  let answer: object;
  try {
    answer = await act();
  } catch (error) {
    // Refused, so nothing was done and the key is free again. Anything else may have happened, and stays reserved.
    if (isRefusal(error)) await deps.store.transact([{ kind: 'delete', key }]);
    throw error;
  }
  const isJson = !(answer instanceof Response) || answer.headers.get('content-type')?.startsWith('application/json');
  const kept = isJson === true ? await keptForm(answer) : undefined;
  const text = kept && utf8(JSON.stringify(kept));
  if (text !== undefined && text.length <= maxAnswerBytes) {
    const sealed = await deps.sealer.seal(text, contextOf(hash));
    await deps.store.transact([{ kind: 'put', item: { ...reservation, answer: sealed } }]);
  }
  return answer;
}

async function repeat(
  { sealer }: IdempotencyDeps,
  hash: string,
  held: z.infer<typeof stored>,
  fingerprint: string,
): Promise<object> {
  if (held.request !== fingerprint)
    throw new Problem('refused', 'this idempotency key was used for another request', { reason: 'key_reused' });
  if (held.answer === undefined) throw inProgress();
  const kept = keptAnswer.parse(JSON.parse(fromUtf8(await sealer.open(held.answer, contextOf(hash)))));
  return Response.json(kept.body, { headers: kept.etag === undefined ? {} : { etag: kept.etag } });
}

/** What is said again: the JSON, and the revision that goes with it. A cookie is set once. */
async function keptForm(answer: object): Promise<z.input<typeof keptAnswer>> {
  if (!(answer instanceof Response)) return { body: answer };
  const etag = answer.headers.get('etag');
  return { body: await answer.clone().json(), ...(etag === null ? {} : { etag }) };
}

const contextOf = (hash: string) => `holdfast/idempotency/v1/${hash}`;

function inProgress(): Problem {
  return new Problem('conflict', 'a request with this idempotency key was begun; look whether it was done', {
    reason: 'in_progress',
  });
}

function isRefusal(error: unknown): boolean {
  const { problem } = toProblem(error);
  return problem !== 'internal' && problem !== 'unavailable';
}
