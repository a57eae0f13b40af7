import assert from 'node:assert/strict';
import { rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { executorConformance } from '../../test/conformance/executor.ts';
import { run, withDirectory } from '../../test/conformance/executor-fixture.ts';
import { makeMachine } from '../../test/fakes/machine.ts';
import { timezone } from './timezone.ts';

executorConformance({
  type: 'timezone',
  hasPath: true,
  isSequence: true,
  cases: [
    {
      title: 'another zone',
      declare: (root) => ({ type: 'timezone', desired: { name: 'Europe/Berlin' }, root }),
      prepare: makeMachine,
      first: 'updated',
      async drift(root) {
        await rm(join(root, 'etc/localtime'));
        await symlink('/usr/share/zoneinfo/Etc/UTC', join(root, 'etc/localtime'));
        await writeFile(join(root, 'etc/timezone'), 'Etc/UTC\n');
      },
    },
  ],
});

test('a zone that is not there, or no zone at all, is refused', async () => {
  assert.equal(timezone.schema.safeParse({ name: '../../etc/passwd' }).success, false);
  assert.equal(timezone.schema.safeParse({ name: '/etc/passwd' }).success, false);
  await withDirectory(async (root) => {
    await makeMachine(root);
    const [outcome] = await run([{ type: 'timezone', desired: { name: 'Europe/Atlantis' }, root }]);
    assert.match(outcome?.reason ?? '', /install the package "tzdata"/);
  });
});
