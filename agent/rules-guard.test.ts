import assert from 'node:assert/strict';
import { link, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { content, run, snapshot, withDirectory } from '../test/conformance/executor-fixture.ts';
import { protectByRules } from './rules-guard.ts';

const guard = protectByRules();

describe('guard by rules', () => {
  test('R43 on the node a dangerous command is blocked before its guard runs, whatever the release says', async () => {
    await withDirectory(async (tree) => {
      const before = await snapshot(tree);
      const outcomes = await run(
        [
          { type: 'exec', desired: { command: 'rm -rf /etc', unless: `touch ${tree}/ran` } },
          { type: 'exec', desired: { command: 'true', unless: `touch ${tree}/ran; echo cmVib290 | base64 -d | sh` } },
          { type: 'exec', desired: { command: ['systemctl', 'stop', 'holdfast-agent'], creates: join(tree, 'x') } },
          { type: 'file', desired: { path: '/etc/passwd', content: content('x') } },
        ],
        { guard },
      );
      assert.deepEqual(
        outcomes.map(({ result, reason }) => [result, reason.slice(0, 5)]),
        [
          ['blocked', 'G0101'],
          ['blocked', 'G0502'],
          ['blocked', 'G0401'],
          ['blocked', 'G0106'],
        ],
      );
      assert.deepEqual(await snapshot(tree), before);
    });
  });

  test('R42 the unknown runs only when two operators accepted it, and the dangerous never', async () => {
    const judge = (command: string, accepted?: readonly string[]) =>
      guard({
        type: 'exec',
        desired: { command, creates: '/srv/x' },
        paths: [],
        ...(accepted === undefined ? {} : { accepted }),
      });
    assert.match((await judge('eval "$CODE"')) ?? '', /^G0602/);
    assert.match((await judge('eval "$CODE"', ['G0601'])) ?? '', /^G0602/);
    assert.equal(await judge('eval "$CODE"', ['G0602']), undefined);
    assert.match((await judge('eval "$CODE"; rm -rf /etc', ['G0602', 'G0101'])) ?? '', /^G0101/);
  });

  test('R40 symlinks of this machine are seen through', async () => {
    await withDirectory(async (tree) => {
      await symlink('/etc', join(tree, 'link'));
      await mkdir(join(tree, 'real'));
      await writeFile(join(tree, 'real', 'one'), '');
      await link(join(tree, 'real', 'one'), join(tree, 'two'));
      const judge = (path: string) => guard({ type: 'file', desired: { path }, paths: [path] });
      assert.match((await judge(join(tree, 'link', 'shadow'))) ?? '', /^G0106/);
      assert.match((await judge(join(tree, 'real', '..', 'link', 'sudoers'))) ?? '', /^G0106/);
      assert.equal(await judge(join(tree, 'link', 'motd')), undefined);
      assert.equal(await judge(join(tree, 'two')), undefined);
    });
  });
});
