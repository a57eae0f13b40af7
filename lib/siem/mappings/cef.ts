/**
 * CEF (ArcSight Common Event Format, version 0) and LEEF 2.0 (IBM QRadar). Both are one line: a header with `|` between
 * its fields, then names and values. The entry's own bytes are `hfRaw`, or `hfRawBase64` where text can't hold them.
 */
import { toBase64, utf8 } from '../../crypto/encoding.ts';
import type { EntryEvent, FeedEvent } from '../event.ts';
import { cefHeader, cefValue, isPlain, leefHeader, leefValue } from './escape.ts';
import { type Context, levelOf, messageOf, type Place, placeOf, rawText, timeOf } from './place.ts';
import { mappingOf } from './table.ts';

/** Of the formats' interface, not of the product: rules of receivers match on it. */
const version = '1';
/** 1, 3, 5, 7 of 10, from informational to high. */
const severity = (level: number) => level * 2 - 1;

export function toCef(event: FeedEvent, context: Context): string {
  const { code, name, message, level } = header(event);
  const head = ['CEF:0', 'Holdfast', 'Holdfast', version, cefHeader(code), cefHeader(name), severity(level)].join('|');
  const fields = [
    ['rt', `${Date.parse(timeOf(event))}`],
    ['externalId', event.id],
    ['cat', name],
    ['msg', message],
    ...(event.kind === 'entry' ? cefEntry(event) : []),
    ...ownFields(placeOf(event, context)),
    ...rawField(event, isPlain),
  ] as const;
  return `${head}|${fields.map(([key, value]) => `${key}=${cefValue(value)}`).join(' ')}`;
}

export function toLeef(event: FeedEvent, context: Context): string {
  const { code, name, message, level } = header(event);
  const head = ['LEEF:2.0', 'Holdfast', 'Holdfast', version, leefHeader(code), '^'].join('|');
  const fields = [
    ['devTime', timeOf(event)],
    ['devTimeFormat', "yyyy-MM-dd'T'HH:mm:ss.SSSX"],
    ['cat', name],
    ['sev', `${severity(level)}`],
    ['externalId', event.id],
    ['msg', message],
    ...(event.kind === 'entry' ? leefEntry(event) : []),
    ...ownFields(placeOf(event, context)),
    // The format has no escape of its own, so nobody could be sure of the bytes.
    ...rawField(event, () => false),
  ] as const;
  return `${head}|${fields.map(([key, value]) => `${key}=${leefValue(value)}`).join('^')}`;
}

function header(event: FeedEvent) {
  if (event.kind !== 'entry') {
    return { code: event.kind, name: event.kind, message: messageOf(event), level: levelOf(event, 1) };
  }
  const { op } = event.entry;
  const { message, level } = mappingOf(op.type);
  return { code: op.code, name: op.type, message, level: levelOf(event, level) };
}

type Fields = readonly (readonly [string, string])[];

function cefEntry({ entry }: EntryEvent): Fields {
  return [
    ['suid', entry.actor.id],
    ['suser', entry.actor.id],
    ['spriv', entry.actor.role ?? entry.actor.kind],
    ['outcome', entry.outcome],
    ...more(entry),
  ];
}

function leefEntry({ entry }: EntryEvent): Fields {
  return [
    ['usrName', entry.actor.id],
    ['role', entry.actor.role ?? entry.actor.kind],
    ['outcome', entry.outcome],
    ...more(entry),
  ];
}

function more({ actor, object, detail, op }: EntryEvent['entry']): Fields {
  return [
    ...(typeof detail['reason'] === 'string' ? [['reason', detail['reason']] as const] : []),
    ['hfActorKind', actor.kind],
    ['hfAuth', actor.auth],
    ['hfObjectKind', object.kind],
    ['hfObject', object.id],
    ['hfOperation', op.id],
    ['hfPhase', op.phase],
  ];
}

/** Each as `hf` and its name: `hfSeq`, `hfHeadSize`. */
function ownFields(place: Place, prefix = 'hf'): Fields {
  return Object.entries(place).flatMap(([name, value]) => {
    const key = `${prefix}${name.charAt(0).toUpperCase()}${name.slice(1)}`;
    return typeof value === 'object' ? ownFields(value, key) : [[key, `${value}`] as const];
  });
}

function rawField(event: FeedEvent, fits: (text: string) => boolean): Fields {
  const raw = rawText(event);
  if (raw === undefined) return [];
  return [fits(raw) ? ['hfRaw', raw] : ['hfRawBase64', toBase64(utf8(raw))]];
}
