/** What every mapping carries of an event besides what it says: where it stands, and what proves it. */
import type { Batch, FeedEvent } from '../event.ts';

/** Strings and safe integers, and for heartbeats the counts; `raw` is apart, since each format has its own place for it. */
export type Place = { readonly [name: string]: string | number | { readonly [name: string]: string | number } };

/** What an event is mapped with, besides itself. */
export type Context = {
  readonly log: string;
  /** Given to the last event of a batch: the newest signed checkpoint. */
  readonly checkpoint?: Batch['checkpoint'];
};

export function placeOf(event: FeedEvent, { log, checkpoint }: Context): Place {
  const place = { kind: event.kind, id: event.id, log, ...ownPlace(event) };
  return checkpoint === undefined ? place : { ...place, checkpoint };
}

function ownPlace(event: FeedEvent): Place {
  switch (event.kind) {
    case 'entry':
      return chained(event);
    case 'stub':
      return { ...chained(event), reason: event.reason, fetch: event.fetch };
    case 'heartbeat': {
      const { destination, generation, head, next, chain, since, delivered, filtered, quarantined, dseq, lag } = event;
      const counts = { destination, generation, head, next, chain, since, delivered, filtered, quarantined, lag };
      return dseq === undefined ? counts : { ...counts, dseq };
    }
    case 'test':
      return { destination: event.destination, nonce: event.nonce };
    default:
      return event satisfies never;
  }
}

function chained(event: Extract<FeedEvent, { seq: number }>): Place {
  const { seq, dseq, body, chain, previous } = event;
  return dseq === undefined ? { seq, body, chain, previous } : { seq, dseq, body, chain, previous };
}

/** The entry's own text. Its bytes are canonical JSON, so well-formed UTF-8: the text encodes to the same bytes. */
export function rawText(event: FeedEvent): string | undefined {
  return event.kind === 'entry' && event.raw !== undefined ? Buffer.from(event.raw).toString('utf8') : undefined;
}

/** `YYYY-MM-DDThh:mm:ss.sssZ` */
export function timeOf(event: FeedEvent): string {
  return event.kind === 'entry' ? event.entry.ts : event.time;
}

/** One sentence for an event that is no entry. */
export function messageOf(event: Exclude<FeedEvent, { kind: 'entry' }>): string {
  switch (event.kind) {
    case 'stub':
      return `An entry that the receiver does not take (${event.reason}); it can be read at ${event.fetch}`;
    case 'heartbeat':
      return `Heartbeat: the log has ${event.head.size} entries, everything below ${event.next} was sent`;
    case 'test':
      return `Test event ${event.nonce}`;
    default:
      return event satisfies never;
  }
}

/** The level of what was refused or failed is never below low, and that of a stub is medium. */
export function levelOf(event: FeedEvent, level: number): number {
  if (event.kind === 'stub') return 3;
  if (event.kind !== 'entry') return 1;
  return event.entry.outcome === 'success' || event.entry.outcome === 'pending' ? level : Math.max(level, 2);
}
