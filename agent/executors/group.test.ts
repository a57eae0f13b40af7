import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { executorConformance } from '../../test/conformance/executor.ts';
import { makeMachine } from '../../test/fakes/machine.ts';

const edit = async (root: string, change: (text: string) => string) =>
  writeFile(join(root, 'etc/group'), change(await readFile(join(root, 'etc/group'), 'utf8')));

executorConformance({
  type: 'group',
  hasPath: false,
  isSequence: true,
  cases: [
    {
      title: 'new, with members',
      declare: (root) => ({ type: 'group', desired: { name: 'web', gid: 1500, members: ['old', 'alice'] }, root }),
      prepare: makeMachine,
      first: 'created',
      drift: (root) => edit(root, (text) => text.replace('1500:alice,old', '1501:alice,old,root')),
    },
    {
      title: 'with no members',
      declare: (root) => ({ type: 'group', desired: { name: 'sudo', members: [] }, root }),
      prepare: makeMachine,
      first: 'updated',
      drift: (root) => edit(root, (text) => text.replace('sudo:x:27:', 'sudo:x:27:alice')),
    },
    {
      title: 'absent',
      declare: (root) => ({ type: 'group', desired: { name: 'adm', state: 'absent' }, root }),
      prepare: makeMachine,
      first: 'removed',
      drift: (root) => edit(root, (text) => `${text}adm:x:4:\n`),
    },
  ],
});
