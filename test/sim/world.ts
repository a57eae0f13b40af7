/**
 * One run: writers and sealers on one store, in an order that the seed decides, with crashes; then everything that must
 * hold is checked. Throws `Broken` with what does not.
 */

import { parseCheckpoint } from '../../lib/audit/checkpoint.ts';
import { abandonedAfterMs } from '../../lib/audit/intents.ts';
import { listEntries } from '../../lib/audit/list.ts';
import { AuditError, type AuditEvent } from '../../lib/audit/port.ts';
import type { Publication } from '../../lib/audit/publication.ts';
import { createSealer } from '../../lib/audit/sealer.ts';
import { appendLeafHash, emptyRange, leafHash, rootOf } from '../../lib/audit/tree.ts';
import { isSound } from '../../lib/audit/verdicts.ts';
import { verifyLog } from '../../lib/audit/verify.ts';
import { verifyStore } from '../../lib/audit/verify-store.ts';
import { type AuditWriter, openAuditWriter } from '../../lib/audit/writer.ts';
import { toHex } from '../../lib/crypto/encoding.ts';
import { noteVerifier } from '../../lib/crypto/note.ts';
import { createMemoryStore } from '../../lib/store/memory.ts';
import { type Store, StoreError } from '../../lib/store/port.ts';
import { createTestSigner, testEvent, testOrigin, testStart } from '../fakes/audit-log.ts';
import { createFakePublication } from '../fakes/publication.ts';
import type { Mutation } from './mutations.ts';
import { createScheduler, type Random, seededRandom } from './scheduler.ts';
import { type Faults, type Network, type Process, storeOver } from './store.ts';

export class Broken extends Error {
  override readonly name = 'Broken';
}

/** Signing costs more than all the rest; what is signed does not depend on the seed. */
const signer = createTestSigner();

type World = {
  readonly store: Store;
  readonly network: Network;
  readonly random: Random;
  readonly publication: Publication;
  readonly told: Map<string, 'ok' | 'refused' | 'unknown'>;
  readonly roots: Map<number, string>;
  readonly mutation: Mutation | undefined;
  readonly now: () => number;
  /** An act that takes longer than anybody waits for it. */
  readonly jump: () => void;
  readonly bytes: (n: number) => Uint8Array;
};

/** Returns the number of turns that were taken. */
export async function simulate(seed: number, run: number, mutation?: Mutation): Promise<number> {
  const shape = seededRandom(seed);
  const writers = 1 + Math.floor(shape() * 3);
  const sealers = 1 + Math.floor(shape() * 3);
  const rate = shape() * 0.25;
  const faults: Faults = { refused: rate, unknown: shape() * 0.25, unread: rate / 3 };
  const random = seededRandom(seed * 1_000_003 + run * 7_919 + 1);
  const scheduler = createScheduler(random);
  const inner = createMemoryStore();
  let time = testStart;
  const now = () => {
    time += Math.floor(random() * 3);
    return time;
  };
  const jump = () => {
    time += abandonedAfterMs;
  };
  const bytes = (n: number) => Uint8Array.from({ length: n }, () => Math.floor(random() * 256));
  const roots = new Map<number, string>();
  const plain = createFakePublication();
  const world: World = {
    ...{
      store: inner,
      network: { scheduler, random, faults },
      random,
      told: new Map(),
      roots,
      mutation,
      now,
      jump,
      bytes,
    },
    publication: watched(mutation?.publication?.(plain) ?? plain),
  };
  const work = Promise.all([
    // Two of them share a name, as when an old process is not dead yet.
    ...Array.from({ length: writers }, (_, who) => writerLife(world, who)),
    ...Array.from({ length: sealers }, () => sealerLife(world)),
  ]);
  await scheduler.run(work);
  await scheduler.run(checkWorld({ ...world, network: { ...world.network, faults: noFaults } }, inner, plain));
  return scheduler.steps;
}

const noFaults: Faults = { refused: 0, unknown: 0, unread: 0 };

function storeFor(world: World, process: Process): Store {
  const store = world.mutation?.store?.(world.store) ?? world.store;
  const seen = storeOver(store, world.network, process);
  return world.mutation?.client?.(seen) ?? seen;
}

function depsFor(world: World, process: Process) {
  const { now, bytes, network } = world;
  const store = storeFor(world, process);
  return { store, origin: testOrigin, now, random: bytes, delay: () => network.scheduler.turn(() => undefined) };
}

async function writerLife(world: World, who: number): Promise<void> {
  const { random, told } = world;
  for (let life = 0; life < 2; life++) {
    const process: Process = { dead: false };
    const writer = await retry(() =>
      openAuditWriter({
        ...depsFor(world, process),
        writerId: who === 1 ? 'w0' : `w${who}`,
        lanes: 1 + (who % 2),
        timer: () => () => undefined,
      }),
    );
    const operations = Array.from({ length: 3 }, (_, i) => operate(world, writer, `${who}.${life}.${i}`));
    const all = Promise.all(operations);
    all.catch(() => undefined); // Of the dead nothing is asked.
    if (life > 0 || random() < 0.5) {
      await all;
      continue;
    }
    // Killed somewhere on the way: it hears nothing any more, and what it had sent arrives or not.
    const turns = Math.floor(random() * 20);
    for (let i = 0; i < turns; i++) await world.network.scheduler.turn(() => undefined);
    process.dead = true;
    for (let i = 0; i < 3; i++) if (!told.has(`${who}.${life}.${i}`)) told.set(`${who}.${life}.${i}`, 'unknown');
  }
}

const put = (id: string) => [{ kind: 'put', item: { pk: 'things', sk: id }, when: { kind: 'absent' } }] as const;
const eventFor = (id: string): AuditEvent => ({ ...testEvent, object: { kind: 'token', id } });

/** One in three is intended first; the thing is then made with its outcome. */
async function operate({ told, random, jump }: World, writer: AuditWriter, id: string): Promise<void> {
  try {
    if (random() < 2 / 3) {
      const { ok } = await writer.append(eventFor(id), put(id));
      told.set(id, ok ? 'ok' : 'refused');
      return;
    }
    const { outcome: _, ...event } = eventFor(id);
    const intent = await writer.intend(event);
    told.set(id, 'unknown');
    if (!intent.ok) throw new Broken(`an intent without conditions was refused: ${intent.failed}`);
    if (random() < 0.3) jump();
    const { ok } = await intent.settle('success', put(id));
    told.set(id, ok ? 'ok' : 'refused');
  } catch (error) {
    if (!(error instanceof AuditError)) throw error;
    told.set(id, 'unknown');
  }
}

async function sealerLife(world: World): Promise<void> {
  for (let life = 0; life < 2; life++) {
    const process: Process = { dead: false };
    const deps = { ...depsFor(world, process), signer: { ...signer, sign: signing(world) }, maxBlockEntries: 4 };
    const sealer = createSealer({ ...deps, publication: publicationFor(world, process) });
    const seals = async () => {
      for (let i = 0; i < 3; i++) await sealer.sealOnce().catch(rethrowBroken);
    };
    if (life > 0 || world.random() < 0.5) {
      await seals();
      continue;
    }
    void seals().catch(() => undefined);
    const turns = Math.floor(world.random() * 40);
    for (let i = 0; i < turns; i++) await world.network.scheduler.turn(() => undefined);
    process.dead = true;
  }
}

/** One root for each size that was ever signed. */
function signing({ roots }: World) {
  return async (message: Uint8Array) => {
    const { size, root } = parseCheckpoint(Buffer.from(message).toString());
    const held = roots.get(size) ?? toHex(root);
    roots.set(size, held);
    if (held !== toHex(root)) throw new Broken(`two roots of size ${size} were signed`);
    return signer.sign(message);
  };
}

function publicationFor({ publication, network }: World, process: Process): Publication {
  const turn = async <T>(act: () => Promise<T>): Promise<T> => {
    const value = await network.scheduler.turn(act);
    return process.dead ? new Promise<never>(() => undefined) : value;
  };
  return {
    read: (path) => turn(() => publication.read(path)),
    write: (path, bytes) => turn(() => publication.write(path, bytes)),
    publishCheckpoint: (note, size) => turn(() => publication.publishCheckpoint(note, size)),
    dropPartials: (path) => turn(() => publication.dropPartials(path)),
  };
}

/** A published checkpoint is never replaced by a smaller one. */
function watched(inner: Publication): Publication {
  const sizeOf = async () => {
    const note = await inner.read('checkpoint');
    return note === undefined ? 0 : Number(Buffer.from(note).toString().split('\n')[1]);
  };
  return {
    ...inner,
    async publishCheckpoint(note, size) {
      const before = await sizeOf();
      const done = await inner.publishCheckpoint(note, size);
      if ((await sizeOf()) < before) throw new Broken(`the checkpoint went back from ${before} to ${size}`);
      return done;
    },
  };
}

async function checkWorld(world: World, store: Store, published: Publication): Promise<void> {
  const deps = depsFor(world, { dead: false });
  const sealer = createSealer({ ...deps, store, signer: { ...signer, sign: signing(world) }, publication: published });
  try {
    await sealer.sealOnce();
    // Whoever comes later states what the dead left open.
    world.jump();
    const writer = await openAuditWriter({ ...deps, store, writerId: 'last', timer: () => () => undefined });
    await operate({ ...world, random: () => 1 }, writer, 'last');
    await sealer.sealOnce();
  } catch (error) {
    throw new Broken(`the log can't be sealed any more: ${error}`);
  }
  const { now } = world;
  const verifiers = [noteVerifier(testOrigin, signer.raw)];
  const verdicts = [
    await verifyLog({ source: published, verifiers, now }),
    await verifyStore({ store, published, verifiers, now }),
  ];
  for (const each of verdicts) {
    if (!isSound(each) || each.completeness.verdict !== 'pass') throw new Broken(JSON.stringify(each));
  }
  const { entries, size } = await listEntries({ store, origin: testOrigin }, { order: 'oldest', limit: 100_000 });
  if (verdicts[0]?.size !== size) throw new Broken(`${size} entries are sealed, ${verdicts[0]?.size} are signed`);
  checkRoots(
    world,
    entries.map(({ bytes }) => bytes),
  );
  const things = (await store.query({ pk: 'things' })).items.map(({ sk }) => sk).sort();
  const own = entries.filter(({ entry }) => entry.op.type === testEvent.type);
  const done = own
    .filter(({ entry }) => entry.outcome === 'success')
    .map(({ entry }) => entry.object.id)
    .sort();
  if (things.join() !== done.join()) throw new Broken(`done: ${things.join(' ')}; recorded: ${done.join(' ')}`);
  for (const [id, said] of world.told) {
    if (said === 'ok' && !done.includes(id)) throw new Broken(`${id} was said to be done, and is not recorded`);
    if (said === 'refused' && done.includes(id)) throw new Broken(`${id} was said to be refused, and is recorded`);
  }
}

/** Whatever was signed on the way is the beginning of what stands at the end. */
function checkRoots({ roots }: World, entries: readonly Uint8Array[]): void {
  const range = emptyRange();
  for (const bytes of entries) {
    appendLeafHash(range, leafHash(bytes));
    const signed = roots.get(range.size);
    if (signed !== undefined && signed !== toHex(rootOf(range)))
      throw new Broken(`size ${range.size} was signed over another history`);
  }
  for (const size of roots.keys())
    if (size > entries.length) throw new Broken(`size ${size} was signed, ${entries.length} stand`);
}

async function retry<T>(act: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await act();
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
    }
  }
}

function rethrowBroken(error: unknown): void {
  if (error instanceof Broken) throw error;
}
