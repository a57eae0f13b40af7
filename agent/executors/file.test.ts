import assert from 'node:assert/strict';
import { chmod, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { executorConformance } from '../../test/conformance/executor.ts';
import { content, run, withDirectory } from '../../test/conformance/executor-fixture.ts';
import { file } from './file.ts';

executorConformance({
  type: 'file',
  hasPath: true,
  cases: [
    {
      title: 'another content',
      declare: (directory) => ({
        type: 'file',
        desired: { path: join(directory, 'motd'), content: content('welcome\n'), mode: '0640' },
      }),
      prepare: (directory) => writeFile(join(directory, 'motd'), 'go away\n', { mode: 0o600 }),
      first: 'updated',
      drift: (directory) => writeFile(join(directory, 'motd'), 'welcome?\n'),
    },
    {
      title: 'none yet',
      declare: (directory) => ({ type: 'file', desired: { path: join(directory, 'motd'), content: content('') } }),
      first: 'created',
      drift: (directory) => chmod(join(directory, 'motd'), 0o666),
    },
    {
      title: 'a symlink in its place',
      declare: (directory) => ({
        type: 'file',
        desired: { path: join(directory, 'motd'), content: content('mine\n'), mode: '0600' },
      }),
      async prepare(directory) {
        await writeFile(join(directory, 'other'), 'not mine\n', { mode: 0o644 });
        await symlink('other', join(directory, 'motd'));
      },
      first: 'updated',
      async drift(directory) {
        await rm(join(directory, 'motd'));
        await symlink('other', join(directory, 'motd'));
      },
    },
    {
      title: 'absent',
      declare: (directory) => ({ type: 'file', desired: { path: join(directory, 'motd'), state: 'absent' } }),
      prepare: (directory) => writeFile(join(directory, 'motd'), 'go away\n'),
      first: 'removed',
      drift: (directory) => writeFile(join(directory, 'motd'), 'again\n'),
    },
  ],
});

test('content that its validator refuses never takes the file’s place', async () => {
  await withDirectory(async (directory) => {
    const path = join(directory, 'conf with space');
    await writeFile(path, 'good old\n');
    const declare = (text: string, validate: string) => [
      { type: 'file', desired: { path, content: content(text), validate } },
    ];
    const [bad] = await run(declare('bad\n', 'grep -q good %s'));
    assert.equal(bad?.result, 'failed');
    assert.match(bad?.reason ?? '', /the new content of .* is not valid: grep -q good %s exited with 1/);
    assert.equal(await readFile(path, 'utf8'), 'good old\n');
    assert.deepEqual(await readdir(directory), ['conf with space']);
    // It sees the whole file, with its final mode.
    const [good] = await run(declare('good new\n', 'grep -q good %s && stat -c %a %s | grep -q 644'));
    assert.equal(good?.result, 'updated', good?.reason);
    assert.equal(await readFile(path, 'utf8'), 'good new\n');
  });
});

test('a validator must say where its file goes', () => {
  const good = { path: '/etc/x', content: { sha256: 'a'.repeat(64), bytes: 1 } };
  assert.equal(file.schema.safeParse({ ...good, validate: 'nginx -t -c %s' }).success, true);
  assert.equal(file.schema.safeParse({ ...good, validate: 'nginx -t' }).success, false);
  assert.equal(file.schema.safeParse({ ...good, validate: 'x "%s"' }).success, false);
});
