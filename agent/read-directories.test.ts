import assert from 'node:assert/strict';
import { readdirSync, readlinkSync } from 'node:fs';
import { chmod, mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { content, run, withDirectory } from '../test/conformance/executor-fixture.ts';
import type { HostError } from './host.ts';
import { createLocalHost } from './local-host.ts';

const self = { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };
const onLinux = { skip: process.platform === 'linux' ? false : 'counts descriptors in /proc' };

/** Two directories with a file of another content each. */
async function withTwo(work: (tree: string) => Promise<void>): Promise<void> {
  await withDirectory(async (tree) => {
    for (const name of ['one', 'two']) {
      await mkdir(join(tree, name));
      await writeFile(join(tree, name, 'file'), name);
    }
    await work(tree);
  });
}

/** Descriptors of this process for what is in a directory, the directory included. */
function openIn(tree: string): readonly string[] {
  return readdirSync('/proc/self/fd').flatMap((descriptor) => {
    try {
      const path = readlinkSync(`/proc/self/fd/${descriptor}`);
      return path === tree || path.startsWith(`${tree}/`) ? [path] : [];
    } catch {
      return [];
    }
  });
}

describe('directories for reading', () => {
  test('a directory that was replaced by another since it was read is seen as it is now', async () => {
    await withTwo(async (tree) => {
      const host = createLocalHost();
      const place = { path: join(tree, 'one', 'file') };
      const first = await host.digest(place);
      await rename(join(tree, 'one'), join(tree, 'old'));
      await rename(join(tree, 'two'), join(tree, 'one'));
      assert.notEqual(await host.digest(place), first);
      await rm(join(tree, 'one'), { recursive: true });
      assert.equal(await host.inspect(place), undefined);
    });
  });

  test('a directory that anybody can write to since it was read is refused', async () => {
    await withTwo(async (tree) => {
      const host = createLocalHost();
      const place = { path: join(tree, 'one', 'file') };
      await host.inspect(place);
      await chmod(join(tree, 'one'), 0o777);
      await assert.rejects(host.inspect(place), (error: HostError) => error.code === 'untrusted_directory');
    });
  });

  test('a file that is replaced or changed between two looks is seen', async () => {
    await withTwo(async (tree) => {
      const host = createLocalHost();
      const place = { path: join(tree, 'one', 'file') };
      const first = await host.digest(place);
      await writeFile(place.path, 'own');
      assert.notEqual(await host.digest(place), first);
      await rename(join(tree, 'two', 'file'), place.path);
      assert.equal(Buffer.from(await host.read(place, 100)).toString(), 'two');
    });
  });

  test('a way through a symlink leads where the symlink leads now, also in one and the same run', async () => {
    await withTwo(async (tree) => {
      const link = join(tree, 'current');
      await symlink('one', link);
      const outcomes = await run([
        { type: 'file', desired: { path: join(link, 'file'), content: content('one') } },
        { type: 'symlink', desired: { path: link, target: 'two' } },
        { type: 'line', desired: { path: join(link, 'file'), line: 'one' } },
      ]);
      assert.deepEqual(
        outcomes.map(({ result }) => result),
        ['unchanged', 'updated', 'updated'],
      );
    });
  });

  test('many directories can be read in one turn, and none stays open after it', onLinux, async () => {
    await withDirectory(async (tree) => {
      const host = createLocalHost();
      let path = tree;
      for (let depth = 0; depth < 40; depth += 1) {
        path = join(path, 'd');
        await mkdir(path);
        await writeFile(join(path, 'file'), 'x');
      }
      for (let at = path; at !== tree; at = join(at, '..')) {
        await host.digest({ path: join(at, 'file') });
        assert.ok(openIn(tree).length <= 16);
      }
      assert.equal((await host.inspect({ path: join(path, 'file') }))?.bytes, 1);
      await turn();
      assert.deepEqual(openIn(tree), []);
    });
  });

  test('none is open while something is changed or runs', onLinux, async () => {
    await withTwo(async (tree) => {
      const seen: (readonly string[])[] = [];
      const host = createLocalHost({ step: () => seen.push(openIn(join(tree, 'one'))) });
      await host.inspect({ path: join(tree, 'one', 'file') });
      assert.deepEqual(openIn(join(tree, 'one')), [join(tree, 'one')]);
      await host.writeFile({ path: join(tree, 'two', 'new') }, Buffer.from('x'), { mode: 0o600, ...self });
      await host.inspect({ path: join(tree, 'one', 'file') });
      const command = host.probe({ argv: ['true'], signal: AbortSignal.timeout(60_000) });
      assert.deepEqual(openIn(join(tree, 'one')), []);
      await command;
      assert.ok(seen.length > 0);
      assert.deepEqual(seen.flat(), []);
    });
  });
});
