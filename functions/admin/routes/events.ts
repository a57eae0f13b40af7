/**
 * The route of live events (server-sent events, WHATWG HTML §9.2): what changed in the fleet, as it changes. Only names
 * of things and their new state; never an entry of the audit log, which has routes of its own that record each read.
 */
import { z } from 'zod';
import { grantFor } from '../../../lib/access/caller.ts';
import { type Change, type FeedPosition, type Store, StoreError } from '../../../lib/store/port.ts';
import { Problem } from '../problem.ts';
import { type Route, route } from '../route.ts';

export type FleetEvent =
  | { readonly event: 'node'; readonly data: { readonly uuid: string; readonly state: string; readonly name: string } }
  | { readonly event: 'release'; readonly data: { readonly number: number; readonly digest: string } }
  | { readonly event: 'run'; readonly data: { readonly uuid: string; readonly run: string } };

/** How often a silent stream says that it lives, and asks whether its credential still does. */
const waitMs = 10_000;
const maxStreams = 100;
/** So that one who opens and never reads leaves room for the others. */
const maxStreamsEach = 10;

export function eventRoutes({ store }: { readonly store: Store }): Route[] {
  const streams = new Map<string, number>();
  return [
    route({
      method: 'GET',
      path: '/v1/events',
      permission: 'fleet.read',
      produces: 'text/event-stream',
      schema: { query: z.strictObject({}) },
      handler: async ({ caller, signal, stillAllowed }) => {
        const who = `${caller.principal.kind}|${caller.principal.id}`;
        const own = streams.get(who) ?? 0;
        if (own >= maxStreamsEach)
          throw new Problem('too-many-requests', 'too many streams of events are open', { retryAfterMs: waitMs });
        if (streams.values().reduce((sum, count) => sum + count, 0) >= maxStreams)
          throw new StoreError('unavailable', 'too many streams of events');
        streams.set(who, own + 1);
        const release = once(() => {
          const left = (streams.get(who) ?? 1) - 1;
          if (left === 0) streams.delete(who);
          else streams.set(who, left);
        });
        // Counted before anything is waited for: of many at once none slips through.
        const position = await store.feed.now().catch((error: unknown) => {
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
        const source = follow({ store, position, signal: stop.signal, stillAllowed, showsReleases });
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

async function* follow(stream: {
  readonly store: Store;
  readonly position: FeedPosition;
  readonly signal: AbortSignal;
  readonly stillAllowed: () => Promise<boolean>;
  readonly showsReleases: boolean;
}): AsyncGenerator<string, undefined> {
  let { position } = stream;
  yield ': open\n\n';
  while (!stream.signal.aborted) {
    const read = await stream.store.feed.read(position, { limit: 100, waitMs, signal: stream.signal });
    // Before anything is shown: a session that ended since sees nothing more.
    if (stream.signal.aborted || !(await stream.stillAllowed())) return undefined;
    position = read.position;
    const events = read.changes.map(eventOf).filter((event) => event !== undefined);
    const shown = events.filter(({ event }) => event !== 'release' || stream.showsReleases);
    yield shown.map(({ event, data }) => `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`).join('') ||
      ': alive\n\n';
  }
  return undefined;
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
