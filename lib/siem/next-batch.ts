/**
 * What goes next: the batch that is on its way, made again, or a new one from where a track stands. A probe is one event;
 * a heartbeat and a test close a batch, and a batch of entries leaves room for them.
 */
import { readCheckpoint } from '../audit/head.ts';
import { toHex } from '../crypto/encoding.ts';
import type { Store } from '../store/port.ts';
import { eventsOf, hasDseq, type Stretch, takeStretch } from './build-batch.ts';
import type { CursorState, Inflight } from './cursor.ts';
import type { Destination } from './destination.ts';
import type { FeedEvent, HeartbeatEvent } from './event.ts';
import { type TrackName, trackOf, withTrack } from './outcome.ts';
import type { DestinationRecord } from './record.ts';
import { IntegrityError, type SealedHead, type SealedReader } from './sealed-reader.ts';

export type BatchDeps = {
  readonly store: Store;
  readonly origin: string;
  readonly reader: SealedReader;
  readonly now: () => number;
  readonly random: (n: number) => Uint8Array;
};

/** What is to be sent, as it stands in the cursor. */
export type Prepared = {
  readonly kind: 'batch';
  readonly track: TrackName;
  readonly inflight: Inflight;
  readonly events: readonly FeedEvent[];
  /** Not written down yet. */
  readonly isNew: boolean;
};

/** `moved`: nothing of it is for this destination, and the state is behind it now. */
type Next = Prepared | { readonly kind: 'moved'; readonly state: CursorState };

type Asked = {
  readonly state: CursorState;
  readonly record: DestinationRecord;
  readonly destination: Pick<Destination, 'limits'>;
};

export const heartbeatMs = 60_000;

/** `first` names the track whose turn it is. Throws `IntegrityError` and `StoreError`. */
export async function nextBatch(deps: BatchDeps, asked: Asked, first: TrackName): Promise<Next | undefined> {
  const head = await deps.reader.head();
  const order: readonly TrackName[] = first === 'main' ? ['main', 'replay'] : ['replay', 'main'];
  for (const name of order) {
    if (name === 'replay' && asked.state.replay === undefined) continue;
    const isOnItsWay = trackOf(asked.state, name).inflight !== undefined;
    const found = await (isOnItsWay ? remake(deps, asked, name, head) : choose(deps, asked, name, head));
    if (found !== undefined) return found;
  }
  return undefined;
}

export function nextHeartbeat(state: CursorState): number {
  return state.heartbeatAt + heartbeatMs;
}

/** The identical batch again. */
async function remake(
  { reader, origin }: BatchDeps,
  { state, record }: Asked,
  name: TrackName,
  head: SealedHead,
): Promise<Prepared> {
  const track = trackOf(state, name);
  const inflight = track.inflight as Inflight;
  const { from, to: end, sent } = inflight;
  const unlimited = { end, maxEvents: Math.max(sent, 1), maxBytes: Number.POSITIVE_INFINITY };
  const stretch = await takeStretch(reader, head, track, record, unlimited);
  if (inflight.chain !== undefined && stretch.chain !== inflight.chain) {
    throw new IntegrityError(from, `entries ${from} to ${end - 1} are not those that were sent before`);
  }
  const events = makeEvents(origin, { state, record }, name, stretch, inflight);
  return { kind: 'batch', track: name, inflight, events, isNew: false };
}

/** A new batch from where the track stands. */
async function choose(
  deps: BatchDeps,
  { state, record, destination: { limits } }: Asked,
  name: TrackName,
  head: SealedHead,
): Promise<Next | undefined> {
  const { reader, now, random } = deps;
  const track = trackOf(state, name);
  const isMain = name === 'main';
  const most = state.state === 'active' ? Math.min(limits.maxEvents, state.limit ?? limits.maxEvents) : 1;
  const test = isMain && record.test?.nonce !== state.test?.nonce ? record.test?.nonce : undefined;
  const isDue = isMain && now() >= nextHeartbeat(state);
  const { from: begin = 0, to: last = head.size } = isMain ? {} : (state.replay ?? {});
  const isSkipping = track.next < begin;
  const stretch = await takeStretch(reader, head, track, record, {
    end: isSkipping ? begin : last,
    maxEvents: isSkipping ? limits.maxEvents : roomForEntries(state, most, test !== undefined, isDue),
    maxBytes: limits.maxBytes,
  });
  const room = isSkipping ? 0 : most - stretch.taken.length;
  const withTest = test !== undefined && room > 0;
  const withHeartbeat = isDue && room > (withTest ? 1 : 0);
  if (!withTest && !withHeartbeat) {
    if (stretch.to === stretch.from) return undefined;
    if (isSkipping || stretch.taken.length === 0) return { kind: 'moved', state: skip(state, name, stretch) };
  }
  const checkpoint = await readCheckpoint(deps.store);
  const madeAt = now();
  const inflight: Inflight = {
    ...{ id: toHex(random(16)), configRevision: record.configRevision, madeAt },
    ...{ from: stretch.from, to: stretch.to, sent: stretch.taken.length, filtered: stretch.filtered },
    ...{ stubs: [], rest: false },
    ...(stretch.chain !== undefined && { chain: stretch.chain }),
    ...(withTest && { test }),
    ...(withHeartbeat && {
      heartbeat: JSON.stringify(await heartbeatAfter(deps, { state, record }, stretch, head, madeAt)),
    }),
    ...(checkpoint && { checkpoint: { size: checkpoint.size, note: checkpoint.note } }),
  };
  const events = makeEvents(deps.origin, { state, record }, name, stretch, inflight);
  return { kind: 'batch', track: name, inflight, events, isNew: true };
}

/** A feed that is far behind has heartbeats too; and of a single event, the one that somebody waits for goes first. */
function roomForEntries(state: CursorState, most: number, hasTest: boolean, isDue: boolean): number {
  if (most > 1) return Math.max(1, most - Number(hasTest) - Number(isDue));
  return hasTest || (isDue && state.state === 'active') ? 0 : most;
}

function skip(state: CursorState, name: TrackName, { to, chain, taken, filtered }: Stretch): CursorState {
  const track = trackOf(state, name);
  return withTrack(state, name, {
    ...track,
    next: to,
    ...(chain !== undefined && { chain }),
    delivered: track.delivered + taken.length,
    filtered: track.filtered + filtered,
  });
}

function makeEvents(
  origin: string,
  { state, record: { config, salt } }: Pick<Asked, 'state' | 'record'>,
  name: TrackName,
  { taken }: Stretch,
  inflight: Inflight,
): readonly FeedEvent[] {
  const { delivered, quarantined } = trackOf(state, name);
  const isCounted = hasDseq(config) && (name === 'main' || (state.replay?.from ?? 0) >= state.since);
  return eventsOf({ origin, config, salt }, taken, inflight, isCounted ? delivered + quarantined : undefined);
}

/** As it will be once the batch that it closes is delivered. */
async function heartbeatAfter(
  { reader, origin }: BatchDeps,
  { state, record: { config } }: Pick<Asked, 'state' | 'record'>,
  { to, chain, taken, filtered }: Stretch,
  head: SealedHead,
  madeAt: number,
): Promise<HeartbeatEvent> {
  const { main, generation, since } = state;
  const delivered = main.delivered + taken.length;
  const oldest = to < head.size ? (await reader.read(to, head))[0] : undefined;
  return {
    kind: 'heartbeat',
    id: `${origin}:heartbeat:${config.name}:${madeAt}`,
    time: new Date(madeAt).toISOString(),
    destination: config.name,
    generation,
    head: { size: head.size, chain: head.chain },
    next: to,
    chain: chain ?? main.chain ?? '',
    since,
    delivered,
    filtered: main.filtered + filtered,
    quarantined: main.quarantined,
    ...(hasDseq(config) && { dseq: delivered + main.quarantined }),
    lag: {
      entries: head.size - to,
      ms: oldest === undefined ? 0 : Math.max(0, madeAt - Date.parse(oldest.entry.ts)),
    },
  };
}
