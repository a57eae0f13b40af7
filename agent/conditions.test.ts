/** Resources that were decided before the run: what the engine makes of them, and of those that refer to them. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { z } from 'zod';
import { type Resource, runResources } from './engine.ts';
import type { AnyExecutor } from './executor.ts';
import { createLocalHost } from './local-host.ts';
import { memoryNotifications } from './notifications.ts';

const touched: string[] = [];
const fake: AnyExecutor = {
  name: 'fake',
  schema: z.strictObject({ name: z.string() }),
  id: ({ name }) => name,
  paths: ({ name }) => [`/nowhere/${name}`],
  async check({ name }) {
    touched.push(name);
    return undefined;
  },
  async apply() {},
  describe: () => '',
};

function resource(id: string, more: Partial<Resource> = {}): Resource {
  return { crate: 'c', type: 'fake', id, desired: { name: id }, ...more };
}

async function run(resources: readonly Resource[]) {
  touched.length = 0;
  const deps = {
    executors: new Map([['fake', fake]]),
    host: createLocalHost(),
    guard: async () => undefined,
    notifications: memoryNotifications(),
    blob: async () => new Uint8Array(),
    now: () => 0,
    deadline: () => new AbortController().signal,
  };
  const outcomes = await runResources(deps, resources, { dryRun: false });
  return outcomes.map(({ resource: name, result }) => `${name} ${result}`);
}

describe('conditions in a run', () => {
  test('what is not meant for this machine is not looked at, and is nobody’s obstacle', async () => {
    const outcomes = await run([
      resource('a', { decided: { result: 'skipped', reason: 'not when false' }, notify: ['fake/c'] }),
      resource('b', { requires: ['fake/a'] }),
      resource('c'),
    ]);
    assert.deepEqual(outcomes, ['c/fake/a skipped', 'c/fake/b unchanged', 'c/fake/c unchanged']);
    assert.deepEqual(touched, ['b', 'c']);
  });

  test('what could not be judged has failed, and takes along those that need it', async () => {
    const outcomes = await run([
      resource('a', { decided: { result: 'failed', reason: 'when: no such key' } }),
      resource('b', { requires: ['fake/a'] }),
    ]);
    assert.deepEqual(outcomes, ['c/fake/a failed', 'c/fake/b skipped']);
    assert.deepEqual(touched, []);
  });
});
