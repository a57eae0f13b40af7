/**
 * Revealing a value to a person, where a deployment enables it at all: one administrator asks, another one agrees, and the
 * first takes it once, within minutes. The value leaves sealed to a key that the asking command made and keeps in memory,
 * after a signed checkpoint of the audit log covers that it does. Only people who logged in count: an API token or the
 * server's own host could be a second hand of the same person.
 */
import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import type { Caller } from '../access/caller.ts';
import type { AuditLog } from '../audit/port.ts';
import { concatBytes, toHex, u16be, u32be, utf8 } from '../crypto/encoding.ts';
import { type HpkeMessage, hpkeOpen, hpkeSeal } from '../crypto/hpke.ts';
import type { Item, Key, Store, Write } from '../store/port.ts';
import { SecretsError } from './errors.ts';
import type { SecretsProvider } from './provider.ts';
import { formatReference, parseSecretPath } from './reference.ts';

export type Reveal = {
  readonly id: string;
  readonly path: string;
  readonly state: 'open' | 'approved' | 'taken';
  /** User names. */
  readonly askedBy: string;
  readonly approvedBy?: string;
  readonly reason: string;
  /** Unix milliseconds. */
  readonly expiresAt: number;
};

export type RevealDeps = {
  readonly store: Store;
  readonly audit: Pick<AuditLog, 'append' | 'appendSealed' | 'deny'>;
  readonly provider: SecretsProvider;
  readonly now: () => number;
};

export type Revealed = { readonly path: string; readonly version: number; readonly sealed: HpkeMessage };

export const revealLifeMs = 15 * 60_000;
const maxOpen = 100;
const partition = 'secret-reveals';
const info = utf8('holdfast/reveal/v1');

const stored = z.object({
  sk: z.string(),
  path: z.string(),
  state: z.enum(['open', 'approved', 'taken']),
  askedBy: z.string(),
  /** Which account it was, whatever it is called later. */
  askedByUid: z.string(),
  approvedBy: z.string().optional(),
  reason: z.string(),
  key: z.instanceof(Uint8Array).refine((key) => key.length === 32),
  expiresAt: z.number(),
});
type Stored = z.infer<typeof stored>;

/** `key`: X25519, made for this request alone. Throws `SecretsError`. */
export async function askForReveal(
  deps: RevealDeps,
  order: { readonly path: string; readonly reason: string; readonly key: Uint8Array; readonly caller: Caller },
): Promise<Reveal> {
  const path = parseSecretPath(order.path);
  const person = await requirePerson(deps, order.caller, path);
  if (!(await deps.provider.existing([path])).has(path)) throw notFound(formatReference(path));
  // A key that can't be sealed to is told now, and not when the value is due.
  hpkeSeal({ recipient: order.key, info, aad: info, plaintext: new Uint8Array(1) });
  const held = await all(deps.store);
  const isOver = ({ expiresAt }: Stored) => expiresAt <= deps.now();
  const over = held.filter(isOver).slice(0, 50);
  if (held.length - over.length >= maxOpen)
    throw new SecretsError('unavailable', 'too many requests to reveal are open');
  const item = {
    ...keyOf(toHex(randomBytes(8))),
    path,
    state: 'open',
    askedBy: person.name,
    askedByUid: person.uid,
    reason: order.reason,
    key: new Uint8Array(order.key),
    expiresAt: deps.now() + revealLifeMs,
  } as const;
  const sweep = over.map(({ sk }): Write => ({ kind: 'delete', key: keyOf(sk) }));
  await deps.audit.append(
    {
      type: 'secret.reveal.ask',
      actor: order.caller.principal,
      object: { kind: 'secret', id: path },
      outcome: 'success',
      detail: { request: item.sk, reason: order.reason },
    },
    [{ kind: 'put', item, when: { kind: 'absent' } }, ...sweep],
  );
  return view(item);
}

/** By another person than the one who asked. Throws `SecretsError` `not_open`, `second_person` or `not_found`. */
export async function approveReveal(
  deps: RevealDeps,
  order: { readonly id: string; readonly caller: Caller },
): Promise<Reveal> {
  const request = await read(deps, order.id, 'open');
  const person = await requirePerson(deps, order.caller, request.path);
  if (person.uid === request.askedByUid) {
    await refuse(deps, order.caller, request.path, 'same_person');
    throw new SecretsError('second_person', 'whoever asks can not be the one who agrees');
  }
  const when = { kind: 'equals', name: 'state', value: 'open' } as const;
  const set = { state: 'approved', approvedBy: person.name };
  const outcome = await deps.audit.append(
    {
      type: 'secret.reveal.approve',
      actor: order.caller.principal,
      object: { kind: 'secret', id: request.path },
      outcome: 'success',
      detail: { request: order.id, asked: request.askedBy },
    },
    [{ kind: 'update', key: keyOf(order.id), set, when }],
  );
  if (!outcome.ok) throw notOpen();
  return { ...view(request), state: 'approved', approvedBy: person.name };
}

/**
 * Once, by whoever asked. When this returns, a signed checkpoint covers the entry. Throws `AuditError` `unsealed` when none
 * does in time: then nothing was given, and the request is used up.
 */
export async function takeReveal(
  deps: RevealDeps,
  order: { readonly id: string; readonly caller: Caller },
): Promise<Revealed> {
  const request = await read(deps, order.id, 'approved');
  const person = await requirePerson(deps, order.caller, request.path);
  if (person.uid !== request.askedByUid) {
    await refuse(deps, order.caller, request.path, 'other_person');
    throw new SecretsError('second_person', 'only the person who asked can take it');
  }
  const { path } = request;
  const { version, value } = await deps.provider.get(path);
  const plaintext = value.reveal();
  const sealed = hpkeSeal({ recipient: request.key, info, aad: placeOf(order.id, path, version), plaintext });
  plaintext.fill(0);
  const when = { kind: 'equals', name: 'state', value: 'approved' } as const;
  const outcome = await deps.audit.appendSealed(
    {
      type: 'secret.reveal',
      actor: order.caller.principal,
      object: { kind: 'secret', id: path },
      outcome: 'success',
      detail: { request: order.id, approved: request.approvedBy ?? '', version },
    },
    [{ kind: 'update', key: keyOf(order.id), set: { state: 'taken' }, when }],
  );
  if (!outcome.ok) throw notOpen();
  return { path, version, sealed };
}

/** Those that have not expired, newest first. */
export async function listReveals(deps: Pick<RevealDeps, 'store' | 'now'>): Promise<readonly Reveal[]> {
  const held = (await all(deps.store)).filter(({ expiresAt }) => expiresAt > deps.now());
  return held.sort((a, b) => b.expiresAt - a.expiresAt).map(view);
}

/** For the command that asked. Throws `CryptoError` `not_authentic`. */
export function openRevealed(
  privateKey: Parameters<typeof hpkeOpen>[0]['privateKey'],
  id: string,
  { path, version, sealed }: Revealed,
): Uint8Array {
  return hpkeOpen({ privateKey, info, aad: placeOf(id, path, version), message: sealed });
}

async function requirePerson(deps: RevealDeps, caller: Caller, path: string) {
  if (caller.via === 'session' && caller.user !== undefined) return caller.user;
  await refuse(deps, caller, path, 'no_person');
  throw new SecretsError('second_person', 'only a person who logged in can do this', {
    hint: 'Log in as a user: API tokens and local-admin do not count as one of two people.',
  });
}

function refuse({ audit }: RevealDeps, { principal }: Caller, path: string, reason: string): Promise<void> {
  const object = { kind: 'secret', id: path };
  return audit.deny({ type: 'secret.reveal.refuse', actor: principal, object, outcome: 'denied', detail: { reason } });
}

async function read({ store, now }: RevealDeps, id: string, wanted: Reveal['state']): Promise<Stored> {
  const item = await store.get(keyOf(id));
  if (item === undefined) throw notFound('such request');
  const request = parse(item);
  if (request.state !== wanted || request.expiresAt <= now()) throw notOpen();
  return request;
}

/** At most `maxOpen` and what a sweep left. */
async function all(store: Pick<Store, 'query'>): Promise<readonly Stored[]> {
  const held: Stored[] = [];
  let after: string | undefined;
  do {
    const page = await store.query({ pk: partition, limit: 100, ...(after === undefined ? {} : { after }) });
    held.push(...page.items.map(parse));
    after = page.next;
  } while (after !== undefined);
  return held;
}

function parse(item: Item): Stored {
  const parsed = stored.safeParse(item);
  if (!parsed.success) throw new SecretsError('not_authentic', 'a stored request to reveal can not be read');
  return parsed.data;
}

function view({ sk, path, state, askedBy, approvedBy, reason, expiresAt }: Omit<Stored, 'key'>): Reveal {
  return { id: sk, path, state, askedBy, reason, expiresAt, ...(approvedBy === undefined ? {} : { approvedBy }) };
}

function placeOf(id: string, path: string, version: number): Uint8Array {
  const reference = utf8(formatReference(path));
  return concatBytes(utf8(id), u16be(reference.length), reference, u32be(version));
}

function keyOf(id: string): Key {
  return { pk: partition, sk: id };
}

function notFound(what: string): SecretsError {
  return new SecretsError('not_found', `there is no ${what}`);
}

function notOpen(): SecretsError {
  return new SecretsError('not_open', 'the request is not agreed to, was used, or has expired', {
    hint: `Ask again: a request lives for ${revealLifeMs / 60_000} minutes, and gives its value once.`,
  });
}
