import { chmod, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { executorConformance } from '../../test/conformance/executor.ts';
import { content } from '../../test/conformance/executor-fixture.ts';

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
