/**
 * The route of live events (server-sent events, WHATWG HTML §9.2): what changed in the fleet, as it changes. Only names
 * of things and their new state; never an entry of the audit log, which has routes of its own that record each read.
 *
 * An id says how far the stream has come. Who comes back with it, as `Last-Event-ID`, is told what changed meanwhile, or,
 * when that is too much or no longer known, by a `reset` to read everything anew. An event may come twice, never not at all.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { z } from 'zod';
import { grantFor } from '../../../lib/access/caller.ts';
import { type Change, type FeedPosition, type Store, StoreError } from '../../../lib/store/port.ts';
import { Problem } from '../problem.ts';
import { type Route, route } from '../route.ts';
import { formatCursor, parseCursor } from './page.ts';

export type FleetEvent =
  | { readonly event: 'node'; readonly data: { readonly uuid: string; readonly state: string; readonly name: string } }
  | { readonly event: 'release'; readonly data: { readonly number: number; readonly digest: string } }
  | { readonly event: 'run'; readonly data: { readonly uuid: string; readonly run: string } };

/**
 * Why everything is to be read anew: `unknown`: the id is none that this server gave; `expired`: it is from before what
 * is kept; `too_many`: so much has changed since that reading everything is less.
 */
type ResetReason = 'unknown' | 'expired' | 'too_many';

/** A stream that has nothing to tell for so long says that it lives, and asks whether its credential still does. */
const silenceMs = 10_000;
/** For the client, before it comes back. */
const retryMs = 2_000;
const maxStreams = 100;
/** So that one who opens and never reads leaves room for the others. */
const maxStreamsEach = 10;
/** Changes of the store, shown or not, that are gone through for one who comes back. */
const maxReplayed = 10_000;
const list = 'events';

export function eventRoutes(deps: { readonly store: Store; readonly now: () => number }): Route[] {
  const { store } = deps;
  const streams = new Map<string, number>();
  return [
    route({
      method: 'GET',
      path: '/v1/events',
      permission: 'fleet.read',
      produces: 'text/event-stream',
      resumes: true,
      schema: { query: z.strictObject({}) },
      handler: async ({ caller, lastEventId, signal, stillAllowed }) => {
        const who = `${caller.principal.kind}|${caller.principal.id}`;
        const own = streams.get(who) ?? 0;
        if (own >= maxStreamsEach)
          throw new Problem('too-many-requests', 'too many streams of events are open', { retryAfterMs: silenceMs });
        if (streams.values().reduce((sum, count) => sum + count, 0) >= maxStreams)
          throw new StoreError('unavailable', 'too many streams of events');
        streams.set(who, own + 1);
        const release = once(() => {
          const left = (streams.get(who) ?? 1) - 1;
          if (left === 0) streams.delete(who);
          else streams.set(who, left);
        });
        // Counted before anything is waited for: of many at once none slips through.
        const start = await store.feed.now().catch((error: unknown) => {
          release();
          throw error;
        });
        const stop = new AbortController();
        const end = () => {
          release();
          stop.abort();
        };
        signal.addEventListener('abort', end, { once: true });
        const showsReleases = grantFor(caller, 'config.read') !== 'none';
        const source = follow({ ...deps, start, lastEventId, signal: stop.signal, stillAllowed, showsReleases });
        const body = new ReadableStream<Uint8Array>({
          async pull(controller) {
            const next = await source.next().catch(() => ({ done: true, value: undefined }));
            if (next.value !== undefined) controller.enqueue(new TextEncoder().encode(next.value));
            if (next.done !== true) return;
            end();
            controller.close();
          },
          async cancel() {
            end();
            await source.return(undefined);
          },
        });
        return new Response(body, { headers: { 'content-type': 'text/event-stream' } });
      },
    }),
  ];
}

function once(act: () => void): () => void {
  let isDone = false;
  return () => {
    if (isDone) return;
    isDone = true;
    act();
  };
}

type Stream = {
  readonly store: Store;
  readonly now: () => number;
  /** After everything that was written before the stream was opened. */
  readonly start: FeedPosition;
  /** Whatever the client sent. */
  readonly lastEventId: string | undefined;
  readonly signal: AbortSignal;
  readonly stillAllowed: () => Promise<boolean>;
  readonly showsReleases: boolean;
};

async function* follow({
  store,
  now,
  start,
  lastEventId,
  signal,
  ...stream
}: Stream): AsyncGenerator<string, undefined> {
  const known = lastEventId === undefined ? undefined : parseCursor(list, lastEventId);
  let position = (known as FeedPosition | undefined) ?? start;
  let isBehind = known !== undefined;
  let replayed = 0;
  let heardAt = now();
  yield `retry: ${retryMs}\nid: ${formatCursor(list, position)}\n: open\n\n`;
  if (lastEventId !== undefined && known === undefined) yield reset('unknown', position);
  while (!signal.aborted) {
    const untilDue = Math.max(0, heardAt + silenceMs - now());
    const read = await readFrom(store, position, { waitMs: isBehind ? 0 : untilDue, signal });
    const changes = read?.changes ?? [];
    const events = changes
      .map(eventOf)
      .filter((event) => event !== undefined)
      .filter(({ event }) => event !== 'release' || stream.showsReleases);
    replayed += isBehind ? changes.length : 0;
    const isLost = read === undefined || (isBehind && replayed > maxReplayed);
    const isDue = changes.length === 0 || now() - heardAt >= silenceMs;
    isBehind &&= !isLost && changes.length > 0;
    position = read?.position ?? position;
    if (!isLost && !isDue && events.length === 0) {
      // Others get their turn, however much there is to go through.
      await nextTurn();
      continue;
    }
    // Before anything is shown: a credential that ended since sees nothing more.
    if (signal.aborted || !(await stream.stillAllowed())) return undefined;
    // Asked for before it is told: what changes while the client reads everything comes after it.
    if (isLost) position = await store.feed.now();
    yield isLost ? reset(read === undefined ? 'expired' : 'too_many', position) : told(events, position);
    heardAt = now();
  }
  return undefined;
}

/** `undefined`: the feed does not reach back to this position, or it is none. */
async function readFrom(
  store: Store,
  position: FeedPosition,
  wait: { readonly waitMs: number; readonly signal: AbortSignal },
): Promise<{ readonly changes: readonly Change[]; readonly position: FeedPosition } | undefined> {
  try {
    return await store.feed.read(position, { limit: 100, ...wait });
  } catch (error) {
    if (error instanceof StoreError && (error.code === 'feed_expired' || error.code === 'invalid')) return undefined;
    throw error;
  }
}

function reset(reason: ResetReason, position: FeedPosition): string {
  return `event: reset\nid: ${formatCursor(list, position)}\ndata: ${JSON.stringify({ reason })}\n\n`;
}

/** The id stands at the last event alone: who has only some of them is to be told all of them again. */
function told(events: readonly FleetEvent[], position: FeedPosition): string {
  const id = `id: ${formatCursor(list, position)}\n`;
  // An id without data is kept by the client, and is no event to it.
  if (events.length === 0) return `: alive\n${id}\n`;
  const last = events.length - 1;
  return events
    .map(({ event, data }, i) => `event: ${event}\n${i === last ? id : ''}data: ${JSON.stringify(data)}\n\n`)
    .join('');
}

/** An allow-list: a change of any other item is nobody's business here. */
export function eventOf({ key, item }: Change): FleetEvent | undefined {
  if (item === undefined) return undefined;
  if (/^node#[0-9a-f]$/.test(key.pk))
    return { event: 'node', data: { uuid: key.sk, state: String(item['state']), name: String(item['name']) } };
  if (key.pk === 'release' && key.sk === 'current')
    return { event: 'release', data: { number: Number(item['number']), digest: String(item['digest']) } };
  if (key.pk.startsWith('run#'))
    return { event: 'run', data: { uuid: key.pk.slice('run#'.length), run: String(item['runId']) } };
  return undefined;
}
