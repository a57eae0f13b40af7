import assert from 'node:assert/strict';
import { chmod, mkdir, readdir, rmdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { executorConformance } from '../../test/conformance/executor.ts';
import { run, withDirectory } from '../../test/conformance/executor-fixture.ts';

executorConformance({
  type: 'directory',
  hasPath: true,
  cases: [
    {
      title: 'none yet',
      declare: (directory) => ({ type: 'directory', desired: { path: join(directory, 'data'), mode: '0750' } }),
      first: 'created',
      drift: (directory) => rmdir(join(directory, 'data')),
    },
    {
      title: 'another mode',
      declare: (directory) => ({ type: 'directory', desired: { path: join(directory, 'data'), mode: '1777' } }),
      prepare: async (directory) => {
        await mkdir(join(directory, 'data'), { mode: 0o700 });
      },
      first: 'updated',
      drift: (directory) => chmod(join(directory, 'data'), 0o777),
    },
    {
      title: 'absent with all that is in it',
      declare: (directory) => ({
        type: 'directory',
        desired: { path: join(directory, 'data'), state: 'absent', recurse: true },
      }),
      prepare: fill,
      first: 'removed',
      drift: fill,
    },
  ],
});

async function fill(directory: string): Promise<void> {
  await mkdir(join(directory, 'data', 'deep'), { recursive: true });
  await mkdir(join(directory, 'kept'), { recursive: true });
  await writeFile(join(directory, 'data', 'deep', 'file'), 'x');
  await writeFile(join(directory, 'kept', 'file'), 'x');
  await symlink('../kept', join(directory, 'data', 'link')).catch(() => undefined);
}

test('removing a directory with all that is in it follows no symlink out of it', async () => {
  await withDirectory(async (directory) => {
    await fill(directory);
    const path = join(directory, 'data');
    const [outcome] = await run([{ type: 'directory', desired: { path, state: 'absent', recurse: true } }]);
    assert.equal(outcome?.result, 'removed');
    assert.deepEqual(await readdir(directory, { recursive: true }), ['kept', 'kept/file']);
  });
});

test('a directory that is not empty is not removed unless the resource says to', async () => {
  await withDirectory(async (directory) => {
    await fill(directory);
    const path = join(directory, 'data');
    const [outcome] = await run([{ type: 'directory', desired: { path, state: 'absent' } }]);
    assert.equal(outcome?.result, 'failed');
    assert.match(outcome?.reason ?? '', /the directory is not empty/);
    assert.deepEqual((await readdir(path)).sort(), ['deep', 'link']);
  });
});
