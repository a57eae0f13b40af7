import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import Ajv2020 from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { anyText, hostileText } from '../../../test/fakes/hostile-text.ts';
import { feedOf, heartbeat, logins, specimens, stubOf, testLog } from '../../../test/fakes/siem-events.ts';
import { mappingFiles, mappingFolder } from '../../../test/siem/golden.ts';
import { bodyHash, chainHash } from '../../audit/chain.ts';
import type { FeedEvent, TestEvent } from '../event.ts';
import { cefHeader, cefValue, isPlain, leefHeader, leefValue, safeJson, sdParam, syslogWord } from './escape.ts';
import { mapToDocument, mapToText } from './map.ts';
import { mappingOf, ocsfClasses } from './table.ts';

const vectors = new URL('../../../test/vectors/', import.meta.url);
const context = { log: testLog };
const nonce: TestEvent = {
  kind: 'test',
  id: `${testLog}:test:test:${'0'.repeat(32)}`,
  time: '2026-01-02T03:04:05.678Z',
  destination: 'test',
  nonce: '0'.repeat(32),
};
const others: readonly FeedEvent[] = [heartbeat, nonce, stubOf(logins(1)[0]!)];
const all: readonly FeedEvent[] = [...specimens(), ...others];

test('every operation and every other event has a golden file, and becomes what is in it', () => {
  const expected = mappingFiles();
  const hint = 'run `node test/siem/golden.ts`, then read what changed';
  assert.deepEqual(readdirSync(mappingFolder).sort(), [...expected.keys()].sort(), hint);
  for (const [name, text] of expected) assert.equal(readFileSync(`${mappingFolder}${name}`, 'utf8'), text, hint);
});

const schemas = new Map<number, (event: unknown) => void>();
/** The published schema of a class, closed: a field that it does not have is an error. */
function assertOcsf(uid: number, event: unknown): void {
  if (!schemas.has(uid)) {
    const ajv = new Ajv2020.default({ strict: false, allErrors: true, allowUnionTypes: true });
    const schema = JSON.parse(readFileSync(new URL(`ocsf-1.8.0/${uid}.json`, vectors), 'utf8'));
    const validate = ajv.compile(schema);
    schemas.set(uid, (value) => assert.ok(validate(value), ajv.errorsText(validate.errors)));
  }
  schemas.get(uid)?.(event);
}

test('R32 every event is valid by the published schema of its OCSF class', () => {
  for (const event of all) {
    const document = JSON.parse(mapToText('ocsf', event, context));
    assertOcsf(document.class_uid, document);
  }
});

test('an OCSF event with a field of our own, or a wrong activity, is not valid', () => {
  const document = JSON.parse(mapToText('ocsf', specimens()[0]!, context));
  assert.throws(() => assertOcsf(document.class_uid, { ...document, holdfast: 1 }), /additional properties/);
  assert.throws(() => assertOcsf(document.class_uid, { ...document, activity_id: 77 }), /allowed values/);
  const { time: _, ...timeless } = document;
  assert.throws(() => assertOcsf(document.class_uid, timeless), /required property 'time'/);
});

test('the names and activities in the table are those of the published schemas', () => {
  for (const [uid, { category }] of Object.entries(ocsfClasses)) {
    const { properties } = JSON.parse(readFileSync(new URL(`ocsf-1.8.0/${uid}.json`, vectors), 'utf8'));
    assert.equal(properties.class_uid.const, Number(uid));
    assert.equal(properties.category_uid.const, category);
  }
});

type EcsField = { type: string; array?: true; allowed?: string[]; expected?: Record<string, string[]> };
const ecsFields: Record<string, EcsField> = JSON.parse(readFileSync(new URL('ecs-9.4/fields.json', vectors), 'utf8'));

function assertEcs(value: unknown, path = ''): void {
  if (path === 'holdfast') return;
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    for (const [name, each] of Object.entries(value)) assertEcs(each, path === '' ? name : `${path}.${name}`);
    return;
  }
  const field = ecsFields[path];
  assert.ok(field, `ECS has no field ${path}`);
  assert.equal(Array.isArray(value), field.array === true, `${path} is an array exactly when ECS says so`);
  for (const each of [value].flat()) {
    assert.equal(typeof each, field.type === 'long' ? 'number' : 'string', path);
    if (field.allowed !== undefined) assert.ok(field.allowed.includes(each as string), `${path}: ${each}`);
  }
}

test('R32 every field of an ECS event is in the published list, with its type and allowed values', () => {
  const { expected = {} } = ecsFields['event.category']!;
  for (const event of all) {
    const document = JSON.parse(mapToText('ecs', event, context));
    assertEcs(document);
    for (const type of document.event.type ?? []) {
      const categories = document.event.category as string[];
      assert.ok(
        categories.some((category) => expected[category]?.includes(type)),
        `${categories}: ${type}`,
      );
    }
  }
  assert.throws(() => assertEcs({ event: { colour: 'red' } }), /no field event.colour/);
});

test('every mapping carries the place, the hashes and the bytes, and the chain can be computed from them', () => {
  for (const event of specimens()) {
    const ocsf = JSON.parse(mapToText('ocsf', event, context));
    const ecs = JSON.parse(mapToText('ecs', event, context));
    const raw = JSON.parse(mapToText('raw', event, context));
    const cef = parseCef(mapToText('cef', event, context)).fields;
    const leef = parseLeef(mapToText('leef', event, context)).fields;
    for (const [place, bytes] of [
      [ocsf.unmapped.holdfast, ocsf.raw_data],
      [ecs.holdfast, ecs.event.original],
      [raw, raw.raw],
      [lowered(cef), cef['hfRaw']],
      [lowered(leef), Buffer.from(leef['hfRawBase64']!, 'base64').toString('utf8')],
    ] as const) {
      assert.deepEqual(Buffer.from(bytes), Buffer.from(event.raw!));
      assert.equal(`${place.seq} ${place.dseq}`, `${event.seq} ${event.dseq}`);
      assert.equal(place.id, event.id);
      assert.equal(place.kind, 'entry');
      assert.equal(place.body, bodyHash(Buffer.from(bytes)));
      assert.equal(place.chain, chainHash(place.log, Number(place.seq), place.body, place.previous));
    }
  }
});

test('an entry of a type that is not known is mapped all the same', () => {
  const [event] = specimens();
  const entry = { ...event!.entry, op: { ...event!.entry.op, type: 'constructor' } };
  const document = mapToDocument('ocsf', { ...event!, entry }, context);
  assertOcsf(3004, JSON.parse(JSON.stringify(document)));
  assert.equal(mappingOf('constructor').message, 'An operation was done');
});

test('the newest checkpoint is carried by every mapping that is given one', () => {
  const checkpoint = { size: 3, note: 'origin\n3\nroot\n\n— a b\n' };
  const [event] = logins(1);
  assert.deepEqual(JSON.parse(mapToText('raw', event!, { log: testLog, checkpoint })).checkpoint, checkpoint);
  const { fields } = parseCef(mapToText('cef', event!, { log: testLog, checkpoint }));
  assert.equal(fields['hfCheckpointNote'], checkpoint.note);
});

test('R32 no actor, object or reason forges a record, a header or a field, in any mapping', () => {
  fc.assert(
    fc.property(hostileText, hostileText, (actorId, objectId) => {
      const actor = { id: actorId, kind: 'user', auth: 'basic' } as const;
      const detail = { reason: 'bad_credentials', method: 'basic' };
      const object = { kind: 'user', id: objectId };
      const [event] = feedOf([{ type: 'session.refuse', actor, object, outcome: 'denied', detail }]);
      for (const mapping of ['ocsf', 'ecs', 'cef', 'leef', 'raw'] as const) {
        assertOneLine(mapToText(mapping, event!, context));
      }
      const cef = parseCef(mapToText('cef', event!, context));
      const [plain] = feedOf([{ type: 'session.refuse', actor: { ...actor, id: 'x' }, outcome: 'denied', detail }]);
      assert.deepEqual(withoutRaw(cef.fields), withoutRaw(parseCef(mapToText('cef', plain!, context)).fields));
      assert.equal(cef.head.length, 7);
      if (isPlain(actorId)) assert.equal(cef.fields['suser'], actorId);
      for (const mapping of ['ocsf', 'ecs'] as const) {
        const { actor: ocsf, user: ecs } = JSON.parse(mapToText(mapping, event!, context));
        assert.equal(mapping === 'ocsf' ? ocsf.user.uid : ecs.id, actorId);
      }
      const leef = parseLeef(mapToText('leef', event!, context));
      assert.deepEqual(withoutRaw(leef.fields), withoutRaw(parseLeef(mapToText('leef', plain!, context)).fields));
      const bytes = cef.fields['hfRaw'] ?? Buffer.from(cef.fields['hfRawBase64']!, 'base64').toString('utf8');
      assert.deepEqual(Buffer.from(bytes), Buffer.from(event!.raw!));
    }),
    { numRuns: 300 },
  );
});

test('each escaping function lets no separator of its format through, and loses nothing that is plain', () => {
  fc.assert(
    fc.property(anyText, (text) => {
      for (const write of [cefHeader, cefValue, leefHeader, leefValue, sdParam, safeJson]) assertOneLine(write(text));
      assert.doesNotMatch(leefHeader(text), /\|/);
      assert.doesNotMatch(cefHeader(text).replaceAll(/\\./gs, ''), /[|\\]/);
      assert.doesNotMatch(cefValue(text).replaceAll(/\\./gs, ''), /[=\\]/);
      assert.doesNotMatch(leefValue(text).replaceAll(/\\./gs, ''), /[=|^\\]/);
      assert.doesNotMatch(sdParam(text).replaceAll(/\\./gs, ''), /["\]\\]/);
      assert.match(syslogWord(text, 20), /^[\x21-\x7e]{1,20}$/);
      assert.equal(JSON.parse(safeJson(text)), text);
      if (isPlain(text)) {
        assert.equal(sdParam(text).replaceAll(/\\(.)/gsu, '$1'), text);
        assert.equal(unescaped(cefValue(text)), text);
        assert.equal(unescaped(leefValue(text)), text);
      }
    }),
    { numRuns: 1000 },
  );
});

test('every OCSF class of the table has its schema among the test data', () => {
  for (const uid of [0, ...Object.keys(ocsfClasses)]) {
    assert.ok(existsSync(new URL(`ocsf-1.8.0/${uid}.json`, vectors)), `${uid}`);
  }
});

/** Read as what it is, as Latin-1, or by who takes over-long forms, it is one line, and its bytes are UTF-8. */
function assertOneLine(text: string): void {
  assert.ok(isPlain(text), JSON.stringify(text));
  const bytes = Buffer.from(text, 'utf8');
  assert.ok(isPlain(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)));
  assert.ok(bytes.every((byte) => byte >= 0x20 && byte !== 0x7f && byte !== 0xc0 && byte !== 0xc1));
}

test('a name with a lone surrogate is no name: the log refuses it, so no mapping ever has one', () => {
  for (const id of ['a\ud800', '\udc00b', '\udc00\ud800']) assert.throws(() => logins(1, id), /lone surrogate/);
});

/** A reader of CEF as the standard describes it, and nothing of ours. */
function parseCef(line: string): { head: string[]; fields: Record<string, string> } {
  const parts = line.split(/(?<=(?:^|[^\\])(?:\\\\)*)\|/);
  const head = parts.slice(0, 7);
  const extension = parts.slice(7).join('|');
  const marks = [...extension.matchAll(/(?:^| )([A-Za-z0-9]+)(?<!\\)=/g)];
  const fields: Record<string, string> = {};
  for (const [i, mark] of marks.entries()) {
    const end = marks[i + 1]?.index ?? extension.length;
    fields[mark[1]!] = unescaped(extension.slice(mark.index + mark[0].length, end));
  }
  return { head, fields };
}

function parseLeef(line: string): { fields: Record<string, string> } {
  const attributes = line.split('|').slice(6).join('|').split('^');
  return {
    fields: Object.fromEntries(
      attributes.map((each) => {
        const at = each.indexOf('=');
        return [each.slice(0, at), unescaped(each.slice(at + 1))];
      }),
    ),
  };
}

function unescaped(text: string): string {
  return text.replaceAll(/\\(x5e|.)/gsu, (_, c: string) => ({ n: '\n', r: '\r', t: '\t', x5e: '^' })[c] ?? c);
}

/** Which fields there are, without those of the bytes, whose form depends on the bytes. */
function withoutRaw(fields: Record<string, string>): readonly string[] {
  return Object.keys(fields).filter((name) => !name.startsWith('hfRaw'));
}

function lowered(fields: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => {
      const bare = name.replace(/^hf/, '');
      return [`${bare.charAt(0).toLowerCase()}${bare.slice(1)}`, value];
    }),
  );
}
