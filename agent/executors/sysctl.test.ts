import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { executorConformance } from '../../test/conformance/executor.ts';
import { run, withDirectory } from '../../test/conformance/executor-fixture.ts';
import { makeMachine } from '../../test/fakes/machine.ts';
import { sysctl } from './sysctl.ts';

executorConformance({
  type: 'sysctl',
  hasPath: true,
  isSequence: true,
  cases: [
    {
      title: 'a live value and the next boot',
      declare: (root) => ({ type: 'sysctl', desired: { key: 'net.ipv4.ip_forward', value: 1 }, root }),
      prepare: makeMachine,
      first: 'created',
      drift: (root) => writeFile(join(root, 'proc/sys/net/ipv4/ip_forward'), '0\n'),
    },
    {
      title: 'of several numbers',
      declare: (root) => ({ type: 'sysctl', desired: { key: 'net/ipv4/tcp_rmem', value: '4096 87380 6291456' }, root }),
      prepare: makeMachine,
      first: 'created',
      drift: (root) => writeFile(join(root, 'etc/sysctl.d/90-holdfast-net-ipv4-tcp_rmem.conf'), '# nothing\n'),
    },
    {
      title: 'absent',
      declare: (root) => ({ type: 'sysctl', desired: { key: 'net.ipv4.ip_forward', state: 'absent' }, root }),
      async prepare(root) {
        await makeMachine(root);
        await writeFile(join(root, 'etc/sysctl.d/90-holdfast-net-ipv4-ip_forward.conf'), 'x');
      },
      first: 'removed',
      drift: (root) => writeFile(join(root, 'etc/sysctl.d/90-holdfast-net-ipv4-ip_forward.conf'), 'x'),
    },
  ],
});

test('a key stays inside /proc/sys, and one that the kernel lacks is one clear failure', async () => {
  for (const key of ['a', '../x/y', 'a..b', 'a/../b', 'a b.c', '-w.x', 'a.b\n']) {
    assert.equal(sysctl.schema.safeParse({ key, value: 1 }).success, false, key);
  }
  assert.equal(sysctl.id(sysctl.schema.parse({ key: 'net.ipv4.ip_forward', value: 1 })), 'net/ipv4/ip_forward');
  const dotted = sysctl.schema.parse({ key: 'net/ipv4/conf/eth0:1/forwarding', value: 1 });
  assert.equal(sysctl.id(dotted), 'net/ipv4/conf/eth0:1/forwarding');
  await withDirectory(async (root) => {
    await makeMachine(root);
    const [outcome] = await run([{ type: 'sysctl', desired: { key: 'net.no.such', value: 1 }, root }]);
    assert.match(outcome?.reason ?? '', /this kernel has no parameter "net.no.such"/);
  });
});
