import assert from 'node:assert/strict';
import { realpathSync } from 'node:fs';
import { mkdir, rename, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { withDirectory } from '../test/conformance/executor-fixture.ts';
import { lookAt } from './machine-look.ts';

/** Directories, files, and symlinks to them, up, round in a circle and to nothing. */
async function withTree(work: (tree: string) => Promise<void>): Promise<void> {
  await withDirectory(async (tree) => {
    await mkdir(join(tree, 'a', 'b'), { recursive: true });
    await writeFile(join(tree, 'a', 'b', 'file'), '');
    await symlink('a', join(tree, 'link'));
    await symlink('../../link/b', join(tree, 'a', 'b', 'again'));
    await symlink(join(tree, 'a', 'b', 'file'), join(tree, 'to-file'));
    await symlink('nowhere', join(tree, 'to-nothing'));
    await symlink('round', join(tree, 'round'));
    await work(tree);
  });
}

const components = ['a', 'b', 'link', 'again', 'file', 'to-file', 'to-nothing', 'round', 'missing', '.', '..', ''];

function* pathsOf(depth: number): Generator<string> {
  yield '';
  if (depth > 0) {
    for (const path of pathsOf(depth - 1)) {
      for (const component of components) {
        yield `${path}/${component}`;
      }
    }
  }
}

const answerOf = (ask: () => string | undefined): string => {
  try {
    return ask() ?? 'nothing';
  } catch (error) {
    const code = String((error as { code?: unknown }).code);
    return code === 'ENOENT' || code === 'ENOTDIR' ? 'nothing' : code;
  }
};

describe('a look at the machine', () => {
  test("R40 real paths are the system's, whatever was asked for before", async () => {
    await withTree(async (tree) => {
      const look = lookAt(undefined);
      for (const path of pathsOf(4)) {
        const of = `${tree}${path}`;
        assert.equal(
          answerOf(() => look.realPath(of)),
          answerOf(() => realpathSync.native(of)),
          of,
        );
      }
    });
  });

  test('R40 a circle of symlinks is no answer, which guards of trees refuse and rules take for nothing', async () => {
    await withTree(async (tree) => {
      const look = lookAt(undefined);
      assert.throws(() => look.realPath(join(tree, 'round')), { code: 'ELOOP' });
      assert.equal(look.view.realPath(join(tree, 'round')), undefined);
    });
  });

  test('R40 what was seen counts for its own moment alone', async () => {
    await withTree(async (tree) => {
      const [first, second] = [{}, {}];
      const path = join(tree, 'a', 'b');
      assert.equal(lookAt(first).realPath(path), path);
      await rename(path, join(tree, 'b'));
      await symlink('../b', path);
      assert.equal(lookAt(first).realPath(path), path);
      assert.equal(lookAt(second).realPath(path), join(tree, 'b'));
      assert.equal(lookAt(undefined).realPath(path), join(tree, 'b'));
    });
  });
});
