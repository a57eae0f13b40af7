import assert from 'node:assert/strict';
import { readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { executorConformance } from '../../test/conformance/executor.ts';
import { run, withDirectory } from '../../test/conformance/executor-fixture.ts';
import { makeMachine } from '../../test/fakes/machine.ts';

const active = (root: string) => join(root, 'run/systemd/active/web.service');

executorConformance({
  type: 'service',
  hasPath: false,
  isSequence: true,
  cases: [
    {
      title: 'running and enabled',
      declare: (root) => ({ type: 'service', desired: { name: 'web', state: 'running', enabled: true }, root }),
      prepare: makeMachine,
      first: 'updated',
      async drift(root) {
        await rm(active(root));
        // So that the log of what was started is the same, whichever way the service came to run.
        await rm(join(root, 'run/systemd/log'));
      },
    },
    {
      title: 'stopped and masked',
      declare: (root) => ({ type: 'service', desired: { name: 'web.service', state: 'stopped', masked: true }, root }),
      async prepare(root) {
        await makeMachine(root);
        await writeFile(active(root), '');
      },
      first: 'updated',
      async drift(root) {
        await rm(join(root, 'etc/systemd/system/web.service'));
        await writeFile(active(root), '');
      },
    },
  ],
});

test('a notified service restarts once, a stopped one stays so', async () => {
  await withDirectory(async (root) => {
    await makeMachine(root);
    const desired = { name: 'web', state: 'running' };
    await run([{ type: 'service', desired, root }]);
    const notified = ['test:service/web'];
    const [outcome] = await run([{ type: 'service', desired, root }], { notified });
    assert.deepEqual([outcome?.result, outcome?.reason], ['updated', 'notified']);
    const reload = { ...desired, on_notify: 'reload' };
    await run([{ type: 'service', desired: reload, root }], { notified });
    const log = await readFile(join(root, 'run/systemd/log'), 'utf8');
    assert.equal(log, 'start web.service\nrestart web.service\nreload-or-restart web.service\n');
    await run([{ type: 'service', desired: { name: 'web', state: 'stopped' }, root }], { notified });
    assert.equal(await readFile(join(root, 'run/systemd/log'), 'utf8'), log);
  });
});

test('a definition that is newer on disk is read anew', async () => {
  await withDirectory(async (root) => {
    await makeMachine(root);
    await writeFile(join(root, 'run/systemd/stale'), '');
    const [outcome] = await run([{ type: 'service', desired: { name: 'web', enabled: false }, root }]);
    assert.equal(outcome?.reason, 'its definition on disk is newer');
  });
});

test('what can’t be is one clear failure', async () => {
  await withDirectory(async (root) => {
    await makeMachine(root);
    await symlink('/dev/null', join(root, 'etc/systemd/system/masked.service'));
    const reasons: [object, RegExp][] = [
      [{ name: 'nothing', state: 'running' }, /systemd knows no service "nothing"/],
      [{ name: 'static', enabled: true }, /can't be enabled: its unit has no \[Install\] section/],
      [{ name: 'once', state: 'running' }, /can't be kept running: it is a oneshot unit/],
      [{ name: 'masked', state: 'running' }, /is masked/],
    ];
    for (const [desired, reason] of reasons) {
      const [outcome] = await run([{ type: 'service', desired: { ...desired }, root }]);
      assert.equal(outcome?.result, 'failed');
      assert.match(outcome?.reason ?? '', reason);
    }
    const [outcome] = await run([{ type: 'service', desired: { name: 'nothing', state: 'stopped' }, root }]);
    assert.equal(outcome?.result, 'unchanged');
  });
});
