/** R32: the shipped SQL over what S3 holds. It finds nothing in a whole feed, and each thing that is done to one. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import type { MappingName } from '../../lib/siem/config.ts';
import type { FeedEvent } from '../../lib/siem/event.ts';
import { mapToText } from '../../lib/siem/mappings/map.ts';
import { startHttpsReceiver } from '../fakes/https-receiver.ts';
import { createLoopbackTls } from '../fakes/loopback-tls.ts';
import { batchOf, stubOf, testLog } from '../fakes/siem-events.ts';
import { httpFixtures } from '../fakes/siem-receivers.ts';
import { filteredFeed, heartbeatAfter, wholeFeed, withHeartbeat } from './feed.ts';
import { findingsOf, skipWithout } from './tools.ts';

const skip = skipWithout('npm');
const linesOf = (events: readonly FeedEvent[], mapping: MappingName = 'raw') =>
  events.map((event) => mapToText(mapping, event, { log: testLog }));
type Line = Record<string, unknown>;
const change = (line: string, edit: (value: Line) => Line) => JSON.stringify(edit(JSON.parse(line)));

async function assertFinds(t: TestContext, lines: readonly string[], ...expected: readonly string[]) {
  const found = await findingsOf(t, lines);
  assert.deepEqual(
    [...new Set(found.map(({ finding }) => finding))].sort(),
    [...expected].sort(),
    JSON.stringify(found),
  );
  return found;
}

test('R32 what the S3 destination wrote is whole, byte for byte', { skip }, async (t) => {
  const tls = await createLoopbackTls();
  const fixture = httpFixtures['s3']!;
  const receiver = fixture.receiver();
  const server = await startHttpsReceiver(tls, receiver.handle);
  const destination = fixture.open(server.base, { allow: ['127.0.0.0/8'], ca: tls.ca, pins: [] });
  t.after(async () => {
    await destination.close();
    await server.close();
  });
  const events = wholeFeed(300);
  const send = (part: readonly FeedEvent[], id: string) =>
    destination.send(batchOf(part, { id }), fixture.credentials, AbortSignal.timeout(10_000));
  assert.deepEqual(await send(events.slice(0, 150), 'a'.repeat(32)), { kind: 'delivered' });
  assert.deepEqual(await send([...events.slice(150), heartbeatAfter(events)], 'b'.repeat(32)), { kind: 'delivered' });
  // Twice: the object stands already.
  assert.deepEqual(await send(events.slice(0, 150), 'a'.repeat(32)), { kind: 'delivered' });
  assert.deepEqual(
    receiver.taken.slice(0, 300).map(({ raw }) => raw),
    events.map(({ raw }) => Buffer.from(raw!).toString()),
  );
  const objects = new Map(server.requests.map(({ path, body }) => [path, body]));
  assert.equal(objects.size, 2);
  const lines = [...objects.values()].flatMap((body) => gunzipSync(body).toString().trimEnd().split('\n'));
  await assertFinds(t, lines);
});

test('R32 whole and filtered feeds, in each JSON mapping, and one with a stub: nothing to find', {
  skip,
}, async (t) => {
  for (const mapping of ['raw', 'ocsf', 'ecs'] as const)
    await assertFinds(t, linesOf(withHeartbeat(wholeFeed(60)), mapping));
  await assertFinds(t, linesOf(withHeartbeat(filteredFeed(60))));
  const events = wholeFeed(10);
  await assertFinds(
    t,
    linesOf([...events.slice(0, 4), { ...without(stubOf(events[4]!)) }, ...events.slice(5), heartbeatAfter(events)]),
  );
});

test('R32 tampering is found: in the bytes, in the hashes, and by who computes the hashes anew', {
  skip,
}, async (t) => {
  const lines = linesOf(withHeartbeat(wholeFeed(40)));
  const edited = lines.with(
    7,
    change(lines[7]!, (line) => ({ ...line, raw: `${line['raw']}`.replace('"ada"', '"eve"') })),
  );
  assert.deepEqual(
    (await assertFinds(t, edited, 'tampered')).map(({ seq }) => seq),
    [7],
  );
  const rehashed = edited.with(
    7,
    change(edited[7]!, (line) => ({ ...line, body: sha256(`${line['raw']}`) })),
  );
  assert.deepEqual(
    (await assertFinds(t, rehashed, 'tampered')).map(({ seq }) => seq),
    [7],
  );
  const chained = rehashed.with(7, change(rehashed[7]!, rechain));
  assert.deepEqual(
    (await assertFinds(t, chained, 'tampered')).map(({ seq }) => seq),
    [8],
  );
  // Computed anew to the end: the heartbeat knows better, and so does the signed checkpoint.
  const all = chained.slice(0, 40);
  for (let i = 8; i < 40; i += 1) {
    const previous = JSON.parse(all[i - 1]!).chain;
    all[i] = change(all[i]!, (line) => rechain({ ...line, previous }));
  }
  assert.deepEqual(
    (await assertFinds(t, [...all, lines[40]!], 'tampered')).map(({ seq }) => seq),
    [39],
  );
});

test('R32 swapped, forged and inserted entries are found', { skip }, async (t) => {
  const lines = linesOf(withHeartbeat(wholeFeed(20)));
  const seqOf = (i: number) => JSON.parse(lines[i]!).seq;
  const swapped = lines
    .with(
      5,
      change(lines[5]!, (line) => ({ ...line, seq: seqOf(6) })),
    )
    .with(
      6,
      change(lines[6]!, (line) => ({ ...line, seq: seqOf(5) })),
    );
  await assertFinds(t, swapped, 'tampered');
  const twin = change(lines[5]!, (line) => rechain({ ...line, raw: '{}', body: sha256('{}') }));
  assert.ok((await findingsOf(t, [...lines, twin])).some(({ finding, seq }) => finding === 'tampered' && seq === 5));
  const other = change(lines[0]!, (line) => rechain({ ...line, previous: '0'.repeat(64) }));
  await assertFinds(t, lines.with(0, other), 'tampered');
});

test('R32 loss is found: in the middle, at the end, at the beginning, and in a filtered feed', { skip }, async (t) => {
  const lines = linesOf(withHeartbeat(wholeFeed(30)));
  const cut = (from: number, count: number, of = lines) => of.toSpliced(from, count);
  assert.deepEqual(
    (await assertFinds(t, cut(11, 2), 'gap')).map(({ seq }) => seq),
    [11],
  );
  assert.deepEqual(
    (await assertFinds(t, cut(29, 1), 'gap')).map(({ seq }) => seq),
    [29],
  );
  await assertFinds(t, cut(0, 1), 'gap');
  await assertFinds(t, cut(0, 30), 'gap');
  const filtered = linesOf(withHeartbeat(filteredFeed(30)));
  await assertFinds(t, cut(5, 1, filtered), 'gap');
  await assertFinds(t, cut(filtered.length - 2, 1, filtered), 'gap');
});

test('R32 duplicates are found, and so is silence', { skip }, async (t) => {
  const lines = linesOf(withHeartbeat(wholeFeed(12)));
  assert.deepEqual(
    (await assertFinds(t, [...lines, lines[3]!], 'duplicate')).map(({ seq }) => seq),
    [3],
  );
  const old = lines.map((line) =>
    change(line, (value) => ({ ...value, time: new Date(Date.now() - 400_000).toISOString() })),
  );
  await assertFinds(t, old, 'silence');
});

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function rechain(line: Line): Line {
  return {
    ...line,
    chain: sha256(`holdfast/chain/v1|${line['log']}|${line['seq']}|${line['body']}|${line['previous']}`),
  };
}

function without({ dseq: _, ...stub }: ReturnType<typeof stubOf>) {
  return stub;
}
