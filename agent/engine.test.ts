import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { z } from 'zod';
import { type Resource, type RunOptions, runResources } from './engine.ts';
import type { Change, Difference, Executor } from './executor.ts';
import type { Guard } from './guard.ts';
import { HostError } from './host.ts';
import { createLocalHost } from './local-host.ts';
import { memoryNotifications, type Notifications } from './notifications.ts';

type Fake = { readonly name: string; readonly behaviour?: 'fail' | 'useless' | 'hang' | 'broken check' };
const fakeSchema = z.strictObject({
  name: z.string(),
  behaviour: z.enum(['fail', 'useless', 'hang', 'broken check']).optional(),
});

/** A machine on which a resource is as desired once it was applied, and a log of what was asked of it. */
function machine(done: readonly string[] = [], change: Change = 'updated') {
  const log: string[] = [];
  const asDesired = new Set(done);
  const fake: Executor<Fake, Difference> = {
    name: 'fake',
    schema: fakeSchema as z.ZodType<Fake>,
    id: ({ name }) => name,
    paths: ({ name }) => [`/nowhere/${name}`],
    async check({ name, behaviour }, _host, { notified }) {
      log.push(`check ${name}`);
      if (behaviour === 'broken check') {
        throw new Error('the check is broken');
      }
      return asDesired.has(name) && !notified ? undefined : { change };
    },
    async apply(_found, { name, behaviour }) {
      log.push(`apply ${name}`);
      if (behaviour === 'fail') {
        throw new Error('the apply is broken');
      }
      if (behaviour === 'hang') {
        await new Promise(() => undefined);
      }
      if (behaviour !== 'useless') {
        asDesired.add(name);
      }
    },
    describe: () => 'it differs',
  };
  return { log, fake };
}

type Options = Partial<RunOptions> & {
  readonly guard?: Guard;
  readonly notifications?: Notifications;
  readonly deadline?: () => AbortSignal;
};

function run(fake: ReturnType<typeof machine>['fake'], resources: readonly Resource[], options: Options = {}) {
  const deps = {
    executors: new Map([['fake', fake]]),
    host: createLocalHost(),
    guard: options.guard ?? (async () => undefined),
    notifications: options.notifications ?? memoryNotifications(),
    blob: async () => new Uint8Array(),
    now: () => 0,
    deadline: options.deadline ?? (() => new AbortController().signal),
  };
  return runResources(deps, resources, { dryRun: false, ...options });
}

function resource(name: string, more: Partial<Resource> & { behaviour?: Fake['behaviour'] } = {}): Resource {
  const { behaviour, ...rest } = more;
  return {
    crate: 'c',
    type: 'fake',
    id: name,
    desired: { name, ...(behaviour === undefined ? {} : { behaviour }) },
    ...rest,
  };
}

const results = (outcomes: readonly { resource: string; result: string }[]) =>
  outcomes.map(({ resource: name, result }) => `${name.split('/').at(-1)} ${result}`);

describe('engine', () => {
  test('R17 nothing is applied without a check that found a difference', async () => {
    const { fake, log } = machine(['a']);
    assert.deepEqual(results(await run(fake, [resource('a'), resource('b')])), ['a unchanged', 'b updated']);
    assert.deepEqual(log, ['check a', 'check b', 'apply b', 'check b']);
  });

  test('R17 a dry run is the same check and applies nothing', async () => {
    const { fake, log } = machine([], 'removed');
    assert.deepEqual(results(await run(fake, [resource('a')], { dryRun: true })), ['a removed']);
    assert.deepEqual(log, ['check a']);
  });

  test('R17 an apply that leaves a difference failed', async () => {
    const { fake } = machine();
    const [outcome] = await run(fake, [resource('a', { behaviour: 'useless' })]);
    assert.equal(outcome?.result, 'failed');
    assert.equal(outcome?.reason, 'still not as desired after it was applied: it differs');
  });

  test('R40 what differs is judged anew, by a fresh look, right before it is changed', async () => {
    const { fake, log } = machine();
    const moments: unknown[] = [];
    const guard: Guard = async ({ moment }) => {
      log.push('judge');
      moments.push(moment);
      return undefined;
    };
    await run(fake, [resource('a')], { guard });
    assert.deepEqual(log, ['judge', 'check a', 'judge', 'apply a', 'check a']);
    assert.notEqual(moments[0], moments[1]);
  });

  test('R40 what became protected between the check and the change is blocked, and notifies nobody', async () => {
    const { fake, log } = machine();
    const notifications = memoryNotifications();
    const guard: Guard = async () => (log.includes('check a') ? 'it is protected now' : undefined);
    const resources = [resource('a', { notify: ['fake/b'] }), resource('b', { requires: ['fake/a'] })];
    const outcomes = await run(fake, resources, { guard, notifications });
    assert.deepEqual(results(outcomes), ['a blocked', 'b skipped']);
    assert.deepEqual(log, ['check a']);
    assert.equal(notifications.has('c:fake/b'), false);
  });

  test('a failed resource takes along those that need it, however far, and no others', async () => {
    const { fake, log } = machine();
    const outcomes = await run(fake, [
      resource('a', { behaviour: 'fail' }),
      resource('b', { requires: ['fake/a'] }),
      resource('c', { requires: ['fake/b'] }),
      resource('d'),
      resource('e', { before: ['fake/f'], behaviour: 'broken check' }),
      resource('f'),
    ]);
    const wanted = ['a failed', 'b skipped', 'c skipped', 'd updated', 'e failed', 'f skipped'];
    assert.deepEqual(results(outcomes), wanted);
    assert.equal(outcomes[2]?.reason, 'c:fake/b is skipped');
    assert.ok(!log.includes('check b') && !log.includes('check c'));
  });

  test('the order is decided on the node, across crates; a circle stops the run before anything is touched', async () => {
    const { fake, log } = machine();
    const outcomes = await run(fake, [
      resource('b', { requires: ['other:fake/a'] }),
      resource('a', { crate: 'other' }),
    ]);
    assert.deepEqual(results(outcomes), ['a updated', 'b updated']);
    log.length = 0;
    const circle = [resource('x', { requires: ['fake/y'] }), resource('y', { requires: ['fake/x'] })];
    await assert.rejects(run(fake, circle), /circle: c:fake\/x → c:fake\/y|circle: c:fake\/y/);
    assert.deepEqual(log, []);
  });

  test('R40 what the guard refuses is blocked, not even looked at, and so is what needs it', async () => {
    const { fake, log } = machine();
    const guard: Guard = async ({ paths }) => (paths.includes('/nowhere/a') ? 'it is protected' : undefined);
    const outcomes = await run(fake, [resource('a'), resource('b', { requires: ['fake/a'] })], { guard });
    assert.deepEqual(results(outcomes), ['a blocked', 'b skipped']);
    assert.equal(outcomes[0]?.reason, 'it is protected');
    assert.deepEqual(log, []);
  });

  test('an unknown type, unknown fields and a forged id fail alone', async () => {
    const { fake, log } = machine();
    const outcomes = await run(fake, [
      resource('a', { type: 'future' }),
      resource('b', { desired: { name: 'b', surprise: true } }),
      resource('c', { id: 'innocent' }),
      resource('d'),
    ]);
    assert.deepEqual(results(outcomes), ['a failed', 'b failed', 'innocent failed', 'd updated']);
    assert.deepEqual(log, ['check d', 'apply d', 'check d']);
  });

  test('a resource whose time is up fails, and the run goes on', async () => {
    const { fake } = machine();
    const time = new AbortController();
    const outcomes = run(fake, [resource('a', { behaviour: 'hang' }), resource('b')], {
      deadline: () => time.signal,
      onOutcome: () => undefined,
    });
    await new Promise(setImmediate);
    time.abort();
    assert.deepEqual(results(await outcomes), ['a failed', 'b failed']);
    assert.equal((await outcomes)[0]?.reason, 'its time was up');
  });

  test('asked to stop, it finishes what is under way and skips the rest', async () => {
    const { fake } = machine();
    const stop = new AbortController();
    const outcomes = await run(fake, [resource('a'), resource('b')], {
      stop: stop.signal,
      onOutcome: () => stop.abort(),
    });
    assert.deepEqual(results(outcomes), ['a updated', 'b skipped']);
  });

  test('R17 a notification survives a kill between the change and its answer', async () => {
    const { fake, log } = machine(['reload']);
    const notifications = memoryNotifications();
    const declared = [resource('conf', { notify: ['fake/reload'] }), resource('reload')];
    const stop = new AbortController();
    // As good as a kill right after the first resource: the second isn't taken.
    await run(fake, declared, { notifications, stop: stop.signal, onOutcome: () => stop.abort() });
    assert.ok(!log.includes('apply reload'));
    assert.deepEqual(results(await run(fake, declared, { notifications })), ['conf unchanged', 'reload updated']);
    assert.deepEqual(results(await run(fake, declared, { notifications })), ['conf unchanged', 'reload unchanged']);
  });

  test('R17 a notification is durable before the change that gives it', async () => {
    const { fake, log } = machine();
    const notifications: Notifications = {
      ...memoryNotifications(),
      async add(keys) {
        log.push(`notify ${keys}`);
      },
    };
    await run(fake, [resource('conf', { notify: ['fake/reload'] }), resource('reload')], { notifications });
    assert.deepEqual(log.slice(0, 3), ['check conf', 'notify c:fake/reload', 'apply conf']);
  });

  test('R17 a check is given nothing to change the machine with, whatever it tries', async () => {
    const { fake } = machine();
    let tried: unknown;
    const outcomes = await run(
      {
        ...fake,
        async check(_desired, host) {
          tried = 'writeFile' in host || 'run' in host || 'removeFile' in host;
          return undefined;
        },
      },
      [resource('a')],
    );
    assert.deepEqual([results(outcomes), tried], [['a unchanged'], false]);
  });

  test('R17 an apply that goes on after its time was up changes nothing any more', async () => {
    const { fake } = machine();
    const time = new AbortController();
    let late: Promise<unknown> | undefined;
    const timedOut = run(
      {
        ...fake,
        async apply(_found, _desired, host) {
          await new Promise((resolve) => time.signal.addEventListener('abort', resolve));
          await new Promise(setImmediate);
          late = host.writeFile({ path: '/nowhere/late' }, new Uint8Array(), { mode: 0o600, uid: 0, gid: 0 });
          await late.catch(() => undefined);
        },
      },
      [resource('a')],
      { deadline: () => time.signal },
    );
    await new Promise(setImmediate);
    time.abort();
    assert.deepEqual(results(await timedOut), ['a failed']);
    await new Promise(setImmediate);
    await new Promise(setImmediate);
    await assert.rejects(async () => late, /the resource had its turn/);
  });

  test('two runs in one process take turns', async () => {
    const { fake, log } = machine();
    const both = [run(fake, [resource('a'), resource('b')]), run(fake, [resource('c'), resource('d')])];
    await Promise.all(both);
    assert.deepEqual(
      log.filter((entry) => entry.startsWith('apply')),
      ['apply a', 'apply b', 'apply c', 'apply d'],
    );
    assert.ok(log.indexOf('check c') > log.lastIndexOf('check b'));
  });

  test('a dry run says what can’t be told yet, and hides no other failure', async () => {
    const { fake } = machine();
    const missing: typeof fake = {
      ...fake,
      async check(desired, host, context) {
        if (desired.name === 'needs') {
          throw new HostError('unknown_account', 'there is no user "x"');
        }
        if (desired.name === 'broken') {
          throw new HostError('system', 'no');
        }
        return fake.check(desired, host, context);
      },
    };
    const declared = [resource('a'), resource('needs'), resource('broken')];
    const outcomes = await run(missing, declared, { dryRun: true });
    assert.deepEqual(results(outcomes), ['a updated', 'needs skipped', 'broken failed']);
    assert.match(outcomes[1]?.reason ?? '', /can't be told before c:fake\/a is applied: there is no user/);
    assert.deepEqual(results(await run(missing, [resource('needs')], { dryRun: true })), ['needs failed']);
  });

  test('a failed resource notifies nobody in this run', async () => {
    const { fake, log } = machine(['reload']);
    const outcomes = await run(fake, [
      resource('conf', { notify: ['fake/reload'], behaviour: 'fail' }),
      resource('reload'),
    ]);
    assert.deepEqual(results(outcomes), ['conf failed', 'reload skipped']);
    assert.ok(!log.includes('apply reload'));
  });
});
