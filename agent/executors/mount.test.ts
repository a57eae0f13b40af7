import assert from 'node:assert/strict';
import { readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { executorConformance } from '../../test/conformance/executor.ts';
import { run, withDirectory } from '../../test/conformance/executor-fixture.ts';
import { makeMachine } from '../../test/fakes/machine.ts';
import { editFstab, missingFlags, parseMountinfo } from '../platform/mounts.ts';

const table = (root: string) => join(root, 'proc/self/mountinfo');
const desired = { path: '/mnt/data', source: 'tmpfs', fstype: 'tmpfs', options: 'noexec,nosuid' };

executorConformance({
  type: 'mount',
  hasPath: true,
  isSequence: true,
  cases: [
    {
      title: 'mounted now and at boot',
      declare: (root) => ({ type: 'mount', desired, root }),
      prepare: makeMachine,
      first: 'created',
      async drift(root) {
        await writeFile(table(root), (await readFile(table(root), 'utf8')).replace('noexec,', ''));
        await writeFile(join(root, 'etc/fstab'), '# the system\nUUID=1234 / ext4 defaults 0 1\n');
      },
    },
    {
      title: 'absent',
      declare: (root) => ({ type: 'mount', desired: { path: '/mnt/data', state: 'absent' }, root }),
      async prepare(root) {
        await makeMachine(root);
        await run([{ type: 'mount', desired, root }]);
      },
      first: 'removed',
      async drift(root) {
        const line = '40 22 0:40 / /mnt/data rw - tmpfs tmpfs rw\n';
        await writeFile(table(root), `${await readFile(table(root), 'utf8')}${line}`);
      },
    },
  ],
});

test('fstab keeps what is somebody else’s, and paths with spaces', () => {
  const entry = { source: '//srv/a b', path: '/mnt/a b', type: 'cifs', options: 'ro', dump: 0, pass: 0 };
  const once = editFstab('# c\nUUID=1 / ext4 defaults 0 1', '/mnt/a b', entry);
  assert.equal(once, '# c\nUUID=1 / ext4 defaults 0 1\n//srv/a\\040b /mnt/a\\040b cifs ro 0 0\n');
  assert.equal(editFstab(once, '/mnt/a b', entry), once);
  const spaced = '//srv/a\\040b\t/mnt/a\\040b  cifs ro 0 0\n';
  assert.equal(editFstab(spaced, '/mnt/a b', entry), spaced);
  assert.equal(
    editFstab(`${spaced}${spaced}`, '/mnt/a b', { ...entry, options: 'rw' }),
    once.split('\n')[2]?.replace(' ro ', ' rw ').concat('\n'),
  );
  assert.equal(editFstab(once, '/mnt/a b', undefined), '# c\nUUID=1 / ext4 defaults 0 1\n');
});

test('a live mount is read with its flags, and the last one on a path counts', () => {
  const text = '1 0 8:1 / /a ro,relatime shared:1 - ext4 /dev/a rw\n2 0 0:5 / /a rw,noexec - tmpfs t rw,size=1k\n';
  const live = parseMountinfo(text).get('/a');
  assert.equal(live?.type, 'tmpfs');
  assert.deepEqual(live === undefined ? [] : missingFlags('rw,noexec,nosuid,size=2k', live), ['nosuid']);
  assert.deepEqual(live === undefined ? [] : missingFlags('exec', live), ['exec']);
});

test('a directory that is missing or a symlink is not mounted on', async () => {
  await withDirectory(async (root) => {
    await makeMachine(root);
    const [missing] = await run([{ type: 'mount', desired: { ...desired, path: '/mnt/none' }, root }]);
    assert.match(missing?.reason ?? '', /the directory "\/mnt\/none" does not exist/);
    await symlink('/etc', join(root, 'mnt/link'));
    const [link] = await run([{ type: 'mount', desired: { ...desired, path: '/mnt/link' }, root }]);
    assert.match(link?.reason ?? '', /is a symlink/);
    assert.ok(!(await readFile(join(root, 'etc/fstab'), 'utf8')).includes('/mnt/'));
  });
});
