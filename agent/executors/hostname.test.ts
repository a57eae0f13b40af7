import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { executorConformance } from '../../test/conformance/executor.ts';
import { makeMachine } from '../../test/fakes/machine.ts';
import { hostname } from './hostname.ts';

executorConformance({
  type: 'hostname',
  hasPath: true,
  isSequence: true,
  cases: [
    {
      title: 'another name',
      declare: (root) => ({ type: 'hostname', desired: { name: 'web-1' }, root }),
      prepare: makeMachine,
      first: 'updated',
      drift: (root) => writeFile(join(root, 'proc/sys/kernel/hostname'), 'other\n'),
    },
  ],
});

test('only a host name is taken', () => {
  for (const name of ['', '-a', 'a_b', 'a..b', 'a b', 'a;b', 'x'.repeat(65), 'a\n']) {
    assert.equal(hostname.schema.safeParse({ name }).success, false, name);
  }
  assert.equal(hostname.schema.safeParse({ name: 'web-1.example.com' }).success, true);
});
