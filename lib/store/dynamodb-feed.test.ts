import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rejectsWith } from '../../test/conformance/store-cases.ts';
import { createFakeStream } from '../../test/fakes/dynamodb-stream.ts';
import { openDynamoFeed } from './dynamodb-feed.ts';
import type { ChangeFeed, FeedPosition } from './port.ts';

const hour = 3_600_000;

function setUp() {
  const clock = { ms: 0 };
  const stream = createFakeStream(() => clock.ms);
  const open = () =>
    openDynamoFeed({
      streams: stream.client,
      streamArn: stream.arn,
      now: () => clock.ms,
      pause: async () => stream.onPause(),
      closed: new AbortController().signal,
    });
  return { clock, stream, open, feed: open() };
}

async function readAll(feed: ChangeFeed, from: FeedPosition, limit = 100) {
  const seen: string[] = [];
  let position = from;
  for (let empty = 0; empty < 3; ) {
    const read = await feed.read(position, { limit, waitMs: 0 });
    seen.push(...read.changes.map(({ key, item }) => `${key.sk}${item?.['n'] ?? 'x'}`));
    position = read.position;
    empty = read.changes.length === 0 ? empty + 1 : 0;
  }
  return { seen, position };
}

test('a shard that splits is read to its end before its children, also across instances and pages', async () => {
  for (const limit of [1, 2, 3, 100]) {
    const { stream, feed, open } = setUp();
    stream.addShard('a');
    stream.write('a', 'k', 0);
    const start = await feed.now();
    // More than one page of the parent, so that a child that is read too early comes in between.
    for (let n = 1; n <= 5; n += 1) stream.write('a', 'k', n);
    stream.write('a', 'l', 1);
    stream.split('a', ['b', 'c']);
    stream.write('b', 'k', 6);
    stream.write('c', 'l', 2);
    stream.write('b', 'k', 7);
    stream.split('b', ['d']);
    stream.write('d', 'k', 8);
    for (const reader of [feed, open()]) {
      const { seen } = await readAll(reader, start, limit);
      assert.deepEqual(
        seen.filter((each) => each.startsWith('k')),
        ['k1', 'k2', 'k3', 'k4', 'k5', 'k6', 'k7', 'k8'],
        `limit ${limit}`,
      );
      assert.deepEqual(
        seen.filter((each) => each.startsWith('l')),
        ['l1', 'l2'],
      );
    }
  }
});

test('a shard that closes between the list and its iterator loses nothing', async () => {
  const { stream, feed } = setUp();
  stream.addShard('a');
  stream.write('a', 'k', 0);
  stream.onceListed(() => {
    stream.split('a', ['b']);
    stream.write('b', 'k', 1);
  });
  const position = await feed.now();
  assert.deepEqual((await readAll(feed, position)).seen, ['k1']);
});

test('children of a shard that was closed already at the position are read from their beginning', async () => {
  const { clock, stream, feed } = setUp();
  stream.addShard('a');
  stream.addShard('other');
  stream.write('a', 'k', 0);
  stream.close('a');
  const position = await feed.now();
  stream.addShard('b', 'a');
  stream.write('b', 'k', 1);
  // A list that shows no child of a closed shard is not used for long.
  clock.ms += 1_000;
  assert.deepEqual((await readAll(feed, position)).seen, ['k1']);
});

test('R08 a stream that is disabled, or has no open shard, is unavailable: its silence means nothing', async () => {
  const { clock, stream, feed } = setUp();
  stream.addShard('a');
  const position = await feed.now();
  stream.close('a');
  const { position: end } = await feed.read(position, { limit: 1, waitMs: 0 });
  await rejectsWith('unavailable', feed.read(end, { limit: 1, waitMs: 0 }));
  stream.addShard('b', 'a');
  clock.ms += 1_000;
  const { position: healthy } = await feed.read(end, { limit: 1, waitMs: 0 });
  stream.status = 'DISABLED';
  clock.ms += 30_000;
  await rejectsWith('unavailable', feed.read(healthy, { limit: 1, waitMs: 0 }));
  await rejectsWith('unavailable', feed.now());
});

test('a reading that could not ask every shard is unavailable, not empty', async () => {
  const { stream, feed } = setUp();
  stream.addShard('a');
  stream.addShard('b');
  const position = await feed.now();
  stream.write('a', 'k', 1);
  stream.failing.set('b', 'LimitExceededException');
  await rejectsWith('unavailable', feed.read(position, { limit: 10, waitMs: 0 }));
  stream.failing.clear();
  assert.deepEqual((await readAll(feed, position)).seen, ['k1']);
});

test('a waiting reading goes on after a throttled poll', async () => {
  const { stream, feed } = setUp();
  stream.addShard('a');
  const position = await feed.now();
  stream.failing.set('a', 'ThrottlingException');
  stream.onPause = () => {
    stream.failing.clear();
    stream.write('a', 'k', 1);
    stream.onPause = () => {};
  };
  const { changes } = await feed.read(position, { limit: 10, waitMs: 60_000 });
  assert.equal(changes.length, 1);
});

test('one busy shard does not keep the others waiting', async () => {
  const { stream, feed } = setUp();
  for (const id of ['a', 'b', 'c']) stream.addShard(id);
  let position = await feed.now();
  for (let n = 0; n < 50; n += 1) stream.write('a', 'busy', n);
  stream.write('c', 'quiet', 1);
  const seen: string[] = [];
  for (let reads = 0; reads < 4; reads += 1) {
    const read = await feed.read(position, { limit: 1, waitMs: 0 });
    seen.push(...read.changes.map(({ key }) => key.sk));
    position = read.position;
  }
  assert(seen.includes('quiet'), seen.join());
});

test('R08 trimmed records, a vanished shard, another stream and an old position are expired, never skipped', async () => {
  const expired = async (spoil: (made: ReturnType<typeof setUp>) => void) => {
    const made = setUp();
    made.stream.addShard('a');
    const start = await made.feed.now();
    made.stream.write('a', 'k', 1);
    const { position } = await made.feed.read(start, { limit: 1, waitMs: 0 });
    spoil(made);
    await rejectsWith('feed_expired', made.open().read(position, { limit: 1, waitMs: 0 }));
  };
  await expired(({ stream }) => {
    stream.write('a', 'k', 2);
    stream.trim('a');
  });
  await expired(({ stream }) => stream.remove('a'));
  await expired(({ clock }) => {
    clock.ms += 23 * hour + 1;
  });
  await expired(({ stream }) => {
    stream.arn = stream.arn.replace(/[^/]+$/, '2031-01-01');
  });
});

test('a position without a sequence number expires with its iterator; a kept iterator is only a short cut', async () => {
  const { clock, stream, feed, open } = setUp();
  stream.addShard('a');
  const start = await feed.now();
  stream.write('a', 'k', 1);
  const { position } = await feed.read(start, { limit: 10, waitMs: 0 });
  clock.ms += hour;
  stream.write('a', 'k', 2);
  await rejectsWith('feed_expired', open().read(start, { limit: 1, waitMs: 0 }));
  assert.deepEqual((await readAll(feed, position)).seen, ['k2']);
});

test('a stream without new images is refused', async () => {
  const { stream, feed } = setUp();
  stream.addShard('a');
  const position = await feed.now();
  stream.writeKeysOnly('a', 'k');
  await rejectsWith('corrupt', feed.read(position, { limit: 1, waitMs: 0 }));
});
