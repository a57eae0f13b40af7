/** The stream of live events: what it shows, to whom, how many, and when it ends. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setRole, setState } from '../../lib/access/accounts.ts';
import { revokeApiToken } from '../../lib/access/api-tokens.ts';
import { localAdminCaller } from '../../lib/access/caller.ts';
import { resolveSession, sessionLimits } from '../../lib/access/sessions.ts';
import { enroll } from '../../lib/identity/enroll.ts';
import { revokeNode } from '../../lib/identity/nodes.ts';
import { createMemoryStore } from '../../lib/store/memory.ts';
import type { Store } from '../../lib/store/port.ts';
import { bearerHeaders, createAdminWorld, pageHeaders, testSite } from '../../test/fakes/admin.ts';
import { createMachine, createTestFleet, enrollBytes, operator } from '../../test/fakes/fleet.ts';
import { formatCursor } from './routes/page.ts';

async function setUp(store: Store = createMemoryStore()) {
  const fleet = await createTestFleet({ store });
  const world = await createAdminWorld({ store, audit: fleet.audit });
  const viewer = await world.apiToken(await world.user('vera', 'viewer'));
  const open = async (headers: Record<string, string> = {}, app = world.app) => {
    const url = `${testSite}/v1/events`;
    const response = await app.request(url, { headers: { ...bearerHeaders(viewer.token), ...headers } });
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    return { response, reader };
  };
  const join = async () => {
    const machine = await createMachine();
    await enroll(fleet.issuance, enrollBytes(machine, await fleet.token()));
    return machine.uuid;
  };
  return { ...world, fleet, viewer, open, join };
}

type Opened = Awaited<ReturnType<Awaited<ReturnType<typeof setUp>>['open']>>;

/** Reads until the text is there; what came until then. */
async function until({ reader }: Opened, text: string): Promise<string> {
  let seen = '';
  while (!seen.includes(text)) {
    const { value, done } = (await reader?.read()) ?? { done: true };
    if (done) throw new Error(`the stream ended after ${JSON.stringify(seen)}`);
    seen += value;
  }
  return seen;
}

/** What comes until the stream ends. */
async function untilEnd({ reader }: Opened): Promise<string> {
  let seen = '';
  for (;;) {
    const { value, done } = (await reader?.read()) ?? { done: true };
    if (done) return seen;
    seen += value;
  }
}

/** What a client keeps (WHATWG HTML §9.2.6): the newest id, with or without data. */
function lastId(text: string): string {
  return [...text.matchAll(/^id: (.+)$/gm)].at(-1)?.[1] ?? '';
}

/** A store whose feed does not wait: what has nothing to tell says so at once, as if the time had passed. */
function hurried(store: Store): Store {
  const read: Store['feed']['read'] = (after, options) => store.feed.read(after, { ...options, waitMs: 0 });
  return { ...store, feed: { ...store.feed, read } };
}

/** Changes that nobody is told of. */
async function change(store: Store, times: number): Promise<void> {
  for (let i = 0; i < times; i += 100) {
    const writes = Array.from({ length: Math.min(100, times - i) }, (_, n) => ({ pk: 'other', sk: `${i + n}` }));
    await store.transact(writes.map((item) => ({ kind: 'put', item })));
  }
}

test('nodes and their states are told as they change, by name and state alone, and no entry of the log is', async () => {
  const { fleet, open } = await setUp();
  const stream = await open();
  assert.equal(stream.response.headers.get('content-type'), 'text/event-stream');
  await until(stream, ': open');
  const machine = await createMachine();
  const token = await fleet.token();
  await enroll(fleet.issuance, enrollBytes(machine, token));
  const joined = await until(stream, machine.uuid);
  assert.match(joined, /event: node\nid: [A-Za-z0-9_-]+\ndata: \{"uuid":"[^"]+","state":"active","name":"[^"]+"\}\n\n/);
  await revokeNode(fleet.issuance, { uuid: machine.uuid, actor: operator });
  const revoked = await until(stream, '"state":"revoked"');
  for (const secret of [token, 'node.enroll', 'identityKey', operator.id])
    assert.equal(`${joined}${revoked}`.includes(secret), false, secret);
  await stream.reader?.cancel();
});

test('R20 a stream ends with its credential: at the next event, before that is shown', async () => {
  const ends: [
    string,
    (world: Awaited<ReturnType<typeof setUp>>) => Promise<[Record<string, string>, () => Promise<unknown>]>,
  ][] = [
    [
      'revoked token',
      async ({ deps, viewer }) => [
        bearerHeaders(viewer.token),
        () => revokeApiToken(deps, viewer.record, localAdminCaller),
      ],
    ],
    [
      'expired token',
      async ({ apiToken, user, clock }) => {
        const { token } = await apiToken(await user('walt', 'viewer'), { ttlMs: 60_000 });
        return [bearerHeaders(token), async () => Object.assign(clock, { time: clock.time + 60_000 })];
      },
    ],
    [
      'log-out',
      async ({ app, session, user }) => {
        const id = await session(await user('walt', 'viewer'), 'bearer');
        const headers = { ...bearerHeaders(id), 'content-type': 'application/json' };
        const init = { method: 'POST', headers, body: '{}' };
        return [bearerHeaders(id), async () => app.request(`${testSite}/v1/session/end`, init)];
      },
    ],
    [
      'role change under a session',
      async ({ deps, passwords, session, user }) => [
        bearerHeaders(await session(await user('walt', 'admin'), 'bearer')),
        () => setRole({ ...deps, passwords }, { name: 'walt', role: 'viewer', caller: localAdminCaller }),
      ],
    ],
    [
      'role change under a token, to one without the right',
      async ({ deps, passwords, viewer }) => [
        bearerHeaders(viewer.token),
        () => setRole({ ...deps, passwords }, { name: 'vera', role: 'compliance', caller: localAdminCaller }),
      ],
    ],
    [
      'disabled user',
      async ({ deps, passwords, session, user }) => [
        pageHeaders(await session(await user('walt', 'viewer'))),
        () => setState({ ...deps, passwords }, { name: 'walt', state: 'disabled', caller: localAdminCaller }),
      ],
    ],
  ];
  for (const [what, make] of ends) {
    const world = await setUp();
    const [headers, end] = await make(world);
    const request = () => world.app.request(`${testSite}/v1/events`, { headers });
    const response = await request();
    const stream = { response, reader: response.body?.pipeThrough(new TextDecoderStream()).getReader() };
    await until(stream, ': open');
    await world.join();
    await until(stream, 'event: node');
    await end();
    const uuid = await world.join();
    assert.equal((await untilEnd(stream)).includes(uuid), false, what);
    assert.match(String((await request()).status), /^40[13]$/, what);
  }
});

test('R20 a silent stream ends with its credential at the next sign of life', async () => {
  const { deps, viewer, open } = await setUp(hurried(createMemoryStore()));
  const stream = await open();
  await until(stream, ': alive');
  await revokeApiToken(deps, viewer.record, localAdminCaller);
  await untilEnd(stream);
});

test('R20 an open stream is no use of its session, which idles out under it', async () => {
  const { session, sessions, user, open, clock, join } = await setUp();
  const id = await session(await user('walt', 'viewer'), 'bearer');
  const stream = await open(bearerHeaders(id));
  await until(stream, ': open');
  for (let minute = 0; minute < 14; minute += 1) {
    clock.time += 60_000;
    await join();
    await until(stream, 'event: node');
  }
  assert.ok('caller' in (await resolveSession(sessions, id, 'bearer', false)));
  clock.time += sessionLimits.idleMs - 14 * 60_000;
  await join();
  assert.equal((await untilEnd(stream)).includes('event:'), false);
});

test('who comes back with the id of the last event is told what changed meanwhile, and goes on', async () => {
  const { open, join, makeApp } = await setUp();
  const first = await open();
  assert.match(await until(first, ': open'), /^retry: [0-9]+$/m);
  const a = await join();
  const seen = await until(first, a);
  await first.reader?.cancel();
  const [b, c] = [await join(), await join()];
  // Another process of the same control plane knows the id as well.
  const again = await open({ 'last-event-id': lastId(seen) }, makeApp());
  const missed = await until(again, c);
  assert.ok(missed.indexOf(b) < missed.indexOf(c));
  assert.equal(missed.includes(a), false);
  assert.equal(missed.includes('reset'), false);
  const d = await join();
  await until(again, d);
  await again.reader?.cancel();
});

test('a sign of life carries an id too, so that nothing before it is told again', async () => {
  const { open, store, join } = await setUp(hurried(createMemoryStore()));
  const first = await open();
  await until(first, ': alive');
  const a = await join();
  await until(first, a);
  await change(store, 300);
  let text = '';
  while (!/: alive\nid: .+\n\n/.test(text)) text += (await first.reader?.read())?.value ?? '';
  await first.reader?.cancel();
  const again = await open({ 'last-event-id': lastId(text) });
  const b = await join();
  assert.equal((await until(again, b)).includes(a), false);
  await again.reader?.cancel();
});

test('an id from before what is kept, or behind too many changes: a reset, and the stream goes on from there', async () => {
  for (const [reason, store, changes] of [
    ['expired', createMemoryStore({ feedMaxChanges: 500 }), 1_000],
    ['too_many', createMemoryStore(), 10_001],
  ] as const) {
    const { open, join } = await setUp(store);
    const first = await open();
    await until(first, ': open');
    const a = await join();
    const id = lastId(await until(first, a));
    await first.reader?.cancel();
    await change(store, changes);
    const again = await open({ 'last-event-id': id });
    const told = await until(again, 'event: reset');
    assert.match(told, new RegExp(`event: reset\\nid: [A-Za-z0-9_-]+\\ndata: {"reason":"${reason}"}\\n\\n$`));
    const b = await join();
    const after = await until(again, b);
    assert.equal(`${told}${after}`.includes(a), false);
    await again.reader?.cancel();
    // The id of the reset is one to go on from.
    const last = await open({ 'last-event-id': lastId(told) });
    assert.equal((await until(last, b)).includes('reset'), false);
    await last.reader?.cancel();
  }
});

test('just as many changes as are gone through are gone through', async () => {
  const { open, store, join } = await setUp();
  const first = await open();
  const a = await join();
  const id = lastId(await until(first, a));
  await first.reader?.cancel();
  await change(store, 9_900);
  const b = await join();
  const again = await open({ 'last-event-id': id });
  assert.equal((await until(again, b)).includes('reset'), false);
  await again.reader?.cancel();
});

test('an id that this server did not give is answered with a reset, never with a failure', async () => {
  const { open, join } = await setUp();
  const first = await open();
  const good = lastId(await until(first, await join()));
  await first.reader?.cancel();
  for (const id of [
    '',
    'x',
    good.slice(1),
    `${good}A`,
    good.replace(/^./, (c) => (c === 'A' ? 'B' : 'A')),
    'A'.repeat(8_000),
    '0',
  ]) {
    const stream = await open({ 'last-event-id': id });
    assert.equal(stream.response.status, 200, id);
    assert.match(await until(stream, 'event: reset'), /"reason":"unknown"/, id);
    const uuid = await join();
    await until(stream, uuid);
    await stream.reader?.cancel();
  }
  // Whoever makes one up has it read as a position of the feed, which it is not.
  for (const position of ['', 'nonsense', 'a.1', `${'0'.repeat(32)}.99999`]) {
    const stream = await open({ 'last-event-id': formatCursor('events', position) });
    assert.match(await until(stream, 'event: reset'), /"reason":"expired"/, position);
    await stream.reader?.cancel();
  }
});

test('one who reads too slowly is told to read everything anew, rather than cut off', async () => {
  const store = createMemoryStore({ feedMaxChanges: 200 });
  const { open, join } = await setUp(store);
  const stream = await open();
  await until(stream, ': open');
  for (let i = 0; i < 5; i++) await join();
  await until(stream, 'event: node');
  await change(store, 1_000);
  const uuid = await join();
  const told = await until(stream, 'event: reset');
  assert.match(told, /"reason":"expired"/);
  assert.equal(told.includes(uuid), false);
  const next = await join();
  await until(stream, next);
  await stream.reader?.cancel();
});

test('one principal holds ten streams at most, others have room, and a closed one makes room again', async () => {
  const { user, apiToken, open } = await setUp();
  const streams = await Promise.all(Array.from({ length: 10 }, () => open()));
  for (const { response } of streams) assert.equal(response.status, 200);
  const refused = await open();
  assert.equal(refused.response.status, 429);
  assert.match(refused.response.headers.get('retry-after') ?? '', /^[0-9]+$/);
  const other = await open(bearerHeaders((await apiToken(await user('walt', 'viewer'))).token));
  assert.equal(other.response.status, 200);
  await streams[0]?.reader?.cancel();
  const again = await open();
  assert.equal(again.response.status, 200);
  for (const { reader } of [...streams.slice(1), other, again]) await reader?.cancel();
});

test('R26 compliance has no stream', async () => {
  const { user, apiToken, open } = await setUp();
  const { response } = await open(bearerHeaders((await apiToken(await user('cora', 'compliance'))).token));
  assert.equal(response.status, 403);
});
