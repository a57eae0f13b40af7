import assert from 'node:assert/strict';
import { chmod, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { executorConformance } from '../../test/conformance/executor.ts';
import { bytesContent, run, withDirectory } from '../../test/conformance/executor-fixture.ts';
import { type Entry, tarOf, zipOf } from '../../test/fakes/archives.ts';
import { HostError } from '../host.ts';
import { markerName, membersOf } from '../platform/archives.ts';

const entries: readonly Entry[] = [
  { name: 'app/', type: '5', mode: 0o755 },
  { name: 'app/run', content: '#!/bin/sh\n', mode: 0o755 },
  { name: 'app/lib/data', content: 'data\n' },
];
const zipped = zipOf([
  { name: 'app/run', content: '#!/bin/sh\n', mode: 0o100755 },
  { name: 'app/lib/data', content: 'data\n' },
]);

const declare = (path: string, bytes: Uint8Array, more: object = {}) => ({
  type: 'archive',
  desired: { path, content: bytesContent(bytes), ...more },
});

executorConformance({
  type: 'archive',
  hasPath: true,
  isSequence: true,
  cases: [
    {
      title: 'a compressed tar',
      declare: (directory) => declare(directory, gzipSync(tarOf(entries))),
      first: 'created',
      async drift(directory) {
        await writeFile(join(directory, 'app/lib/data'), 'other\n');
        await chmod(join(directory, 'app/run'), 0o777);
      },
    },
    {
      title: 'a zip, over an earlier one',
      declare: (directory) => declare(directory, zipped, { strip: 1 }),
      prepare: async (directory) => {
        await run([
          declare(
            directory,
            tarOf([
              { name: 'gone/with', content: 'it' },
              { name: 'run', content: 'old' },
            ]),
          ),
        ]);
      },
      first: 'updated',
      drift: (directory) => writeFile(join(directory, 'run'), ''),
    },
    {
      title: 'absent',
      declare: (directory) => ({ type: 'archive', desired: { path: directory, state: 'absent' } }),
      async prepare(directory) {
        await run([declare(directory, tarOf(entries))]);
        await writeFile(join(directory, 'app/mine'), 'mine');
      },
      first: 'removed',
      drift: async (directory) => {
        await writeFile(join(directory, markerName), '{"v":1,"source":"x","isComplete":true,"members":[]}\n', {
          mode: 0o644,
        });
      },
    },
  ],
});

test('R40 a member that leads out, is absolute, or is no file refuses the whole archive', async () => {
  const good: Entry = { name: 'good', content: 'x' };
  const tars: readonly Entry[][] = [
    [good, { name: '../evil', content: 'x' }],
    [good, { name: 'a/../../evil', content: 'x' }],
    [good, { name: '/etc/evil', content: 'x' }],
    [good, { name: 'link', type: '2', link: '/etc' }],
    [good, { name: 'link', type: '1', link: '/etc/passwd' }],
    [good, { name: 'pipe', type: '6' }],
    [good, { name: 'device', type: '3' }],
    [good, { name: 'back\\slash', content: 'x' }],
    [good, { name: 'new\nline', content: 'x' }],
    [good, { name: 'good', content: 'y' }],
    [good, { name: 'good/below', content: 'y' }],
    [good, { name: markerName, content: 'y' }],
    [good, { name: 'x', type: 'x', content: '18 path=../evil!!\n' }, { name: 'ok', content: 'x' }],
    [good, { name: 'x', type: 'x', content: '16 path=../evil\n' }, { name: 'ok', content: 'x' }],
    [good, { name: '././@LongLink', type: 'L', content: '../evil\0' }, { name: 'ok', content: 'x' }],
  ];
  const zips = [
    zipOf([good, { name: '../evil', content: 'x' }]),
    zipOf([good, { name: '/evil', content: 'x' }]),
    zipOf([good, { name: 'link', content: '/etc', mode: 0o120777 }]),
    zipOf([good, { name: 'C:/evil', content: 'x' }]),
  ];
  for (const bytes of [...tars.map(tarOf), ...zips]) {
    await withDirectory(async (base) => {
      const path = join(base, 'inside');
      await mkdir(path, { mode: 0o755 });
      const [outcome] = await run([declare(path, bytes)]);
      assert.equal(outcome?.result, 'failed');
      assert.match(outcome?.reason ?? '', /^the archive is refused: /);
      assert.deepEqual(await readdir(path), []);
      assert.deepEqual(await readdir(base), ['inside']);
    });
  }
});

test('R40 a symlink in the place of a member’s directory is not followed', async () => {
  await withDirectory(async (base) => {
    const path = join(base, 'inside');
    await mkdir(path, { mode: 0o755 });
    await mkdir(join(base, 'victim'), { mode: 0o755 });
    await symlink(join(base, 'victim'), join(path, 'app'));
    const [outcome] = await run([declare(path, tarOf(entries))]);
    assert.equal(outcome?.result, 'failed');
    assert.deepEqual(await readdir(join(base, 'victim')), []);
  });
});

test('a mode that others could write by, or setuid, is not taken over', async () => {
  await withDirectory(async (path) => {
    await run([declare(path, tarOf([{ name: 'a', content: 'x', mode: 0o6777 }]))]);
    assert.equal((await stat(join(path, 'a'))).mode & 0o7777, 0o755);
  });
});

test('a marker that was changed by hand can’t lead out of the directory', async () => {
  await withDirectory(async (base) => {
    const path = join(base, 'inside');
    await mkdir(path, { mode: 0o755 });
    await writeFile(join(base, 'victim'), 'mine');
    const members = [{ path: '../victim', mode: 0o644, sha256: 'a'.repeat(64) }];
    await writeFile(join(path, markerName), JSON.stringify({ v: 1, source: 'x', isComplete: true, members }));
    await run([{ type: 'archive', desired: { path, state: 'absent' } }]);
    assert.equal(await readFile(join(base, 'victim'), 'utf8'), 'mine');
  });
});

test('whatever the bytes, an archive is read or refused with one kind of error', () => {
  const seeds = [tarOf(entries), gzipSync(tarOf(entries)), zipped];
  fc.assert(
    fc.property(
      fc.constantFrom(...seeds),
      fc.array(fc.tuple(fc.nat(3000), fc.nat(255)), { maxLength: 4 }),
      fc.nat(3000),
      (seed, changes, cut) => {
        const bytes = Buffer.from(seed.subarray(0, seed.length - (cut % seed.length)));
        for (const [at, value] of changes) bytes[at % bytes.length] = value;
        try {
          for (const { listed } of membersOf(bytes, undefined, 0))
            assert.ok(!listed.path.startsWith('/') && !listed.path.split('/').includes('..'));
        } catch (error) {
          assert.ok(error instanceof HostError, String(error));
        }
      },
    ),
    { numRuns: 300 },
  );
});
