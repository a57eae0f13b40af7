/** An event in the schema that a destination is configured with: as a document, or as one line of text. */
import type { MappingName } from '../config.ts';
import type { Batch, FeedEvent } from '../event.ts';
import { toCef, toLeef } from './cef.ts';
import { toEcs } from './ecs.ts';
import { safeJson } from './escape.ts';
import { type Document, toOcsf } from './ocsf.ts';
import { type Context, placeOf, rawText, timeOf } from './place.ts';

export type JsonMapping = Extract<MappingName, 'ocsf' | 'ecs' | 'raw'>;

export function mapToDocument(mapping: JsonMapping, event: FeedEvent, context: Context): Document {
  switch (mapping) {
    case 'ocsf':
      return toOcsf(event, context);
    case 'ecs':
      return toEcs(event, context);
    case 'raw':
      return toRaw(event, context);
    default:
      return mapping satisfies never;
  }
}

/** One line without control characters: JSON for the schemas that are documents. */
export function mapToText(mapping: MappingName, event: FeedEvent, context: Context): string {
  if (mapping === 'cef') return toCef(event, context);
  if (mapping === 'leef') return toLeef(event, context);
  return safeJson(mapToDocument(mapping, event, context));
}

/** A document, or a line where the mapping is one: for receivers that take either as the value of a JSON member. */
export function mapToValue(mapping: MappingName, event: FeedEvent, context: Context): Document | string {
  if (mapping === 'cef') return toCef(event, context);
  if (mapping === 'leef') return toLeef(event, context);
  return mapToDocument(mapping, event, context);
}

/** What each event of a batch is mapped with: the last one carries the newest checkpoint. */
export function contextOf(batch: Batch, index: number): Context {
  const isLast = index === batch.events.length - 1;
  return isLast && batch.checkpoint !== undefined
    ? { log: batch.log, checkpoint: batch.checkpoint }
    : { log: batch.log };
}

/** Where it stands and its own bytes, in no schema. */
function toRaw(event: FeedEvent, context: Context): Document {
  const raw = rawText(event);
  return { time: timeOf(event), ...placeOf(event, context), ...(raw !== undefined && { raw }) };
}
