import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { RunReportSchema } from '../lib/wire/gen/holdfast/agent/v1/gateway_pb.ts';
import { createAgentFleet, createFakeGateway, factsSource, logger, node, withState } from '../test/fakes/agent.ts';
import { createOperator } from '../test/fakes/policy.ts';
import { type DaemonDeps, runDaemon } from './daemon.ts';
import { AgentError } from './errors.ts';
import { openHeldRelease } from './held-release.ts';
import { openReportQueue } from './queue.ts';
import type { SessionPush } from './session.ts';
import { SessionError } from './session-error.ts';
import type { StateDirectory } from './state.ts';

const convergeIntervalMs = 600_000;
const note = (text: string) => [{ type: 'line', id: '/etc/x#x', desired: { path: '/etc/x', line: text } }];

/** A daemon whose clock moves only when it rests; `script` says what happens at each rest, and ends it. */
async function simulate(
  state: StateDirectory,
  script: (rest: number, world: World) => 'go on' | 'stop',
  change: Partial<DaemonDeps> = {},
  begin: (world: World) => void = () => undefined,
): Promise<World> {
  const fleet = createAgentFleet();
  const gateway = createFakeGateway(fleet);
  const stop = new AbortController();
  const held = openHeldRelease(state, fleet.trust, node);
  const world: World = {
    fleet,
    gateway,
    held,
    time: fleet.now(),
    connects: [],
    converges: [],
    dryRuns: 0,
    renewals: 0,
    rests: [],
    push: () => undefined,
  };
  const deps: DaemonDeps = {
    held,
    queue: await openReportQueue(state, { logger }),
    facts: factsSource(),
    agentVersion: '1.2.3',
    logger,
    now: () => world.time,
    runId: randomUUID,
    random: () => 0.5,
    async connect(onPush) {
      world.connects.push(world.time);
      world.push = onPush;
      if (gateway.failure !== undefined) {
        throw gateway.failure;
      }
      return gateway.connect();
    },
    async renew() {
      world.renewals += 1;
      return 'renewed';
    },
    async converge(run) {
      if (run?.dryRun === true) world.dryRuns += 1;
      else world.converges.push(world.time);
      const release = await held.load(world.time).catch(() => undefined);
      const report = create(RunReportSchema, { runId: randomUUID(), releaseNumber: release?.manifest.number ?? 0 });
      return { report, outcomes: [], error: '' };
    },
    async sleep(ms, signal) {
      const rest = world.rests.push(ms) - 1;
      if (script(rest, world) === 'stop') {
        stop.abort();
      }
      if (!signal.aborted) {
        world.time += ms;
      }
    },
    ...change,
  };
  begin(world);
  await runDaemon(deps, { stop: stop.signal, convergeIntervalMs });
  return world;
}

type World = {
  readonly fleet: ReturnType<typeof createAgentFleet>;
  readonly gateway: ReturnType<typeof createFakeGateway>;
  readonly held: ReturnType<typeof openHeldRelease>;
  time: number;
  readonly connects: number[];
  readonly converges: number[];
  dryRuns: number;
  renewals: number;
  readonly rests: number[];
  push(push: SessionPush): void;
};

describe('daemon', () => {
  test('it checks in, adopts what verifies, converges at once and reports', async () => {
    await withState(async (state) => {
      const world = await simulate(state, (rest, { gateway, fleet, push }) => {
        if (rest === 0) {
          gateway.current = fleet.publish(note('x'));
          push({ kind: 'release', release: { number: 1, digest: gateway.current.digest } });
        }
        return rest === 2 ? 'stop' : 'go on';
      });
      assert.deepEqual(
        world.gateway.checkIns.map(({ release }) => release?.number),
        [undefined, undefined, 1],
      );
      assert.equal((await world.held.floor())?.number, 1);
      assert.equal(world.converges.length, 2);
      assert.deepEqual(
        world.gateway.reports.map(({ releaseNumber }) => releaseNumber),
        [1],
      );
      // The pace is the gateway's.
      assert.deepEqual(world.rests, [60_000, 60_000, 60_000]);
    });
  });

  test('R50 a release that does not verify is never held; the refusal is reported with its reason', async () => {
    await withState(async (state) => {
      const world = await simulate(state, (rest, { gateway, fleet, push }) => {
        if (rest === 0) {
          const mallory = createOperator();
          const release = fleet.publish(note('evil'));
          gateway.current = { ...release, signatures: [mallory.sign(release.manifest)] };
          push({ kind: 'wake', run: false });
        }
        return rest === 1 ? 'stop' : 'go on';
      });
      assert.equal(await world.held.floor(), undefined);
      const errors = world.gateway.reports.map(({ error }) => error);
      assert.deepEqual(errors.length, 1);
      assert.match(errors[0] ?? '', /^a release was refused: unknown_signer: /);
    });
  });

  test('with the gateway away it backs off with jitter and goes on converging from what is held', async () => {
    await withState(async (state) => {
      const failure = new SessionError('unavailable', 'away');
      let begun = 0;
      const away = await simulate(
        state,
        (_rest, world) => {
          const isBack = world.time - begun > 30 * 60_000;
          world.gateway.failure = isBack ? undefined : failure;
          return world.gateway.checkIns.length > 0 ? 'stop' : 'go on';
        },
        {},
        (world) => {
          begun = world.time;
          world.gateway.failure = failure;
        },
      );
      const waits = away.connects.slice(1).map((at, index) => at - (away.connects[index] ?? 0));
      assert.deepEqual(waits.slice(0, 5), [500, 1000, 2000, 4000, 8000]);
      assert.ok(waits.every((wait) => wait <= 150_000));
      assert.ok(away.converges.length >= 3, 'it went on converging');
      assert.equal(away.gateway.checkIns.length, 1, 'and checked in once the gateway was back');
      assert.equal(away.renewals, 0);
    });
  });

  test('refused by gateway and identity service alike, it ends with a clear error', async () => {
    await withState(async (state) => {
      let renewals = 0;
      const running = simulate(state, () => 'go on', {
        connect: () => Promise.reject(new SessionError('unauthenticated', 'no')),
        async renew() {
          renewals += 1;
          return 'refused';
        },
      });
      await assert.rejects(running, (error) => error instanceof AgentError && error.code === 'refused');
      assert.equal(renewals, 3);
    });
  });

  test('refused by the gateway alone, it renews, tries again at once, and then seldom', async () => {
    await withState(async (state) => {
      const connects: number[] = [];
      let clock = () => 0;
      const world = await simulate(
        state,
        (rest, current) => {
          clock = () => current.time;
          return rest === 4 ? 'stop' : 'go on';
        },
        {
          connect() {
            connects.push(clock());
            return Promise.reject(new SessionError('unauthenticated', 'no'));
          },
        },
      );
      assert.ok(connects.length >= 3);
      assert.equal(world.renewals, connects.length);
      assert.ok((connects.at(-1) ?? 0) - (connects.at(-2) ?? 0) >= 15 * 60_000);
    });
  });

  test('a session that ends is opened again, and a drain is obeyed', async () => {
    await withState(async (state) => {
      const world = await simulate(state, (rest, { gateway, push }) => {
        if (rest === 0) {
          push({ kind: 'drain', reconnectAfterMs: 7_000 });
        } else if (rest === 2) {
          gateway.end(new SessionError('unavailable', 'gone'));
        }
        return rest === 5 ? 'stop' : 'go on';
      });
      assert.ok(world.connects.length >= 3, JSON.stringify(world));
      assert.equal((world.connects[1] ?? 0) - (world.connects[0] ?? 0), 7_000);
    });
  });

  test('a gateway that says "come back now" for ever is held to a pace', async () => {
    await withState(async (state) => {
      const world = await simulate(state, (rest, { gateway }) => {
        gateway.nextCheckInMs = rest % 2 === 0 ? 0 : 2 ** 32 - 1;
        return rest === 4 ? 'stop' : 'go on';
      });
      assert.ok(world.rests.every((ms) => ms >= 1_000));
    });
  });

  test('quarantined, it takes no release and goes on with what is held', async () => {
    await withState(async (state) => {
      const world = await simulate(state, (rest, { gateway, fleet, push }) => {
        gateway.quarantined = true;
        gateway.current = fleet.publish(note('x'));
        push({ kind: 'wake', run: false });
        return rest === 2 ? 'stop' : 'go on';
      });
      assert.equal(await world.held.floor(), undefined);
      assert.ok(world.gateway.checkIns.length >= 2);
    });
  });

  test('facts are told when they are wanted; an order to run converges at once, one to check in does not', async () => {
    await withState(async (state) => {
      let before = 0;
      const world = await simulate(
        state,
        (rest, { converges, push, gateway }) => {
          if (rest === 0) {
            before = converges.length;
            gateway.factsWanted = false;
            push({ kind: 'wake', run: false });
            return 'go on';
          }
          if (rest === 1) {
            assert.equal(converges.length, before, 'only checked in');
            push({ kind: 'wake', run: true });
            return 'go on';
          }
          return 'stop';
        },
        {},
        ({ gateway }) => {
          gateway.factsWanted = true;
        },
      );
      assert.equal(world.gateway.facts.length, 1);
      assert.equal(world.gateway.checkIns[0]?.factsDigest?.length, 32);
      assert.equal(world.gateway.checkIns.length, 3);
      assert.equal(world.converges.length, before + 1);
    });
  });

  test('R37 it proves itself only after a check-in, a run and its report, and gives way to a build that is staged', async () => {
    await withState(async (state) => {
      const pursued: (string | undefined)[] = [];
      let proved = 0;
      const updates = {
        proved: () => {
          proved += 1;
        },
        async pursue(_session: unknown, wanted: { readonly version: string } | undefined) {
          pursued.push(wanted?.version);
          return wanted !== undefined;
        },
      };
      const world = await simulate(
        state,
        (rest, { gateway, push }) => {
          if (rest === 0) {
            gateway.build = { rollout: 1, version: '1.1.0', sha256: 'a'.repeat(64) };
            push({ kind: 'wake', run: false });
          }
          return rest > 5 ? 'stop' : 'go on';
        },
        { updates },
      );
      assert.deepEqual(pursued, [undefined, '1.1.0']);
      assert.ok(proved > 0);
      assert.ok(world.rests.length <= 3, 'it ended by itself');
      assert.equal(world.converges.length > 0, true);
    });
  });

  test('R39 a build that can not check in never says that it proved itself', async () => {
    await withState(async (state) => {
      let proved = 0;
      const updates = {
        proved: () => {
          proved += 1;
        },
        pursue: async () => false,
      };
      const failure = new SessionError('unavailable', 'nobody there');
      const world = await simulate(
        state,
        (rest) => (rest > 3 ? 'stop' : 'go on'),
        { updates },
        (begun) => {
          begun.gateway.failure = failure;
        },
      );
      assert.ok(world.converges.length > 0);
      assert.equal(proved, 0);
    });
  });

  test('an order for a dry run is reported at once, and changes neither the machine nor the time of the next run', async () => {
    await withState(async (state) => {
      let before = 0;
      const world = await simulate(state, (rest, { converges, push }) => {
        if (rest > 0) return 'stop';
        before = converges.length;
        push({ kind: 'wake', run: false, dryRun: true });
        return 'go on';
      });
      assert.equal(world.dryRuns, 1);
      assert.equal(world.converges.length, before);
    });
  });
});
