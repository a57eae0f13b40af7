import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { type RunReport, RunReportSchema } from '../lib/wire/gen/holdfast/agent/v1/gateway_pb.ts';
import { logger, withState } from '../test/fakes/agent.ts';
import { openReportQueue } from './queue.ts';

const report = (error: string) => create(RunReportSchema, { runId: randomUUID(), error });

/** Takes reports, and remembers them. */
function receiver() {
  const got: RunReport[] = [];
  return {
    got,
    async take(one: RunReport) {
      got.push(one);
      return 'taken' as const;
    },
  };
}

describe('report queue', () => {
  test('reports that are added at the same moment, by a daemon and by hand, are all kept', async () => {
    await withState(async (state) => {
      const queues = await Promise.all(Array.from({ length: 8 }, () => openReportQueue(state, { logger })));
      await Promise.all(queues.map((queue, index) => queue.add(report(String(index)))));
      const { got, take } = receiver();
      await queues[0]?.flush(take);
      assert.deepEqual(got.map(({ error }) => error).sort(), ['0', '1', '2', '3', '4', '5', '6', '7']);
      assert.deepEqual(await readdir(join(state.path, 'queue')), []);
    });
  });

  test('reports survive the process, and are sent once, oldest first', async () => {
    await withState(async (state) => {
      const first = await openReportQueue(state, { logger });
      await first.add(report('a'));
      await first.add(report('b'));
      const second = await openReportQueue(state, { logger });
      await second.add(report('c'));
      const { got, take } = receiver();
      assert.equal(await second.flush(take), 3);
      assert.deepEqual(
        got.map(({ error, droppedRuns }) => [error, droppedRuns]),
        [
          ['a', 0],
          ['b', 0],
          ['c', 0],
        ],
      );
      assert.equal(await second.flush(take), 0);
      assert.equal(await second.size(), 0);
    });
  });

  test('when it is full the oldest goes, and the next report says how many went', async () => {
    await withState(async (state) => {
      const queue = await openReportQueue(state, { logger, maxReports: 3 });
      for (const name of ['a', 'b', 'c', 'd', 'e']) {
        await queue.add(report(name));
      }
      assert.equal(await queue.size(), 3);
      const { got, take } = receiver();
      await queue.flush(take);
      assert.deepEqual(
        got.map(({ error, droppedRuns }) => [error, droppedRuns]),
        [
          ['c', 2],
          ['d', 0],
          ['e', 0],
        ],
      );
    });
  });

  test('a report that was not taken stays, and so does the count', async () => {
    await withState(async (state) => {
      const queue = await openReportQueue(state, { logger, maxReports: 1 });
      await queue.add(report('a'));
      await queue.add(report('b'));
      await assert.rejects(
        queue.flush(() => Promise.reject(new Error('away'))),
        /away/,
      );
      const { got, take } = receiver();
      await queue.flush(take);
      assert.deepEqual(
        got.map(({ error, droppedRuns }) => [error, droppedRuns]),
        [['b', 1]],
      );
    });
  });

  test('a report that is refused for good does not hold up the others, and is counted', async () => {
    await withState(async (state) => {
      const queue = await openReportQueue(state, { logger });
      await queue.add(report('bad'));
      await queue.add(report('good'));
      const { got, take } = receiver();
      await queue.flush(async (one) => (one.error === 'bad' ? 'refused' : take(one)));
      assert.deepEqual(
        got.map(({ error, droppedRuns }) => [error, droppedRuns]),
        [['good', 1]],
      );
    });
  });

  test('a damaged file is set aside under its name, counted, and the rest goes on', async () => {
    await withState(async (state) => {
      const queue = await openReportQueue(state, { logger });
      await queue.add(report('a'));
      await queue.add(report('b'));
      await writeFile(join(state.path, 'queue', '000000000001.report'), Buffer.from([0xff, 0xff, 0xff]));
      const { got, take } = receiver();
      await queue.flush(take);
      assert.deepEqual(
        got.map(({ error, droppedRuns }) => [error, droppedRuns]),
        [['b', 1]],
      );
      assert.ok((await readdir(join(state.path, 'queue'))).includes('000000000001.report.damaged'));
    });
  });
});
