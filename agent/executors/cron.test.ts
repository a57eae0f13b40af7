import assert from 'node:assert/strict';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { executorConformance } from '../../test/conformance/executor.ts';
import { makeMachine } from '../../test/fakes/machine.ts';
import { cron, format } from './cron.ts';

executorConformance({
  type: 'cron',
  hasPath: true,
  cases: [
    {
      title: 'a new job',
      declare: (root) => ({
        type: 'cron',
        desired: { name: 'backup', schedule: '15 3 * * *', command: 'backup --day $(date +%u)', user: 'alice' },
        root,
      }),
      prepare: makeMachine,
      first: 'created',
      drift: (root) => chmod(join(root, 'etc/cron.d/backup'), 0o666),
    },
    {
      title: 'absent',
      declare: (root) => ({ type: 'cron', desired: { name: 'backup', state: 'absent' }, root }),
      async prepare(root) {
        await makeMachine(root);
        await writeFile(join(root, 'etc/cron.d/backup'), 'x');
      },
      first: 'removed',
      drift: (root) => writeFile(join(root, 'etc/cron.d/backup'), 'x'),
    },
  ],
});

test('a job is one line for cron, whatever its command holds', () => {
  const parsed = cron.schema.parse({
    name: 'a',
    schedule: '@daily',
    command: 'date +%F\\%',
    environment: { PATH: '/bin', MAILTO: '' },
  });
  const [, ...lines] = format(parsed).split('\n');
  assert.deepEqual(lines, ['MAILTO=""', 'PATH="/bin"', '@daily root date +\\%F\\\\%', '']);
  const good = { name: 'a', schedule: '*/5 1-3 * JAN mon-fri', command: 'x' };
  assert.equal(cron.schema.safeParse(good).success, true);
  for (const bad of [
    { name: 'a.b' },
    { name: '../a' },
    { schedule: '* * * *' },
    { schedule: '* * * * *\n* * * * * root x' },
    { command: 'x\ny' },
    { user: 'root x' },
    { environment: { 'A=B': 'x' } },
    { environment: { A: 'x\ny' } },
  ]) {
    assert.equal(cron.schema.safeParse({ ...good, ...bad }).success, false, JSON.stringify(bad));
  }
});
