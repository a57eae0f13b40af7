import assert from 'node:assert/strict';
import { readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { executorConformance } from '../../test/conformance/executor.ts';
import { run, withDirectory } from '../../test/conformance/executor-fixture.ts';

executorConformance({
  type: 'symlink',
  hasPath: true,
  cases: [
    {
      title: 'another target',
      declare: (directory) => ({
        type: 'symlink',
        desired: { path: join(directory, 'current'), target: 'releases/2' },
      }),
      prepare: (directory) => symlink('releases/1', join(directory, 'current')),
      first: 'updated',
      async drift(directory) {
        await rm(join(directory, 'current'));
        await symlink('releases/3', join(directory, 'current'));
      },
    },
    {
      title: 'none yet',
      declare: (directory) => ({ type: 'symlink', desired: { path: join(directory, 'current'), target: '/nowhere' } }),
      first: 'created',
      drift: (directory) => rm(join(directory, 'current')),
    },
    {
      title: 'absent',
      declare: (directory) => ({ type: 'symlink', desired: { path: join(directory, 'current'), state: 'absent' } }),
      prepare: (directory) => symlink('releases/1', join(directory, 'current')),
      first: 'removed',
      drift: (directory) => symlink('releases/1', join(directory, 'current')),
    },
  ],
});

test('a file in the place of a symlink is somebody’s data, and stays', async () => {
  await withDirectory(async (directory) => {
    const path = join(directory, 'current');
    await writeFile(path, 'data');
    for (const desired of [
      { path, target: 'x' },
      { path, state: 'absent' },
    ]) {
      const [outcome] = await run([{ type: 'symlink', desired }]);
      assert.equal(outcome?.result, 'failed');
      assert.match(outcome?.reason ?? '', /no symlink/);
    }
    assert.equal(await readFile(path, 'utf8'), 'data');
  });
});
