/**
 * Inside the throw-away root: protected files under every name that a machine gives them, with real bind mounts, hard
 * links and symlinks. No resource type gets at them, and where the guard is not asked by that name the system is.
 */
import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { allOf, protectTrees, systemTrees } from '../../agent/guard.ts';
import { protectByRules } from '../../agent/rules-guard.ts';
import { bytesContent, content, type Declared, run } from '../conformance/executor-fixture.ts';
import { tarOf } from '../fakes/archives.ts';

type Shell = (script: string) => string;

const place = '/srv/tricks';
const kept = '/etc/shadow';
const sealed = '/etc/security/opasswd';

const setUp = `
umask 022; touch /etc/security/opasswd; mkdir -p ${place}/etc ${place}/again ${place}/root ${place}/out ${place}/plain; cd ${place}
mount --bind /etc ${place}/etc
mount --bind ${place}/etc ${place}/again
mount --bind / ${place}/root
touch one && mount --bind ${kept} one
ln ${kept} hard
ln -s /etc link; ln -s link chain; ln -s ../../etc relative; ln -s ${kept} soft
`;

/** How the file of /etc may be called. */
const names: readonly ((file: string) => string)[] = [
  (file) => `/etc/${file}`,
  (file) => `/etc/../etc/${file}`,
  (file) => `//etc///${file}`,
  (file) => `/etc/./${file}`,
  (file) => `/etc/${file}/`,
  (file) => `/etc/${file}/.`,
  (file) => `/srv/../etc/${file}`,
  (file) => `/proc/self/root/etc/${file}`,
  (file) => `/proc/1/root/etc/${file}`,
  (file) => `/proc/self/cwd/../../../../../../../etc/${file}`,
  (file) => `${place}/link/${file}`,
  (file) => `${place}/chain/${file}`,
  (file) => `${place}/relative/${file}`,
  (file) => `${place}/link/../etc/${file}`,
  (file) => `${place}/etc/${file}`,
  (file) => `${place}/again/${file}`,
  (file) => `${place}/again/../again/./${file}`,
  (file) => `${place}/root/etc/${file}`,
  (file) => `${place}/root/srv/../etc/${file}`,
];

/** Names that only the shadow file has here. */
const itsOwn = [`${place}/one`, `${place}/hard`];

function attempts(path: string): readonly Declared[] {
  const tar = bytesContent(tarOf([{ name: 'x', content: 'evil' }]));
  return [
    { type: 'file', desired: { path, content: content('evil\n') } },
    { type: 'file', desired: { path, state: 'absent' } },
    { type: 'line', desired: { path, line: 'evil::0:0:::' } },
    { type: 'block', desired: { path, name: 'evil', content: 'evil\n' } },
    { type: 'ini', desired: { path, section: 'evil', key: 'a', value: 'b' } },
    { type: 'json', desired: { path, pointer: '/a', value: 1 } },
    { type: 'symlink', desired: { path, target: '/dev/null' } },
    { type: 'symlink', desired: { path, state: 'absent' } },
    { type: 'directory', desired: { path, mode: '0777' } },
    { type: 'directory', desired: { path, state: 'absent' } },
    { type: 'archive', desired: { path, content: tar } },
    { type: 'git', desired: { path, repository: '/srv/origin', ref: 'v1' } },
    { type: 'exec', desired: { command: `cp /srv/origin/page '${path}'`, unless: 'false' } },
    { type: 'exec', desired: { command: `> '${path}'`, creates: '/srv/tricks/never' } },
    { type: 'exec', desired: { command: `cd '${dirname(path)}' && rm -f ./${basename(path)}`, unless: 'false' } },
  ];
}

/** Applies one, which may also be refused by its form. */
async function refused(declared: Declared): Promise<string | undefined> {
  try {
    const [outcome] = await run([declared], { guard: allOf(protectTrees(systemTrees), protectByRules()) });
    return outcome?.result === 'blocked' || outcome?.result === 'failed' ? outcome.result : undefined;
  } catch (error) {
    if ((error as Error).name !== 'ZodError' && (error as Error).name !== '$ZodError') throw error;
    return 'form';
  }
}

function look(path: string): string {
  const { dev, ino, mode, uid, gid, nlink } = statSync(path);
  return `${dev} ${ino} ${mode} ${uid} ${gid} ${nlink} ${readFileSync(path, 'base64')}`;
}

export async function tryPathTricks(sh: Shell): Promise<void> {
  sh(setUp);
  const before = { kept: look(kept), sealed: look(sealed) };
  const counts = new Map<string, number>();
  const paths = [
    ...names.map((name) => ({ path: name('shadow'), file: kept })),
    ...itsOwn.map((path) => ({ path, file: kept })),
    ...names.map((name) => ({ path: name('security/opasswd'), file: sealed })),
  ];
  for (const { path, file } of paths) {
    for (const declared of attempts(path)) {
      const how = await refused(declared);
      const what = `${declared.type} ${JSON.stringify(declared.desired)}`;
      assert.ok(look(kept) === before.kept && look(sealed) === before.sealed, `${what} changed ${file}`);
      assert.ok(how !== undefined, `${what} was not refused`);
      counts.set(how, (counts.get(how) ?? 0) + 1);
    }
  }
  // The same names of what nothing protects are left to their owner.
  for (const path of [`${place}/plain/a`, `${place}/root${place}/plain/b`, `${place}/again/tricks.conf`]) {
    assert.equal(await refused({ type: 'file', desired: { path, content: content('mine\n') } }), undefined, path);
  }
  // Members of an archive that lead out, or through a symlink that came before.
  const members = [
    [{ name: '../../../etc/shadow', content: 'evil' }],
    [{ name: '/etc/shadow', content: 'evil' }],
    [
      { name: 'in', type: '2', link: '/etc' },
      { name: 'in/shadow', content: 'evil' },
    ],
    [{ name: 'hard', type: '1', link: '/etc/shadow' }],
  ];
  for (const entries of members) {
    const desired = { path: `${place}/out`, content: bytesContent(tarOf(entries)) };
    assert.equal(await refused({ type: 'archive', desired }), 'failed', JSON.stringify(entries));
    assert.equal(look(kept), before.kept);
    assert.equal(sh(`ls -A ${place}/out`), '', 'nothing of it was unpacked');
  }
  const list = [...counts].map(([how, count]) => `${count} ${how}`).join(', ');
  console.log(`OK: protected files under ${paths.length} names, by every type: ${list}`);
}
