import assert from 'node:assert/strict';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { executorConformance } from '../../test/conformance/executor.ts';
import { run, withDirectory } from '../../test/conformance/executor-fixture.ts';
import { makeMachine } from '../../test/fakes/machine.ts';
import { packageExecutor } from './package.ts';

const statusOf = (root: string) => join(root, 'var/lib/dpkg/status');

executorConformance({
  type: 'package',
  hasPath: false,
  isSequence: true,
  cases: [
    {
      title: 'installed, though the index is too old to know it',
      declare: (root) => ({ type: 'package', desired: { name: 'nginx' }, root }),
      prepare: makeMachine,
      first: 'created',
      drift: async (root) =>
        writeFile(statusOf(root), (await readFile(statusOf(root), 'utf8')).replace(/Package: nginx\n[\s\S]*?\n\n/, '')),
    },
    {
      title: 'at another version',
      declare: (root) => ({ type: 'package', desired: { name: 'old-tool', version: '2.0' }, root }),
      async prepare(root) {
        await makeMachine(root);
        await writeFile(join(root, 'var/lib/apt/index'), 'old-tool 1.0\nold-tool 2.0\n');
      },
      first: 'updated',
      drift: async (root) => writeFile(statusOf(root), (await readFile(statusOf(root), 'utf8')).replace('2.0', '1.0')),
    },
    {
      title: 'left half configured by a kill',
      declare: (root) => ({ type: 'package', desired: { name: 'old-tool' }, root }),
      async prepare(root) {
        await makeMachine(root);
        const text = await readFile(statusOf(root), 'utf8');
        await writeFile(
          statusOf(root),
          text.replace(/(Package: old-tool\nStatus: install ok )installed/, '$1half-configured'),
        );
      },
      first: 'updated',
      drift: async (root) =>
        writeFile(
          statusOf(root),
          (await readFile(statusOf(root), 'utf8'))
            .replace('install ok installed', 'install ok unpacked')
            .replace(/(Package: old-tool\nStatus: install ok )installed/, '$1unpacked'),
        ),
    },
    {
      title: 'removed',
      declare: (root) => ({ type: 'package', desired: { name: 'old-tool', state: 'absent' }, root }),
      prepare: makeMachine,
      first: 'removed',
      drift: async (root) =>
        writeFile(
          statusOf(root),
          `${await readFile(statusOf(root), 'utf8')}Package: old-tool\nStatus: install ok installed\nArchitecture: all\nVersion: 1.0\n\n`,
        ),
    },
  ],
});

test('a removal that would take others along is refused, and removes nothing', async () => {
  await withDirectory(async (root) => {
    await makeMachine(root);
    const before = await readFile(statusOf(root), 'utf8');
    const [outcome] = await run([{ type: 'package', desired: { name: 'common', state: 'absent' }, root }]);
    assert.equal(outcome?.result, 'failed');
    assert.match(outcome?.reason ?? '', /would also remove needs-common/);
    assert.equal(await readFile(statusOf(root), 'utf8'), before);
  });
});

test('a package that no index has failed, with what the tool said', async () => {
  await withDirectory(async (root) => {
    await makeMachine(root);
    const [unknown] = await run([{ type: 'package', desired: { name: 'no-such' }, root }]);
    assert.match(unknown?.reason ?? '', /apt-get exited with 100: E: Unable to locate package no-such/);
    await rm(join(root, 'srv/archive'));
    const [offline] = await run([{ type: 'package', desired: { name: 'no-such' }, root }]);
    assert.match(offline?.reason ?? '', /Unable to locate package no-such/);
  });
});

test('a name that the tool would read as something else is refused', async () => {
  for (const name of ['-y', 'a b', '../x', 'x;y', '', 'x\n']) {
    assert.equal(packageExecutor.schema.safeParse({ name }).success, false, JSON.stringify(name));
  }
  await withDirectory(async (root) => {
    await makeMachine(root);
    // "old-tool-" tells apt-get to remove old-tool.
    const [outcome] = await run([{ type: 'package', desired: { name: 'old-tool-' }, root }]);
    assert.match(outcome?.reason ?? '', /apt would not read "old-tool-" as a name/);
  });
});
