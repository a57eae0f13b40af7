import assert from 'node:assert/strict';
import { mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { content, run, snapshot, withDirectory } from '../test/conformance/executor-fixture.ts';
import { protectTrees, systemTrees } from './guard.ts';

/** A tree with something protected in it, and several ways to get there. */
async function inTree(work: (tree: string, judge: (path: string) => Promise<string | undefined>) => Promise<void>) {
  await withDirectory(async (tree) => {
    await mkdir(join(tree, 'lib', 'state', 'release'), { recursive: true });
    await mkdir(join(tree, 'lib', 'stateful'));
    await symlink('lib/state', join(tree, 'link'));
    await symlink('link', join(tree, 'second'));
    const guard = protectTrees([...systemTrees, join(tree, 'lib', 'state')]);
    await work(tree, (path) => guard({ type: 'file', desired: {}, paths: [path] }));
  });
}

describe('guard', () => {
  test('R40 the protected tree, all in it and all above it are refused, however they are spelled', async () => {
    await inTree(async (tree, judge) => {
      const refused = [
        join(tree, 'lib/state'),
        join(tree, 'lib/state/node.json'),
        join(tree, 'lib/state/release/current.json'),
        join(tree, 'lib/state/not/there/yet'),
        `${tree}/lib/stateful/../state/node.json`,
        `${tree}//lib/./state/node.json`,
        join(tree, 'link/node.json'),
        join(tree, 'second/release/current.json'),
        join(tree, 'second/new/file'),
        join(tree, 'lib'),
        tree,
        '/',
        '/proc/sys/kernel/core_pattern',
        '/proc/self/root/boot/x',
        '/dev/null',
        '/boot/vmlinuz',
        '/sys/x',
      ];
      for (const path of refused) {
        assert.notEqual(await judge(path), undefined, path);
      }
    });
  });

  test('R40 what only looks alike is allowed', async () => {
    await inTree(async (tree, judge) => {
      const allowed = [
        join(tree, 'lib/stateful'),
        join(tree, 'lib/stateful/x'),
        join(tree, 'lib/state2'),
        '/etc/motd',
        '/procfs',
        '/devices',
      ];
      for (const path of allowed) {
        assert.equal(await judge(path), undefined, path);
      }
      // Replacing a symlink to the protected tree changes the symlink, not the tree.
      assert.equal(await judge(join(tree, 'link')), undefined);
    });
  });

  test('R40 on the node there is no override: a release that names the state directory is blocked', async () => {
    await inTree(async (tree) => {
      const state = join(tree, 'lib', 'state');
      const before = await snapshot(tree);
      const outcomes = await run(
        [
          { type: 'file', desired: { path: join(state, 'node.json'), content: content('mine now') } },
          { type: 'directory', desired: { path: join(tree, 'lib'), state: 'absent', recurse: true } },
          { type: 'symlink', desired: { path: join(tree, 'second', 'fleet.json'), target: '/etc/passwd' } },
          { type: 'line', desired: { path: join(tree, 'link', 'notified.json'), line: '[]' } },
        ],
        { guard: protectTrees([state]) },
      );
      assert.deepEqual(
        outcomes.map(({ result }) => result),
        ['blocked', 'blocked', 'blocked', 'blocked'],
      );
      assert.deepEqual(await snapshot(tree), before);
    });
  });
});
