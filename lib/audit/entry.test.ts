import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { testEvent, testOrigin, testStart } from '../../test/fakes/audit-log.ts';
import { canonicalize, type Json } from '../crypto/jcs.ts';
import { bodyHash, chainHash, chainStart, laneHash, laneStart } from './chain.ts';
import { buildEntry, type EntryPlace, maxEntryBytes, parseEntry, parseEvent } from './entry.ts';
import { scanEntry } from './entry-scan.ts';
import { nothingSeen } from './head.ts';
import type { AuditEvent } from './port.ts';

const place: EntryPlace = {
  ...{ log: testOrigin, lane: 'w-0', n: 7, prev: 'a'.repeat(64), seen: nothingSeen, time: testStart },
};
const build = (event: AuditEvent = testEvent) => buildEntry(parseEvent(event, '0123456789abcdef'), place);
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString();

test('an entry, byte for byte', () => {
  assert.equal(
    text(build()),
    '{"actor":{"auth":"local-admin","id":"local-admin","kind":"local-admin"},"detail":{},"lane":"w-0",' +
      '"log":"holdfast.local/test","n":7,"object":{"id":"a1","kind":"token"},' +
      '"op":{"code":"HF0101","id":"0123456789abcdef","phase":"done","type":"token.cancel"},"outcome":"success",' +
      `"prev":"${'a'.repeat(64)}","seen":{"root":"${nothingSeen.root}","size":0},"ts":"2026-01-01T00:00:00.000Z","v":1}`,
  );
});

test('the chains are the ASCII formulas, byte for byte', () => {
  // Computed with sha256sum.
  const body = bodyHash(Buffer.from('x'));
  assert.equal(body, '2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881');
  assert.equal(chainStart('o'), bodyHash(Buffer.from('holdfast/chain/v1|o')));
  assert.equal(laneStart('o', 'l'), bodyHash(Buffer.from('holdfast/lane/v1|o|l')));
  assert.equal(chainHash('o', 3, body, 'p'), bodyHash(Buffer.from(`holdfast/chain/v1|o|3|${body}|p`)));
  assert.equal(laneHash('o', 'l', 3, body, 'p'), bodyHash(Buffer.from(`holdfast/lane/v1|o|l|3|${body}|p`)));
});

test('what is built is what RFC 8785 makes of it, and parses', () => {
  const string = fc.string({ unit: 'binary', minLength: 1, maxLength: 60 }).filter((s) => s.isWellFormed());
  const labels = fc.dictionary(fc.string({ maxLength: 20 }), string, { maxKeys: 5 });
  const role = fc.constantFrom('admin', 'viewer', undefined);
  fc.assert(
    fc.property(string, string, labels, role, (id, auth, map, given) => {
      const actor = { id, kind: 'user' as const, auth, ...(given !== undefined && { role: given as 'admin' }) };
      const detail = { expires: '2026-01-01T00:00:00.000Z', labels: map };
      const bytes = build({ ...testEvent, type: 'token.create', actor, object: { kind: 'token', id }, detail });
      assert.equal(canonicalize(JSON.parse(text(bytes)) as Json), text(bytes));
      const entry = parseEntry(bytes);
      assert.equal(entry.actor.id, id);
      assert.deepEqual(JSON.parse(JSON.stringify(entry.detail)), JSON.parse(JSON.stringify(detail)));
    }),
    { numRuns: 200 },
  );
});

const refusedEvents: readonly [string, Partial<AuditEvent> | { type: string }][] = [
  ['an unregistered type', { type: 'token.steal' }],
  ['a type from the prototype', { type: 'toString' }],
  ['a detail that the schema does not have', { detail: { secret: 'x' } }],
  ['a detail of the wrong kind', { type: 'node.renew', detail: { serial: 5, expires: 'x' } }],
  ['a string over its cap', { type: 'node.revoke', detail: { reason: 'x'.repeat(201) } }],
  ['a fraction', { type: 'log.gap', detail: { type: 'x', count: 1.5 } }],
  ['a denial in a stranger’s words', { type: 'policy.refuse', detail: { reason: 'Bobby Tables' } }],
  ['an empty actor', { actor: { id: '', kind: 'user', auth: 'basic' } }],
  ['a long actor', { actor: { id: 'x'.repeat(513), kind: 'user', auth: 'basic' } }],
  ['an actor of no kind', { actor: { id: 'x', kind: 'robot' as 'user', auth: 'basic' } }],
  [
    'an actor with more to say',
    { actor: { id: 'x', kind: 'user', auth: 'basic', password: 'x' } as AuditEvent['actor'] },
  ],
  ['a lone surrogate', { object: { kind: 'token', id: '\ud800' } }],
  ['a long object', { object: { kind: 'token', id: 'x'.repeat(513) } }],
  ['an outcome of its own', { outcome: 'maybe' as 'success' }],
];
for (const [name, change] of refusedEvents) {
  test(`an event is refused: ${name}`, () => {
    assert.throws(() => build({ ...testEvent, ...change } as AuditEvent), { name: 'AuditError', code: 'invalid' });
  });
}

test('the message of a refused event does not repeat a value', () => {
  const event = { ...testEvent, type: 'node.revoke', detail: { reason: 'hunter2'.repeat(50) } } as const;
  assert.throws(
    () => build(event),
    (error: Error) => !error.message.includes('hunter2') && error.message.includes('reason'),
  );
});

const edits: readonly [string, (entry: Record<string, unknown>) => void][] = [
  ['null', (e) => Object.assign(e, { detail: { x: null } })],
  ['a fraction', (e) => Object.assign(e, { detail: { x: 0.5 } })],
  ['a number beyond 2^53', (e) => Object.assign(e, { detail: { x: 2 ** 53 } })],
  ['depth over 8', (e) => Object.assign(e, { detail: { a: { a: { a: { a: { a: { a: { a: {} } } } } } } } })],
  ['a member more', (e) => Object.assign(e, { z: 1 })],
  ['a member less', (e) => delete e['seen']],
  ['another version', (e) => Object.assign(e, { v: 2 })],
  ['a negative number', (e) => Object.assign(e, { n: -1 })],
  ['an upper-case hash', (e) => Object.assign(e, { prev: 'A'.repeat(64) })],
  ['the 31st of February', (e) => Object.assign(e, { ts: '2026-02-31T00:00:00.000Z' })],
  ['the 25th hour', (e) => Object.assign(e, { ts: '2026-02-01T25:00:00.000Z' })],
  ['a time with an offset', (e) => Object.assign(e, { ts: '2026-02-01T00:00:00.000+00:00' })],
  ['a lane that is a path', (e) => Object.assign(e, { lane: '../x' })],
  ['a bad operation id', (e) => Object.assign(e, { op: { ...(e['op'] as object), id: 'xyz' } })],
  ['an unknown phase', (e) => Object.assign(e, { op: { ...(e['op'] as object), phase: 'later' } })],
];
for (const [name, change] of edits) {
  test(`an entry is refused: ${name}`, () => {
    const entry = JSON.parse(text(build()));
    change(entry);
    assert.throws(() => parseEntry(Buffer.from(canonicalize(entry))), { name: 'AuditError', code: 'malformed' });
  });
}

const spellings: readonly [string, (text: string) => string][] = [
  ['white space', (t) => t.replace(':{}', ': {}')],
  ['a line feed at the end', (t) => `${t}\n`],
  ['a byte order mark', (t) => `\ufeff${t}`],
  ['a member twice', (t) => t.replace('"n":7', '"n":8,"n":7')],
  ['members out of order', (t) => t.replace('"n":7,', '').replace('"v":1', '"v":1,"n":7')],
  ['an escape that is not needed', (t) => t.replace('a1', '\\u00611')],
  ['a lone surrogate', (t) => t.replace('a1', '\\ud800')],
  ['a number spelt otherwise', (t) => t.replace('"n":7', '"n":7.0')],
  ['minus zero', (t) => t.replace('"detail":{}', '"detail":{"x":-0}')],
  ['nothing', () => ''],
  ['an array', () => '[]'],
  ['brackets without end', () => '['.repeat(8000)],
];
for (const [name, change] of spellings) {
  test(`another spelling is refused: ${name}`, () => {
    assert.throws(() => parseEntry(Buffer.from(change(text(build())))), { name: 'AuditError', code: 'malformed' });
  });
}

test('bytes that are not UTF-8, and too many, are refused', () => {
  assert.throws(() => parseEntry(Buffer.from([0x22, 0xff, 0x22])), { code: 'malformed' });
  assert.throws(() => parseEntry(Buffer.alloc(maxEntryBytes + 1, 0x20)), { code: 'malformed' });
});

test('no bytes make the parser throw anything but its own error', () => {
  const good = build();
  fc.assert(
    fc.property(fc.nat(good.length - 1), fc.uint8Array({ maxLength: 6 }), fc.nat(4), (at, insert, drop) => {
      const bytes = Buffer.concat([good.subarray(0, at), insert, good.subarray(at + drop)]);
      try {
        assert.equal(canonicalize(parseEntry(bytes) as unknown as Json), bytes.toString());
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'malformed');
      }
    }),
    { numRuns: 500 },
  );
});

test('R54 the fast road accepts nothing that the parser refuses, and reads the same', () => {
  const scan = (text: string) => scanEntry(text, (detail) => assertProfile(detail));
  const good = canonicalize({
    ...{ v: 1, log: 'holdfast.local/test', lane: 'w-0', n: 7, prev: 'a'.repeat(64), outcome: 'success' },
    ...{ seen: { size: 3, root: 'b'.repeat(64) }, ts: '2026-01-28T00:00:00.000Z' },
    op: { id: '0123456789abcdef', code: 'HF0101', type: 'token.cancel', phase: 'done' },
    actor: { id: 'local-admin', kind: 'local-admin', auth: 'local-admin', role: 'admin' },
    object: { kind: 'token', id: 'a1' },
    detail: { a: [1, 'x", "lane":"y'], b: { c: true } },
  });
  assert.deepEqual(scan(good), JSON.parse(good));
  let accepted = 0;
  fc.assert(
    fc.property(
      fc.nat(good.length - 1),
      fc.nat(3),
      fc.oneof(
        fc.constantFrom('"', '\\', '}', '{', ',', '0', '-', ' ', 'é', '\u0000', ':1', '"lane":"x"'),
        fc.string(),
      ),
      (at, drop, put) => {
        const text = good.slice(0, at) + put + good.slice(at + drop);
        const entry = scan(text);
        if (entry === undefined) return;
        accepted += 1;
        assert.equal(canonicalize(entry as unknown as Json), text);
        assert.deepEqual(entry, JSON.parse(text));
        parseSlowly(text);
      },
    ),
    { numRuns: 3000, seed: 1 },
  );
  assert.ok(accepted > 50, `${accepted} accepted`);
});

/** Through the parser, whatever the fast road says: an escape in a name that it doesn't take changes no meaning. */
function parseSlowly(text: string): void {
  const entry = JSON.parse(text);
  const bytes = Buffer.from(canonicalize({ ...entry, object: { ...entry.object, id: `${entry.object.id}\u00e9` } }));
  if (entry.object.id.length < 512) parseEntry(bytes);
}

function assertProfile(detail: Json): void {
  if (typeof detail === 'number') assert.ok(Number.isSafeInteger(detail) && !Object.is(detail, -0));
  else if (typeof detail === 'object') {
    assert.ok(detail !== null);
    for (const member of Object.values(detail)) assertProfile(member);
  }
}
