import assert from 'node:assert/strict';
import { chmod, mkdir, readdir, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { withState } from '../test/fakes/agent.ts';
import { AgentError, type AgentErrorCode, fromStateWrite } from './errors.ts';
import { formatNodeFile, openStateDirectory, parseNodeFile, readNode, stateFiles } from './state.ts';

const node = {
  v: 1,
  uuid: '2f1d6c1e-3a0b-4a57-9f7e-0123456789ab',
  name: 'web-1',
  labels: { role: 'web' },
  fleet: 'demo',
  gateway: 'gateway.example:8444',
  server: 'https://identity.example',
} as const;

const failsWith = (code: AgentErrorCode) => (error: unknown) => error instanceof AgentError && error.code === code;

describe('state directory', () => {
  test('node.json is read as it was written', () => {
    assert.deepEqual(parseNodeFile(formatNodeFile(node)), node);
  });

  test('a damaged node.json lets only the typed error out', () => {
    const text = Buffer.from(formatNodeFile(node)).toString();
    const damaged = fc.tuple(fc.nat(text.length - 1), fc.string({ maxLength: 3 }));
    fc.assert(
      fc.property(damaged, ([at, insertion]) => {
        const bytes = Buffer.from(`${text.slice(0, at)}${insertion}${text.slice(at + 1)}`);
        try {
          parseNodeFile(bytes);
        } catch (error) {
          assert.ok(failsWith('bad_state')(error));
        }
      }),
    );
    assert.throws(() => parseNodeFile(Buffer.from(text.replace('"v": 1', '"v": 1, "x": 1'))), failsWith('bad_state'));
    assert.throws(() => parseNodeFile(Buffer.from([0xff])), failsWith('bad_state'));
  });

  test('a full disk and a missing right are told with place and remedy; other errors stay themselves', () => {
    for (const code of ['ENOSPC', 'EDQUOT', 'EROFS', 'EACCES', 'EPERM']) {
      const told = fromStateWrite(Object.assign(new Error(code), { code }), '/state/node.json');
      assert.ok(failsWith('state_unwritable')(told));
      assert.match((told as AgentError).message, /\/state\/node\.json/);
      assert.match((told as AgentError).hint ?? '', /try again/);
    }
    const other = Object.assign(new Error('EIO'), { code: 'EIO' });
    assert.equal(fromStateWrite(other, '/x'), other);
  });

  test('it is made 0700 and its files 0600, whatever the umask', async () => {
    const before = process.umask(0);
    try {
      await withState(async (state) => {
        await state.write('x', Buffer.from('x'));
        await state.folder('folder');
        assert.equal((await stat(state.path)).mode & 0o777, 0o700);
        assert.equal((await stat(join(state.path, 'x'))).mode & 0o777, 0o600);
        assert.equal((await stat(join(state.path, 'folder'))).mode & 0o777, 0o700);
      });
    } finally {
      process.umask(before);
    }
  });

  test('a directory, folder or file that is open to others is refused, with the remedy', async () => {
    await withState(async (state) => {
      await state.write('x', Buffer.from('x'));
      await chmod(join(state.path, 'x'), 0o640);
      await assert.rejects(
        state.read('x'),
        (error) => failsWith('loose_permissions')(error) && /chmod 600/.test((error as AgentError).hint ?? ''),
      );
      await state.folder('folder');
      await chmod(join(state.path, 'folder'), 0o701);
      await assert.rejects(state.folder('folder'), failsWith('loose_permissions'));
      await chmod(state.path, 0o750);
      await assert.rejects(
        openStateDirectory(state.path),
        (error) => failsWith('loose_permissions')(error) && /chmod 700/.test((error as AgentError).hint ?? ''),
      );
      await chmod(state.path, 0o700);
    });
  });

  test('a missing directory or node.json means that nothing was joined', async () => {
    await withState(async (state, base) => {
      await assert.rejects(openStateDirectory(join(base, 'missing')), failsWith('not_joined'));
      await assert.rejects(readNode(state), failsWith('not_joined'));
    });
  });

  test('a symlink is not taken for the state directory, nor for a file of it', async () => {
    await withState(async (state, base) => {
      await symlink(state.path, join(base, 'link'));
      await assert.rejects(openStateDirectory(join(base, 'link')), failsWith('bad_state'));
      await writeFile(join(base, 'planted'), formatNodeFile(node));
      await symlink(join(base, 'planted'), join(state.path, stateFiles.node));
      await assert.rejects(readNode(state));
    });
  });

  test('what a killed write left is removed once it is old, and nothing else', async () => {
    await withState(async (state) => {
      const old = '.node.json.0123abcd.new';
      const young = '.node.json.0123abce.new';
      for (const name of [old, young, 'node.new', '.hidden']) {
        await writeFile(join(state.path, name), '', { mode: 0o600 });
      }
      await utimes(join(state.path, old), 0, 0);
      await openStateDirectory(state.path);
      assert.deepEqual((await readdir(state.path)).sort(), ['.hidden', young, 'node.new'].sort());
    });
  });

  test('a write that fails leaves what was there, and no temporary', async () => {
    await withState(async (state) => {
      await mkdir(join(state.path, 'x'));
      await assert.rejects(state.write('x', Buffer.from('new')));
      assert.deepEqual(await readdir(state.path), ['x']);
    });
  });
});
