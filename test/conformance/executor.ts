/**
 * The property suite that every executor gets (R17): a second apply changes and writes nothing, a dry run writes
 * nothing, drift is restored, killed at any step it converges on the next run, hostile directories are refused, and
 * a full or read-only disk gives one clear error and loses nothing.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { chmod, mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { ResourceOutcome } from '../../agent/engine.ts';
import { type ChildTask, marker } from './executor-child.ts';
import { blobsAsJson, type Declared, run, snapshot, stamps, withDirectory } from './executor-fixture.ts';
import { between, straceProblem, trace, writesIn } from './syscalls.ts';

export type ExecutorCase = {
  readonly title: string;
  /** The resource, working inside `directory`. */
  declare(directory: string): Declared;
  /** What is there before the first run. */
  prepare?(directory: string): Promise<void>;
  /** What the first run does. */
  readonly first: 'created' | 'updated' | 'removed';
  /** Takes the machine away from what is desired; the next run must bring it back to the same end. */
  drift(directory: string): Promise<void>;
};

export type ExecutorSuite = {
  readonly type: string;
  readonly cases: readonly [ExecutorCase, ...ExecutorCase[]];
  /** False for types that write to no path of their own, as `exec`. */
  readonly hasPath: boolean;
  /** True for types that change several things one after the other, so that a kill may leave some old and some new. */
  readonly isSequence?: boolean;
};

const childProgram = fileURLToPath(new URL('./executor-child.ts', import.meta.url));
/** Says what is under way, so it differs while it is. */
const isJournal = (line: string) => line.startsWith('.unpacked-by-holdfast.json ');
const isTemporary = (line: string) => line.includes('.holdfast-');

class Kill extends Error {}

export function executorConformance(suite: ExecutorSuite): void {
  describe(`executor ${suite.type}`, () => {
    for (const one of suite.cases) {
      describe(one.title, () => {
        testIdempotence(one);
        testDrift(one);
        testKills(one);
        if (suite.hasPath) {
          testFaults(one);
        }
      });
    }
    testTrace(suite);
    testSigkill(suite.cases[0], suite.isSequence ?? false);
    if (suite.hasPath) {
      testHostileDirectories(suite.cases[0]);
    }
  });
}

function testIdempotence(one: ExecutorCase): void {
  test('R17 a dry run says what would change and writes nothing; a second apply changes nothing', async () => {
    await inPrepared(one, async (directory) => {
      const declared = [one.declare(directory)];
      const before = await stamps(directory);
      assertResult(await run(declared, { dryRun: true }), one.first);
      assert.deepEqual(await stamps(directory), before);

      assertResult(await run(declared), one.first);
      const after = await stamps(directory);
      assertResult(await run(declared, { dryRun: true }), 'unchanged');
      assertResult(await run(declared), 'unchanged');
      assert.deepEqual(await stamps(directory), after);
    });
  });
}

function testDrift(one: ExecutorCase): void {
  test('R17 drift is seen and restored', async () => {
    await inPrepared(one, async (directory) => {
      const declared = [one.declare(directory)];
      await run(declared);
      const wanted = await snapshot(directory);
      await one.drift(directory);
      assert.notDeepEqual(await snapshot(directory), wanted, 'the case’s drift changes nothing');
      const [outcome] = await run(declared);
      assert.ok(['created', 'updated', 'removed'].includes(outcome?.result ?? ''), JSON.stringify(outcome));
      assert.deepEqual(await snapshot(directory), wanted);
    });
  });
}

function testKills(one: ExecutorCase): void {
  test('R17 killed before any of its steps, it converges on the next run and leaves nothing behind', async () => {
    const wanted = await inPrepared(one, async (directory) => {
      await run([one.declare(directory)]);
      return snapshot(directory);
    });
    let killed = 0;
    for (let killAt = 0; ; killAt += 1) {
      const wasKilled = await inPrepared(one, async (directory) => {
        let steps = 0;
        // A killed process takes no further step, so neither does the clean-up after the first failure.
        const step = () => {
          steps += 1;
          if (steps > killAt) {
            throw new Kill();
          }
        };
        await run([one.declare(directory)], { step });
        const [outcome] = await run([one.declare(directory)]);
        assert.notEqual(outcome?.result, 'failed', `killed at step ${killAt}: ${outcome?.reason}`);
        assert.deepEqual(await snapshot(directory), wanted, `killed at step ${killAt}`);
        return steps > killAt;
      });
      if (!wasKilled) {
        break;
      }
      killed += 1;
    }
    assert.ok(killed > 0, 'the case takes no step');
  });
}

function testFaults(one: ExecutorCase): void {
  for (const code of ['ENOSPC', 'EROFS', 'EIO']) {
    test(`${code} at any step gives one clear error, loses nothing and leaves no temporary`, async () => {
      for (let failAt = 0; ; failAt += 1) {
        const wasHit = await inPrepared(one, async (directory) => {
          const before = await snapshot(directory);
          let steps = 0;
          const step = (name: string) => {
            // A command reports its own trouble, in words of its own.
            if (name !== 'remove temporary' && name !== 'run' && steps++ === failAt) {
              throw Object.assign(new Error(`${code}: simulated`), { code });
            }
          };
          const [outcome] = await run([one.declare(directory)], { step });
          if (steps <= failAt) {
            return false;
          }
          assert.equal(outcome?.result, 'failed', `at step ${failAt}`);
          assert.match(outcome?.reason ?? '', new RegExp(`^can't (?:write|make|change|remove) "/.*\\(${code}\\)$`));
          const after = await snapshot(directory);
          assert.deepEqual(after.filter(isTemporary), []);
          // Each entry that was there is as it was, or complete already.
          const [again] = await run([one.declare(directory)]);
          assert.notEqual(again?.result, 'failed');
          const end = await snapshot(directory);
          for (const line of before.filter((old) => !after.includes(old) && !isJournal(old))) {
            const at = (lines: readonly string[]) => lines.find((other) => other.startsWith(`${line.split(' ')[0]} `));
            assert.ok(at(after) === at(end) || isMetadataOnly(one), `at step ${failAt}: ${line}`);
          }
          return true;
        });
        if (!wasHit) {
          assert.ok(failAt > 0, 'the case takes no step');
          return;
        }
      }
    });
  }
}

/** Mode and owner of an existing directory are changed in place, one after the other: there is no content to lose. */
function isMetadataOnly(one: ExecutorCase): boolean {
  return one.declare('/').type === 'directory';
}

function testTrace(suite: ExecutorSuite): void {
  test('R17 the system calls of a dry run and of a second apply write nothing', async (t) => {
    const problem = straceProblem();
    if (problem !== undefined) {
      t.skip(problem);
      return;
    }
    await withDirectory(async (base) => {
      const root = join(base, 'tree');
      await mkdir(root, { mode: 0o700 });
      const resources: Declared[] = [];
      for (const [index, one] of suite.cases.entries()) {
        const directory = join(root, String(index));
        await mkdir(directory, { mode: 0o700 });
        await one.prepare?.(directory);
        resources.push(one.declare(directory));
      }
      const task = await writeTask(base, { resources, blobs: blobsAsJson(), isTraced: true });
      const { status, stdout, stderr, calls } = trace(
        [process.execPath, childProgram, task],
        join(base, 'trace'),
        (file) => readFileSync(file, 'utf8'),
      );
      assert.equal(status, 0, stderr);
      const results = JSON.parse(stdout) as { [phase: string]: ResourceOutcome[] };
      assert.deepEqual(
        results['second']?.map(({ result }) => result),
        suite.cases.map(() => 'unchanged'),
      );
      // Guards the test itself: a trace in which the first apply writes nothing sees nothing.
      assert.notDeepEqual(writesIn(between(calls, marker('first'), marker('second')), root), []);
      assert.deepEqual(writesIn(between(calls, marker('dry-run'), marker('first')), root), []);
      assert.deepEqual(writesIn(between(calls, marker('second'), marker('end')), root), []);
    });
  });
}

function testSigkill(one: ExecutorCase, isSequence: boolean): void {
  test('R17 a process that dies by SIGKILL at any step leaves old or new, and the next run converges', async () => {
    const wanted = await inPrepared(one, async (directory) => {
      await run([one.declare(directory)]);
      return snapshot(directory);
    });
    for (let killAt = 0; ; killAt += 1) {
      const wasKilled = await withDirectory(async (base) => {
        const directory = join(base, 'tree');
        await mkdir(directory, { mode: 0o700 });
        await one.prepare?.(directory);
        const before = await snapshot(directory);
        const task = await writeTask(base, { resources: [one.declare(directory)], blobs: blobsAsJson(), killAt });
        const child = spawnSync(process.execPath, [childProgram, task], { encoding: 'utf8' });
        if (child.signal !== 'SIGKILL') {
          assert.equal(child.status, 0, child.stderr);
          return false;
        }
        const left = (await snapshot(directory)).filter((line) => !isTemporary(line));
        const isOldOrNew = [before, wanted].some((state) => JSON.stringify(state) === JSON.stringify(left));
        assert.ok(isOldOrNew || isSequence || isMetadataOnly(one), `at step ${killAt}: ${left}`);
        await run([one.declare(directory)]);
        assert.deepEqual(await snapshot(directory), wanted, `killed at step ${killAt}`);
        return true;
      });
      if (!wasKilled) {
        assert.ok(killAt > 0, 'the case takes no step');
        return;
      }
    }
  });
}

function testHostileDirectories(one: ExecutorCase): void {
  test('a directory that anybody can write to is refused', async () => {
    await inPrepared(one, async (directory) => {
      const before = await snapshot(directory);
      await chmod(directory, 0o777);
      const [outcome] = await run([one.declare(directory)]);
      assert.equal(outcome?.result, 'failed');
      assert.match(outcome?.reason ?? '', /anybody can write to the directory/);
      await chmod(directory, 0o700);
      assert.deepEqual(await snapshot(directory), before);
    });
  });

  test('a symlink to a directory, planted where others may write, is not followed', async () => {
    await withDirectory(async (base) => {
      const victim = join(base, 'victim');
      const shared = join(base, 'shared');
      await mkdir(victim, { mode: 0o700 });
      await one.prepare?.(victim);
      await mkdir(shared, { mode: 0o700 });
      await symlink(victim, join(shared, 'link'));
      await chmod(shared, 0o1777);
      const before = await snapshot(victim);
      const [outcome] = await run([one.declare(join(shared, 'link'))]);
      assert.equal(outcome?.result, 'failed');
      assert.match(outcome?.reason ?? '', /is a symlink that somebody else could have placed/);
      assert.deepEqual(await snapshot(victim), before);
      assert.deepEqual(await readdir(shared), ['link']);
    });
  });
}

/** A fresh directory, 0700, with what the case begins with. */
function inPrepared<T>(one: ExecutorCase, work: (directory: string) => Promise<T>): Promise<T> {
  return withDirectory(async (directory) => {
    await one.prepare?.(directory);
    return work(directory);
  });
}

function assertResult(outcomes: readonly ResourceOutcome[], wanted: ResourceOutcome['result']): void {
  const results = outcomes.map(({ result, reason }) => `${result} ${reason}`);
  assert.deepEqual(
    outcomes.map(({ result }) => result),
    [wanted],
    results.join('\n'),
  );
}

async function writeTask(base: string, task: ChildTask): Promise<string> {
  const path = join(base, 'task.json');
  await writeFile(path, JSON.stringify(task));
  return path;
}
