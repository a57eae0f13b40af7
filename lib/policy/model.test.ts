import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { day, noon, policyError } from '../../test/fakes/policy.ts';
import { utf8 } from '../crypto/encoding.ts';
import { canonicalize, type Json } from '../crypto/jcs.ts';
import {
  contentOf,
  formatContent,
  formatCrate,
  formatManifest,
  type Manifest,
  parseCrate,
  parseManifest,
} from './model.ts';
import { noPrevious, parseReference } from './names.ts';

const digest = 'ab'.repeat(32);
const manifest: Manifest = {
  fleet: 'demo',
  number: 2,
  previous: digest,
  created: noon,
  expires: noon + day,
  bindings: [
    { match: { name: 'web-*' }, crates: ['motd', 'nginx'] },
    { match: { labels: { role: 'db' } }, crates: ['motd'] },
  ],
  crates: [
    { name: 'motd', sha256: digest, blobs: [] },
    { name: 'nginx', sha256: 'cd'.repeat(32), blobs: ['01'.repeat(32), '02'.repeat(32)] },
  ],
};
const json = () => JSON.parse(Buffer.from(formatManifest(manifest)).toString());
const encode = (value: Json) => utf8(canonicalize(value));

test('a manifest is read back as it was written', () => {
  assert.deepEqual(parseManifest(formatManifest(manifest)), manifest);
});

const changes: readonly (readonly [string, (m: ReturnType<typeof json>) => void])[] = [
  ['another version', (m) => (m.v = 2)],
  ['no version', (m) => delete m.v],
  ['an unknown member', (m) => (m.extra = true)],
  ['an unknown member of a binding', (m) => (m.bindings[0].when = 'x')],
  ['an unknown member of a match', (m) => (m.bindings[0].match.regex = 'x')],
  ['an unknown member of a crate', (m) => (m.crates[0].url = 'x')],
  ['a match of nothing', (m) => (m.bindings[0].match = {})],
  ['a match of no labels', (m) => (m.bindings[1].match = { labels: {} })],
  ['a name that is no glob', (m) => (m.bindings[0].match.name = '[a-z]')],
  ['a label name out of its pattern', (m) => (m.bindings[1].match.labels = { 'a b': 'x' })],
  ['a label __proto__', (m) => (m.bindings[1].match.labels = JSON.parse('{"__proto__":"x"}'))],
  ['a binding of an unknown crate', (m) => m.bindings[0].crates.push('other')],
  ['a binding of a crate twice', (m) => m.bindings[0].crates.push('motd')],
  ['a binding of no crate', (m) => (m.bindings[0].crates = [])],
  ['number 0', (m) => (m.number = 0)],
  ['a number as text', (m) => (m.number = '2')],
  ['a number of eleven digits', (m) => (m.number = 10_000_000_000)],
  ['release 1 with a predecessor', (m) => (m.number = 1)],
  ['release 2 without one', (m) => (m.previous = noPrevious)],
  ['an upper-case digest', (m) => (m.previous = digest.toUpperCase())],
  ['a short digest', (m) => (m.crates[0].sha256 = 'ab')],
  ['a time without milliseconds', (m) => (m.created = '2030-01-01T12:00:00Z')],
  ['a day that does not exist', (m) => (m.created = '2030-02-30T12:00:00.000Z')],
  ['a time of 24 hours', (m) => (m.created = '2030-01-01T24:00:00.000Z')],
  ['an expiry before its creation', (m) => (m.expires = m.created)],
  ['crates out of order', (m) => m.crates.reverse()],
  ['a crate twice', (m) => m.crates.splice(1, 0, m.crates[0])],
  ['blobs out of order', (m) => m.crates[1].blobs.reverse()],
  ['a crate name with a slash', (m) => (m.crates[0].name = 'a/b')],
  ['a fleet in capitals', (m) => (m.fleet = 'Demo')],
];
for (const [what, change] of changes) {
  test(`a manifest with ${what} is malformed`, () => {
    const changed = json();
    change(changed);
    assert.throws(() => parseManifest(encode(changed)), policyError('malformed'));
  });
}

const resource = { type: 'file', id: '/a', desired: { path: '/a', content: { sha256: digest, bytes: 3 } } };

test('a crate is read back as it was written', () => {
  const crate = { crate: 'motd', resources: [{ ...resource, requires: ['directory//x', 'other:note/b'] }] };
  assert.deepEqual(parseCrate(formatCrate(crate)), crate);
  assert.deepEqual(contentOf(resource), { sha256: digest, bytes: 3 });
  assert.equal(contentOf({ ...resource, type: 'note' }), undefined);
});

for (const [what, crate] of [
  ['an unknown member', { v: 1, crate: 'motd', resources: [], x: {} }],
  ['no vars in a second form', { v: 1, crate: 'motd', resources: [], vars: {} }],
  ['a var of a bad name', { v: 1, crate: 'motd', resources: [], vars: { __proto__x: 1 } }],
  ['an empty condition', { v: 1, crate: 'motd', resources: [{ ...resource, when: '' }] }],
  [
    'both a template and content',
    { v: 1, crate: 'motd', resources: [{ ...resource, template: { sha256: digest, bytes: 3 } }] },
  ],
  ['an unknown member of a resource', { v: 1, crate: 'motd', resources: [{ ...resource, x: 'x' }] }],
  ['content that is text', { v: 1, crate: 'motd', resources: [{ ...resource, desired: { content: 'x' } }] }],
  [
    'content of a negative size',
    { v: 1, crate: 'motd', resources: [{ ...resource, desired: { content: { sha256: digest, bytes: -1 } } }] },
  ],
  ['an id with an escape sequence', { v: 1, crate: 'motd', resources: [{ ...resource, id: 'a\u001b[2J' }] }],
  ['an empty id', { v: 1, crate: 'motd', resources: [{ ...resource, id: '' }] }],
  ['a reference that is none', { v: 1, crate: 'motd', resources: [{ ...resource, requires: ['x'] }] }],
  ['an empty list of references', { v: 1, crate: 'motd', resources: [{ ...resource, requires: [] }] }],
  ['too many resources', { v: 1, crate: 'motd', resources: Array(2001).fill(resource) }],
  ['a bad name', { v: 1, crate: '../motd', resources: [] }],
] as const) {
  test(`a crate with ${what} is malformed`, () => {
    assert.throws(() => parseCrate(encode(crate as Json)), policyError('malformed'));
  });
}

test('one value has one encoding: white space, order and duplicates are malformed', () => {
  const text = Buffer.from(formatManifest(manifest)).toString();
  for (const other of [
    `${text}\n`,
    ` ${text}`,
    text.replace('"number":2', '"number":2.0'),
    text.replace('"v":1', '"v":1,"v":1'),
    `\ufeff${text}`,
  ]) {
    assert.throws(() => parseManifest(utf8(other)), policyError('malformed'));
  }
});

test('content is equal for releases that differ in number, times and chain alone', () => {
  const later = { ...manifest, number: 9, previous: '0f'.repeat(32), created: noon + 1, expires: noon + 2 * day };
  assert.equal(formatContent(later), formatContent(manifest));
  assert.notEqual(formatContent({ ...later, bindings: [] }), formatContent(manifest));
});

test('references are split at the type', () => {
  assert.deepEqual(parseReference('file//etc/a:b'), { key: 'file//etc/a:b' });
  assert.deepEqual(parseReference('nginx:file//etc/a'), { crate: 'nginx', key: 'file//etc/a' });
  for (const text of ['', 'file', 'file/', '/x', ':file/x', 'Nginx:file/x', 'a:b:file/x', 'file/\n'])
    assert.equal(parseReference(text), undefined, text);
});

test('any bytes give a manifest or crate, or a PolicyError', () => {
  const base = Buffer.from(formatManifest(manifest)).toString();
  const anything = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.json().map(utf8),
    fc.jsonValue().map((value) => Buffer.from(JSON.stringify(value))),
    fc
      .tuple(fc.nat(base.length), fc.nat(20), fc.string({ maxLength: 5 }))
      .map(([at, cut, add]) => Buffer.from(base.slice(0, at) + add + base.slice(at + cut))),
  );
  fc.assert(
    fc.property(anything, fc.constantFrom(parseManifest, parseCrate), (bytes, parse) => {
      try {
        parse(bytes);
      } catch (error) {
        policyError('malformed')(error);
      }
    }),
    { numRuns: 1500 },
  );
});
