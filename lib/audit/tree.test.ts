import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  appendLeafHash,
  consistencyProof,
  emptyRange,
  emptyRoot,
  inclusionProof,
  leafHash,
  rangeLength,
  rootOf,
  verifyConsistency,
  verifyInclusion,
} from './tree.ts';

const hex = (text: string) => Buffer.from(text, 'hex');
const sha256 = (...parts: Uint8Array[]) => createHash('sha256').update(Buffer.concat(parts)).digest();

// Vectors of transparency-dev/merkle (proof/verify_test.go), which are those of the CT reference implementation.
const leaves = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f'].map(
  hex,
);
const roots = [
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
].map(hex);
const inclusions: [leaf: number, size: number, proof: string[]][] = [
  [1, 1, []],
  [
    1,
    8,
    [
      '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
      '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4',
    ],
  ],
  [
    6,
    8,
    [
      'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
      'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
      'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
    ],
  ],
  [3, 3, ['fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125']],
  [
    2,
    5,
    [
      '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
      'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
    ],
  ],
];
const consistencies: [first: number, second: number, proof: string[]][] = [
  [1, 1, []],
  [1, 8, inclusions[1]![2]],
  [
    6,
    8,
    [
      '0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a',
      'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
      'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
    ],
  ],
  [
    2,
    5,
    [
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
      'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
    ],
  ],
  [
    6,
    7,
    [
      '0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a',
      'b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f',
      'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
    ],
  ],
];

/** RFC 9162 §2.1.1, read off the page. */
function naiveRoot(entries: readonly Uint8Array[]): Uint8Array {
  if (entries.length === 0) return sha256();
  if (entries.length === 1) return sha256(hex('00'), entries[0]!);
  let k = 1;
  while (k * 2 < entries.length) k *= 2;
  return sha256(hex('01'), naiveRoot(entries.slice(0, k)), naiveRoot(entries.slice(k)));
}

const readerOf = (entries: readonly Uint8Array[]) => async (level: number, index: number) =>
  naiveRoot(entries.slice(index * 2 ** level, (index + 1) * 2 ** level));

test('published roots of 1 to 8 leaves', () => {
  const range = emptyRange();
  assert.deepEqual(rootOf(range), emptyRoot);
  for (const [i, leaf] of leaves.entries()) {
    appendLeafHash(range, leafHash(leaf));
    assert.deepEqual(rootOf(range), roots[i]);
    assert.equal(range.hashes.length, rangeLength(range.size));
  }
});

test('published inclusion proofs are made and verify; every mutation of them is refused', async () => {
  for (const [leaf, size, published] of inclusions) {
    const proof = published.map(hex);
    const index = leaf - 1;
    assert.deepEqual(await inclusionProof(readerOf(leaves), index, size), proof);
    const root = roots[size - 1]!;
    const hash = leafHash(leaves[index]!);
    verifyInclusion(hash, index, size, proof, root);
    const refused = (...args: Parameters<typeof verifyInclusion>) =>
      assert.throws(() => verifyInclusion(...args), { name: 'AuditError', code: 'not_authentic' });
    refused(hash, index - 1, size, proof, root);
    refused(hash, index + 1, size, proof, root);
    refused(hash, index ^ 2, size, proof, root);
    refused(hash, index, size * 2, proof, root);
    refused(hash, index, Math.floor(size / 2), proof, root);
    refused(sha256(hash), index, size, proof, root);
    refused(Buffer.from('wrong'), index, size, proof, root);
    refused(hash, index, size, proof, emptyRoot);
    refused(hash, index, size, [...proof, root], root);
    refused(hash, index, size, [...proof, Buffer.alloc(0)], root);
    refused(hash, index, size, [root, ...proof], root);
    if (proof.length > 0) refused(hash, index, size, proof.slice(0, -1), root);
    for (const i of proof.keys()) {
      const wrong = proof.map((each) => Buffer.from(each));
      wrong[i]![0]! ^= 8;
      refused(hash, index, size, wrong, root);
    }
  }
});

test('published consistency proofs are made and verify; every mutation of them is refused', async () => {
  for (const [first, second, published] of consistencies) {
    const proof = published.map(hex);
    assert.deepEqual(await consistencyProof(readerOf(leaves), first, second), proof);
    const one = { size: first, root: roots[first - 1]! };
    const two = { size: second, root: roots[second - 1]! };
    verifyConsistency(one, two, proof);
    if (proof.length === 0) continue;
    const refused = (...args: Parameters<typeof verifyConsistency>) =>
      assert.throws(() => verifyConsistency(...args), { name: 'AuditError', code: 'not_authentic' });
    if (first > 1) refused({ ...one, size: first - 1 }, two, proof);
    refused({ ...one, size: first + 1 }, two, proof);
    refused(one, { ...two, size: second * 2 }, proof);
    refused(one, { ...two, size: Math.floor(second / 2) }, proof);
    refused({ ...one, root: two.root }, { ...two, root: one.root }, proof);
    refused({ ...one, root: Buffer.from('wrong') }, two, proof);
    refused(one, { ...two, root: Buffer.from('wrong') }, proof);
    refused(one, two, []);
    refused(one, two, [...proof, one.root]);
    refused(one, two, [one.root, ...proof]);
    refused(one, two, [proof[0]!, ...proof]);
    refused(one, two, proof.slice(0, -1));
    for (const i of proof.keys()) {
      const wrong = proof.map((each) => Buffer.from(each));
      wrong[i]![0]! ^= 16;
      refused(one, two, wrong);
    }
  }
});

test('two roots of one size are never consistent, and history does not run backwards', () => {
  const [one, two] = [roots[0]!, roots[1]!];
  assert.throws(() => verifyConsistency({ size: 1, root: one }, { size: 1, root: two }, []), { code: 'not_authentic' });
  assert.throws(() => verifyConsistency({ size: 2, root: two }, { size: 1, root: one }, []), { code: 'not_authentic' });
  assert.throws(() => verifyConsistency({ size: 0, root: emptyRoot }, { size: 1, root: one }, [one]), {
    code: 'not_authentic',
  });
});

test('roots and proofs of any tree are those of the definition', async () => {
  const shape = fc.tuple(fc.integer({ min: 1, max: 70 }), fc.nat(), fc.nat());
  await fc.assert(
    fc.asyncProperty(shape, async ([size, a, b]) => {
      const entries = Array.from({ length: size }, (_, i) => Buffer.from(`entry ${i}`));
      const read = readerOf(entries);
      const range = emptyRange();
      for (const entry of entries) appendLeafHash(range, leafHash(entry));
      const root = naiveRoot(entries);
      assert.deepEqual(rootOf(range), root);
      const index = a % size;
      verifyInclusion(leafHash(entries[index]!), index, size, await inclusionProof(read, index, size), root);
      const first = 1 + (b % size);
      const old = { size: first, root: naiveRoot(entries.slice(0, first)) };
      verifyConsistency(old, { size, root }, await consistencyProof(read, first, size));
    }),
    { numRuns: 60 },
  );
});
