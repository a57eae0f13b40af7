import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { executorConformance } from '../../test/conformance/executor.ts';
import { makeMachine } from '../../test/fakes/machine.ts';
import { repositoryFiles } from '../platform/repositories.ts';
import { repository } from './repository.ts';

const key = '-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmDMEAAAA\n=AAAA\n-----END PGP PUBLIC KEY BLOCK-----\n';
const desired = {
  name: 'tools',
  uri: 'https://packages.example/debian',
  suites: ['bookworm'],
  components: ['main'],
  key,
};
const entry = (root: string) => join(root, 'etc/apt/sources.list.d/tools.sources');

executorConformance({
  type: 'repository',
  hasPath: true,
  isSequence: true,
  cases: [
    {
      title: 'with a key of its own',
      declare: (root) => ({ type: 'repository', desired, root }),
      prepare: makeMachine,
      first: 'created',
      drift: async (root) =>
        writeFile(entry(root), (await readFile(entry(root), 'utf8')).replace(/^Signed-By.*\n/m, 'Trusted: yes\n')),
    },
    {
      title: 'absent',
      declare: (root) => ({ type: 'repository', desired: { name: 'tools', state: 'absent' }, root }),
      async prepare(root) {
        await makeMachine(root);
        await mkdir(join(root, 'etc/apt/keyrings'));
        await writeFile(join(root, 'etc/apt/keyrings/tools.asc'), key);
        await writeFile(entry(root), 'Types: deb\n');
      },
      first: 'removed',
      drift: (root) => writeFile(entry(root), 'Types: deb\n'),
    },
  ],
});

test('there is no unsigned repository, and no field that could become another', () => {
  assert.equal(repository.schema.safeParse(desired).success, true);
  const { key: _key, ...unsigned } = desired;
  assert.equal(repository.schema.safeParse(unsigned).success, false);
  for (const bad of [
    { uri: 'https://user:secret@packages.example/' },
    { uri: 'https://packages.example/ [trusted=yes]' },
    { uri: 'https://packages.example/\nTrusted: yes' },
    { uri: 'ftp://packages.example/' },
    { name: '../tools' },
    { suites: ['a b'] },
    { components: ['main\nTrusted: yes'] },
    { key: 'AAAA' },
    { key_path: '/usr/share/keyrings/x.gpg' },
  ]) {
    assert.equal(repository.schema.safeParse({ ...desired, ...bad }).success, false, JSON.stringify(bad));
  }
});

test('each package manager gets what it reads', () => {
  const fields = { ...desired, state: 'present' as const };
  const text = (tool: Parameters<typeof repositoryFiles>[0]) =>
    (repositoryFiles(tool, fields) ?? []).map(({ path, text: content }) => `${path}\n${content}`);
  assert.match(
    text('apt')[1] ?? '',
    /\nTypes: deb\nURIs: https:\/\/packages\.example\/debian\nSuites: bookworm\nComponents: main\nSigned-By: \/etc\/apt\/keyrings\/tools\.asc\n$/,
  );
  assert.match(
    text('dnf')[1] ?? '',
    /^\/etc\/yum\.repos\.d\/tools\.repo\n[\s\S]*\nrepo_gpgcheck=1\ngpgkey=file:\/\/\/etc\/pki\/rpm-gpg\/RPM-GPG-KEY-tools\n$/,
  );
  assert.match(text('zypper')[1] ?? '', /^\/etc\/zypp\/repos\.d\/tools\.repo\n/);
  assert.match(text('apk')[1] ?? '', /^\/etc\/apk\/repositories\.d\/tools\.list\n/);
  assert.deepEqual(repositoryFiles('pacman', fields), undefined);
});
