import assert from 'node:assert/strict';
import { lstatSync, readdirSync, renameSync, symlinkSync } from 'node:fs';
import { chmod, chown, lchown, link, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { content, run, withDirectory } from '../test/conformance/executor-fixture.ts';
import { HostError, type Step } from './host.ts';
import { createLocalHost } from './local-host.ts';

const isRoot = process.geteuid?.() === 0;
const nobody = 65534;
const self = { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };

describe('files', () => {
  for (const umask of [0o000, 0o022, 0o077, 0o777]) {
    test(`incident 31: under umask ${umask.toString(8)} a file has its final mode from its first byte`, async () => {
      await withDirectory(async (directory) => {
        const seen: string[] = [];
        for (const mode of [0o600, 0o640, 0o644, 0o755, 0o4755, 0o400]) {
          const steps: Step[] = [];
          const place = { path: join(directory, `file-${mode.toString(8)}`) };
          const before = process.umask(umask);
          try {
            const watched = createLocalHost({
              step(step) {
                steps.push(step);
                if (step === 'write') {
                  seen.push(temporaries(directory));
                }
              },
            });
            await watched.writeFile(place, Buffer.from('x'), { mode, ...self });
          } finally {
            process.umask(before);
          }
          assert.equal((await stat(place.path)).mode & 0o7777, mode);
          assert.equal(seen.pop(), `${mode.toString(8)} 0`, 'mode and size when the first byte is written');
          // Where the umask takes nothing away, nothing has to be given back: there is no chmod at all.
          if (umask === 0 && mode <= 0o777) {
            assert.ok(!steps.includes('set ownership'));
          }
        }
      });
    });
  }

  test('incident 31: a file belongs to its declared owner from its first byte', {
    skip: isRoot ? false : 'needs root',
  }, async () => {
    await withDirectory(async (directory) => {
      const owners: number[] = [];
      const host = createLocalHost({
        step(step) {
          if (step === 'write') {
            owners.push(ownerOfTemporary(directory));
          }
        },
      });
      const place = { path: join(directory, 'file'), owner: nobody };
      await host.writeFile(place, Buffer.from('x'), { mode: 0o600, uid: nobody, gid: nobody });
      assert.deepEqual(owners, [nobody]);
      const { uid, gid, mode } = await stat(place.path);
      assert.deepEqual([uid, gid, mode & 0o7777], [nobody, nobody, 0o600]);
    });
  });

  test('a directory that belongs to somebody else is refused, unless the resource declares that owner', {
    skip: isRoot ? false : 'needs root',
  }, async () => {
    await withDirectory(async (directory) => {
      await chown(directory, nobody, nobody);
      const path = join(directory, 'file');
      const [refused] = await run([{ type: 'file', desired: { path, content: content('x') } }]);
      assert.equal(refused?.result, 'failed');
      assert.match(refused?.reason ?? '', /belongs to user 65534: declare that owner/);
      assert.deepEqual(await readdir(directory), []);
      const [taken] = await run([
        { type: 'file', desired: { path, content: content('x'), owner: nobody, group: nobody } },
      ]);
      assert.equal(taken?.result, 'created');
    });
  });

  test('a symlink that somebody else owns is not followed, even in a good directory', {
    skip: isRoot ? false : 'needs root',
  }, async () => {
    await withDirectory(async (directory) => {
      await mkdir(join(directory, 'real'));
      await symlink('real', join(directory, 'link'));
      await lchown(join(directory, 'link'), nobody, nobody);
      const [outcome] = await run([
        { type: 'file', desired: { path: join(directory, 'link', 'file'), content: content('x') } },
      ]);
      assert.equal(outcome?.result, 'failed');
      assert.deepEqual(await readdir(join(directory, 'real')), []);
    });
  });

  test('a symlink that root or the agent placed is as good as the directory it names', async () => {
    await withDirectory(async (directory) => {
      await mkdir(join(directory, 'real'));
      await symlink('../real/.', join(directory, 'real', 'again'));
      await symlink(join(directory, 'real', 'again'), join(directory, 'link'));
      const path = join(directory, 'link', 'file');
      const [outcome] = await run([{ type: 'file', desired: { path, content: content('x') } }]);
      assert.equal(outcome?.result, 'created', outcome?.reason);
      assert.equal(await readFile(join(directory, 'real', 'file'), 'utf8'), 'x');
    });
  });

  test('symlinks in a circle are one clear error', async () => {
    await withDirectory(async (directory) => {
      await symlink('b', join(directory, 'a'));
      await symlink('a', join(directory, 'b'));
      const host = createLocalHost();
      await assert.rejects(host.inspect({ path: join(directory, 'a', 'file') }), /too many symlinks/);
    });
  });

  test('a directory that is swapped for a symlink during the write changes nothing elsewhere', async () => {
    await withDirectory(async (directory) => {
      await mkdir(join(directory, 'target'));
      await mkdir(join(directory, 'victim'));
      await writeFile(join(directory, 'victim', 'file'), 'precious');
      const host = createLocalHost({
        step(step) {
          if (step === 'rename') {
            renameSync(join(directory, 'target'), join(directory, 'moved'));
            symlinkSync('victim', join(directory, 'target'));
          }
        },
      });
      await host.writeFile({ path: join(directory, 'target', 'file') }, Buffer.from('new'), { mode: 0o644, ...self });
      assert.equal(await readFile(join(directory, 'victim', 'file'), 'utf8'), 'precious');
      assert.equal(await readFile(join(directory, 'moved', 'file'), 'utf8'), 'new');
    });
  });

  test('a hard link elsewhere to the old file keeps the old content', async () => {
    await withDirectory(async (directory) => {
      await writeFile(join(directory, 'file'), 'old');
      await link(join(directory, 'file'), join(directory, 'other'));
      await run([{ type: 'file', desired: { path: join(directory, 'file'), content: content('new') } }]);
      assert.equal(await readFile(join(directory, 'other'), 'utf8'), 'old');
      assert.equal(await readFile(join(directory, 'file'), 'utf8'), 'new');
    });
  });

  test('something else than a file at the path is one clear failure, and stays', async () => {
    await withDirectory(async (directory) => {
      await mkdir(join(directory, 'file'));
      const [outcome] = await run([
        { type: 'file', desired: { path: join(directory, 'file'), content: content('x') } },
      ]);
      assert.equal(outcome?.result, 'failed');
      assert.match(outcome?.reason ?? '', /is a directory: remove it first/);
    });
  });

  test('only temporaries of our own name are swept', async () => {
    await withDirectory(async (directory) => {
      const ours = `.holdfast-${'0'.repeat(24)}.tmp`;
      const others = ['.holdfast-x.tmp', `.holdfast-${'0'.repeat(24)}.tmp.bak`, 'holdfast', '.hidden'];
      for (const name of [ours, ...others]) {
        await writeFile(join(directory, name), '');
      }
      const host = createLocalHost();
      assert.equal(await host.sweep({ path: directory }), 1);
      assert.deepEqual((await readdir(directory)).sort(), others.sort());
      assert.equal(await host.sweep({ path: join(directory, 'missing') }), 0);
    });
  });

  test('a file that is too large to edit is refused before it is read', async () => {
    await withDirectory(async (directory) => {
      await writeFile(join(directory, 'file'), '12345');
      const host = createLocalHost();
      const place = { path: join(directory, 'file') };
      await assert.rejects(host.read(place, 4), (error) => error instanceof HostError && error.code === 'too_large');
      assert.equal(Buffer.from(await host.read(place, 5)).toString(), '12345');
    });
  });

  test('a missing right is said in terms of the path', { skip: isRoot ? 'root has every right' : false }, async () => {
    await withDirectory(async (directory) => {
      await chmod(directory, 0o500);
      const [outcome] = await run([
        { type: 'file', desired: { path: join(directory, 'file'), content: content('x') } },
      ]);
      assert.match(outcome?.reason ?? '', /the agent has no right to \(EACCES\)/);
      await chmod(directory, 0o700);
    });
  });
});

/** Mode and size of the one temporary in a directory. */
function temporaries(directory: string): string {
  return temporaryStatus(directory)
    .map(({ mode, size }) => `${(mode & 0o7777).toString(8)} ${size}`)
    .join();
}

function ownerOfTemporary(directory: string): number {
  return temporaryStatus(directory)[0]?.uid ?? -1;
}

function temporaryStatus(directory: string) {
  const names = readdirSync(directory).filter((name) => name.startsWith('.holdfast-'));
  return names.map((name) => lstatSync(join(directory, name)));
}
