import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { appendEntry, emitPartial, emptyFrontier, frontierOf, type TileSink } from './frontier.ts';
import { BundleError, bundlePath, decodeBundle, decodeTile, encodeBundle, tilePath } from './tiles.ts';
import { rootOf } from './tree.ts';

const sha256 = (...parts: Uint8Array[]) => createHash('sha256').update(Buffer.concat(parts)).digest();

function publish(size: number): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  const sink: TileSink = {
    tile: (ref, bytes) => files.set(tilePath(ref), bytes),
    bundle: (ref, bytes) => files.set(bundlePath(ref), bytes),
  };
  const frontier = emptyFrontier();
  for (let i = 0; i < size; i++) appendEntry(frontier, entryOf(i), sink);
  emitPartial(frontier, sink);
  return files;
}

const entryOf = (i: number) => Buffer.from(`entry number ${i}`);

/** C2SP tlog-tiles, computed level by level from the definition and with the paths spelt out. */
function prescribed(size: number): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  const put = (prefix: string, index: number, width: number, bytes: Uint8Array) => {
    const digits = String(index)
      .padStart(Math.ceil(String(index).length / 3) * 3, '0')
      .match(/.../g)!;
    const path = digits.map((each, i) => (i < digits.length - 1 ? `x${each}` : each)).join('/');
    files.set(`${prefix}/${path}${width === 256 ? '' : `.p/${width}`}`, bytes);
  };
  for (let first = 0; first < size; first += 256) {
    const count = Math.min(256, size - first);
    const parts = Array.from({ length: count }, (_, i) => {
      const entry = entryOf(first + i);
      return Buffer.concat([Buffer.from([entry.length >> 8, entry.length & 255]), entry]);
    });
    put('tile/entries', first / 256, count, Buffer.concat(parts));
  }
  let hashes: Uint8Array[] = Array.from({ length: size }, (_, i) => sha256(Buffer.from([0]), entryOf(i)));
  for (let level = 0; hashes.length > 0; level++) {
    const above: Uint8Array[] = [];
    for (let first = 0; first < hashes.length; first += 256) {
      const tile = hashes.slice(first, first + 256);
      put(`tile/${level}`, first / 256, tile.length, Buffer.concat(tile));
      if (tile.length < 256) continue;
      let row: Uint8Array[] = tile;
      while (row.length > 1) {
        row = row.flatMap((left, i) => (i % 2 ? [] : [sha256(Buffer.from([1]), left, row[i + 1]!)]));
      }
      above.push(row[0]!);
    }
    hashes = above;
  }
  return files;
}

for (const size of [1, 255, 256, 257, 65_537]) {
  test(`R51 the files of a log of ${size} entries are byte for byte what tlog-tiles prescribes`, () => {
    const files = publish(size);
    const expected = prescribed(size);
    assert.deepEqual([...files.keys()].sort(), [...expected.keys()].sort());
    for (const [path, bytes] of expected) assert.ok(Buffer.from(files.get(path)!).equals(bytes), path);
  });
}

test('paths of the specification', () => {
  assert.equal(tilePath({ level: 0, index: 1_234_067, width: 256 }), 'tile/0/x001/x234/067');
  assert.equal(tilePath({ level: 3, index: 0, width: 1 }), 'tile/3/000.p/1');
  assert.equal(tilePath({ level: 1, index: 1000, width: 8 }), 'tile/1/x001/000.p/8');
  assert.equal(bundlePath({ index: 273, width: 256 }), 'tile/entries/273');
  assert.equal(bundlePath({ index: 70_000, width: 112 }), 'tile/entries/x070/000.p/112');
});

test('a frontier is found again in the partial tiles', () => {
  const files = publish(700);
  const hashesOf = (path: string, width: number) => decodeTile(files.get(path)!, width);
  const levels = [hashesOf('tile/0/002.p/188', 188), hashesOf('tile/1/000.p/2', 2)];
  const again = frontierOf(700, levels, []);
  const whole = emptyFrontier();
  const sink: TileSink = { tile: () => undefined, bundle: () => undefined };
  for (let i = 0; i < 700; i++) appendEntry(whole, entryOf(i), sink);
  assert.deepEqual(rootOf(again.range), rootOf(whole.range));
  appendEntry(again, entryOf(700), sink);
  appendEntry(whole, entryOf(700), sink);
  assert.deepEqual(rootOf(again.range), rootOf(whole.range));
});

test('a bundle that ends early or goes on is refused, and says where', () => {
  const bytes = encodeBundle([Buffer.from('ab'), Buffer.from('cd'), Buffer.alloc(0)]);
  assert.deepEqual(
    decodeBundle(bytes, 3, true).map((entry) => Buffer.from(entry).toString()),
    ['ab', 'cd', ''],
  );
  const failsAt = (input: Uint8Array, width: number, position: number) =>
    assert.throws(
      () => decodeBundle(input, width, true),
      (error) => error instanceof BundleError && error.position === position,
    );
  failsAt(bytes.subarray(0, 7), 3, 1);
  failsAt(bytes.subarray(0, 9), 3, 2);
  failsAt(bytes, 2, 2);
  failsAt(bytes, 4, 3);
  assert.equal(decodeBundle(bytes, 2, false).length, 2);
  assert.throws(() => decodeTile(Buffer.alloc(33), 1), { code: 'malformed' });
  assert.throws(() => decodeTile(Buffer.alloc(32), 2), { code: 'malformed' });
});
