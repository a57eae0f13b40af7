/** The stream of live events: what it shows, to whom, how many, and when it ends. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { revokeApiToken } from '../../lib/access/api-tokens.ts';
import { localAdminCaller } from '../../lib/access/caller.ts';
import { enroll } from '../../lib/identity/enroll.ts';
import { revokeNode } from '../../lib/identity/nodes.ts';
import { bearerHeaders, createAdminWorld, testSite } from '../../test/fakes/admin.ts';
import { createMachine, createTestFleet, enrollBytes, operator } from '../../test/fakes/fleet.ts';

async function setUp() {
  const fleet = await createTestFleet();
  const world = await createAdminWorld({ store: fleet.store, audit: fleet.audit });
  const viewer = await world.apiToken(await world.user('vera', 'viewer'));
  const open = async (token = viewer.token) => {
    const response = await world.app.request(`${testSite}/v1/events`, { headers: bearerHeaders(token) });
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    return { response, reader };
  };
  return { ...world, fleet, viewer, open };
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

test('nodes and their states are told as they change, by name and state alone, and no entry of the log is', async () => {
  const { fleet, open } = await setUp();
  const stream = await open();
  assert.equal(stream.response.headers.get('content-type'), 'text/event-stream');
  await until(stream, ': open');
  const machine = await createMachine();
  const token = await fleet.token();
  await enroll(fleet.issuance, enrollBytes(machine, token));
  const joined = await until(stream, machine.uuid);
  assert.match(joined, /event: node\ndata: \{"uuid":"[^"]+","state":"active","name":"[^"]+"\}\n\n/);
  await revokeNode(fleet.issuance, { uuid: machine.uuid, actor: operator });
  const revoked = await until(stream, '"state":"revoked"');
  for (const secret of [token, 'node.enroll', 'identityKey', operator.id])
    assert.equal(`${joined}${revoked}`.includes(secret), false, secret);
  await stream.reader?.cancel();
});

test('R20 a stream ends with its credential, before it shows anything more', async () => {
  const { deps, fleet, viewer, open } = await setUp();
  const stream = await open();
  await until(stream, ': open');
  await revokeApiToken(deps, viewer.record, localAdminCaller);
  const machine = await createMachine();
  await enroll(fleet.issuance, enrollBytes(machine, await fleet.token()));
  let seen = '';
  for (;;) {
    const { value, done } = (await stream.reader?.read()) ?? { done: true };
    if (done) break;
    seen += value;
  }
  assert.equal(seen.includes(machine.uuid), false);
  assert.equal((await open()).response.status, 401);
});

test('one principal holds ten streams at most, others have room, and a closed one makes room again', async () => {
  const { user, apiToken, open } = await setUp();
  const streams = await Promise.all(Array.from({ length: 10 }, () => open()));
  for (const { response } of streams) assert.equal(response.status, 200);
  const refused = await open();
  assert.equal(refused.response.status, 429);
  assert.match(refused.response.headers.get('retry-after') ?? '', /^[0-9]+$/);
  const other = await open((await apiToken(await user('walt', 'viewer'))).token);
  assert.equal(other.response.status, 200);
  await streams[0]?.reader?.cancel();
  const again = await open();
  assert.equal(again.response.status, 200);
  for (const { reader } of [...streams.slice(1), other, again]) await reader?.cancel();
});

test('R26 compliance has no stream', async () => {
  const { user, apiToken, open } = await setUp();
  const { response } = await open((await apiToken(await user('cora', 'compliance'))).token);
  assert.equal(response.status, 403);
});
