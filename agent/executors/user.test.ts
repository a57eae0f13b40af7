import assert from 'node:assert/strict';
import { access, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { executorConformance } from '../../test/conformance/executor.ts';
import { run, withDirectory } from '../../test/conformance/executor-fixture.ts';
import { makeMachine } from '../../test/fakes/machine.ts';
import { user } from './user.ts';

const uid = process.getuid?.() ?? 0;
const hash = '$y$j9T$abcdefghijklmnopqrstuv$0123456789abcdefghijklmnopqrstuvwxyzABCDEFG';

async function editFile(path: string, edit: (text: string) => string): Promise<void> {
  await writeFile(path, edit(await readFile(path, 'utf8')));
}

executorConformance({
  type: 'user',
  hasPath: false,
  isSequence: true,
  cases: [
    {
      title: 'new, with everything',
      declare: (root) => ({
        type: 'user',
        desired: {
          name: 'deploy',
          uid: uid + 2000,
          group: 'sudo',
          groups: ['adm'],
          home: '/home/deploy',
          shell: '/bin/bash',
          comment: 'Deployment',
          password_hash: hash,
        },
        root,
      }),
      prepare: makeMachine,
      first: 'created',
      async drift(root) {
        await editFile(join(root, 'etc/passwd'), (text) => text.replace(/^(deploy:.*):\/bin\/bash$/m, '$1:/bin/false'));
        await editFile(join(root, 'etc/shadow'), (text) => text.replace(/^deploy:[^:]*/m, 'deploy:!'));
        await editFile(join(root, 'etc/group'), (text) => text.replace('root:x:0:', 'root:x:0:deploy'));
      },
    },
    {
      title: 'whose home is gone',
      declare: (root) => ({ type: 'user', desired: { name: 'alice', home: '/home/alice' }, root }),
      async prepare(root) {
        await makeMachine(root);
        await rm(join(root, 'home/alice'), { recursive: true });
      },
      first: 'updated',
      drift: (root) => rm(join(root, 'home/alice'), { recursive: true }),
    },
    {
      title: 'absent, its home too',
      declare: (root) => ({
        type: 'user',
        desired: { name: 'alice', state: 'absent', home: '/home/alice', remove_home: true },
        root,
      }),
      async prepare(root) {
        await makeMachine(root);
        await writeFile(join(root, 'home/alice/notes'), 'mine');
      },
      first: 'removed',
      async drift(root) {
        const line = `alice:x:${uid}:0:Alice:/home/alice:/bin/sh\n`;
        await editFile(join(root, 'etc/passwd'), (text) => `${text}${line}`);
      },
    },
  ],
});

test('a group of the user’s own name that is there already becomes its primary group', async () => {
  await withDirectory(async (root) => {
    await makeMachine(root);
    await editFile(join(root, 'etc/group'), (text) => `${text}deploy:x:1234:\n`);
    const [outcome] = await run([{ type: 'user', desired: { name: 'deploy' }, root }]);
    assert.equal(outcome?.result, 'created', outcome?.reason);
    assert.match(await readFile(join(root, 'etc/passwd'), 'utf8'), /^deploy:x:\d+:1234:/m);
  });
});

test('a home directory goes only when it is the declared one', async () => {
  await withDirectory(async (root) => {
    await makeMachine(root);
    const absent = { name: 'alice', state: 'absent' };
    const [other] = await run([{ type: 'user', desired: { ...absent, home: '/srv', remove_home: true }, root }]);
    assert.equal(other?.result, 'failed');
    assert.match(other?.reason ?? '', /its home is "\/home\/alice", not "\/srv"/);
    await run([{ type: 'user', desired: absent, root }]);
    await access(join(root, 'home/alice'));
  });
});

test('a password is never in a report, and a weak hash is refused', async () => {
  await withDirectory(async (root) => {
    await makeMachine(root);
    const outcomes = await run([{ type: 'user', desired: { name: 'alice', password_hash: hash }, root }]);
    assert.equal(outcomes[0]?.reason, 'another password');
    assert.ok(!JSON.stringify(outcomes).includes(hash));
  });
  for (const weak of ['$1$salt$abcdef', 'abJnggxhB/yWI', 'secret', '', '$6$x\n']) {
    assert.equal(user.schema.safeParse({ name: 'alice', password_hash: weak }).success, false, weak);
  }
});
