import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { withState } from '../test/fakes/agent.ts';
import { AgentError } from './errors.ts';
import { type Lock, takeLock, withLock } from './lock.ts';

const isBusy = (error: unknown) => error instanceof AgentError && error.code === 'busy';

describe('lock', () => {
  test('it is held once, given back, and leaves nothing behind', async () => {
    await withState(async ({ path }) => {
      const lock = await takeLock(path);
      await assert.rejects(takeLock(path), isBusy);
      await lock.release();
      assert.equal(await withLock(path, async () => 'done'), 'done');
      await assert.rejects(
        withLock(path, () => Promise.reject(new Error('work failed'))),
        /work failed/,
      );
      await withLock(path, async () => undefined);
      assert.deepEqual(await readdir(path), []);
    });
  });

  test('of many that want it at once, one gets it', async () => {
    await withState(async ({ path }) => {
      for (let round = 0; round < 25; round += 1) {
        await writeFile(join(path, 'lock'), `999999999 1 stale ${round}\n`);
        const attempts = await Promise.allSettled(Array.from({ length: 20 }, () => takeLock(path)));
        const [taken, ...more] = attempts.filter(({ status }) => status === 'fulfilled');
        assert.deepEqual(more, []);
        assert.deepEqual(await readdir(path), ['lock']);
        await (taken as PromiseFulfilledResult<Lock>).value.release();
      }
    });
  });

  test('a holder that is gone, or whose process id is another’s by now, holds nothing', async () => {
    await withState(async ({ path }) => {
      for (const stale of ['999999999 5 x\n', 'nonsense', '', `${process.pid} 1 x\n`]) {
        await writeFile(join(path, 'lock'), stale);
        await (await takeLock(path)).release();
      }
    });
  });

  test('a lock that another took over is not given back for them', async () => {
    await withState(async ({ path }) => {
      const lock = await takeLock(path);
      await writeFile(join(path, 'lock'), 'another');
      await lock.release();
      assert.equal(await readFile(join(path, 'lock'), 'utf8'), 'another');
    });
  });
});
