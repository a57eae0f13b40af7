/** The proof of one entry over the admin API: it holds under the log's key, and reading it is recorded. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { askForProof } from '../../cli/commands/audit-prove.ts';
import { CliError } from '../../cli/errors.ts';
import { parseProof, verifyProof } from '../../lib/audit/proof.ts';
import { bearerHeaders, createAdminWorld, testLocalAdminToken, testSite } from '../../test/fakes/admin.ts';
import { createTestLog, testEvent, testOrigin } from '../../test/fakes/audit-log.ts';

async function provingApi(entries: number) {
  const log = await createTestLog();
  const { publication, verifierKey } = log;
  const descriptor = {
    v: 1,
    fleet: 'test',
    ca: '',
    operators: { threshold: 1, keys: ['k'] },
    log: { origin: testOrigin, key: verifierKey },
  } as const;
  const world = await createAdminWorld({ store: log.store, publication, descriptor });
  for (let i = 0; i < entries; i++) await log.writer.append({ ...testEvent, object: { kind: 'token', id: `n${i}` } });
  await log.sealer.sealOnce();
  const get = (path: string, headers = bearerHeaders(testLocalAdminToken)) =>
    world.app.request(`${testSite}${path}`, { headers });
  /** What the command line has of a client, over the app itself. */
  const client = {
    async getBytes(path: string) {
      const answer = await get(path);
      if (answer.status === 404) return undefined;
      assert.equal(answer.status, 200);
      return new Uint8Array(await answer.arrayBuffer());
    },
  };
  const size = Number(
    Buffer.from(publication.files.get('checkpoint') ?? '')
      .toString('utf8')
      .split('\n')[1],
  );
  // The first entry is the log's own, and so is the last.
  return { log, world, get, client, publication, size, first: 1 };
}

test('R26 R30 the proof of an entry is one request, holds under the key of the log, and leaves one audit.read', async () => {
  const { log, world, get, size, first } = await provingApi(300);
  for (const index of [first, 255, 256, first + 299]) {
    const before = world.audit.events.length;
    const answer = await get(`/v1/audit/entries/${index}/proof`);
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get('content-type'), 'text/plain; charset=utf-8');
    const proof = parseProof(await answer.text());
    assert.equal(proof.index, index);
    assert.ok(proof.extra);
    assert.equal(verifyProof(proof, proof.extra, { origin: testOrigin, verifiers: log.verifiers }).size, size);
    assert.equal(JSON.parse(Buffer.from(proof.extra).toString('utf8')).object.id, `n${index - first}`);
    const [read, ...more] = world.audit.events.slice(before);
    assert.deepEqual([read?.type, read?.detail, more], ['audit.read', { from: index, count: 1 }, []]);
  }
});

test('an index that is no index, one that is not signed, a log that takes no entry: refused, and nothing is shown', async () => {
  const { world, get, size } = await provingApi(2);
  const before = world.audit.events.length;
  for (const index of ['-1', '01', '1e3', 'x', '9'.repeat(16)])
    assert.equal((await get(`/v1/audit/entries/${index}/proof`)).status, 400, index);
  for (const index of [size, 999_999_999_999_999])
    assert.equal((await get(`/v1/audit/entries/${index}/proof`)).status, 404, String(index));
  assert.equal(world.audit.events.length, before);
  world.audit.failing = true;
  const refused = await get('/v1/audit/entries/1/proof');
  assert.equal(refused.status, 503);
  assert.doesNotMatch(await refused.text(), /tlog-proof/);
  world.audit.failing = false;
  const auditor = await world.apiToken(await world.user('auditor', 'compliance'));
  assert.equal((await get('/v1/audit/entries/1/proof', bearerHeaders(auditor.token))).status, 403);
});

test('the command line believes a proof only of that entry, under its own copy of the key', async () => {
  const { log, client, size } = await provingApi(5);
  assert.equal((await askForProof(client, 3, log.verifierKey)).index, 3);
  await assert.rejects(askForProof(client, size, log.verifierKey), /no entry [0-9]+ that is signed/);
  const refused = (error: unknown) => error instanceof CliError && error.exit === 'verification';
  const other = { getBytes: () => client.getBytes('/v1/audit/entries/2/proof') };
  await assert.rejects(askForProof(other, 3, log.verifierKey), refused);
  const { verifierKey } = await createTestLog();
  await assert.rejects(askForProof(client, 3, verifierKey), refused);
  const nothing = { getBytes: async () => Buffer.from('<html>') };
  await assert.rejects(askForProof(nothing, 3, log.verifierKey), refused);
});

test('a published tile that was changed proves nothing: no proof is given out, and nothing is shown', async () => {
  const { get, publication, first } = await provingApi(3);
  const [path = '', bytes] = [...publication.files].find(([name]) => name.startsWith('tile/entries/')) ?? [];
  assert.ok(bytes);
  const at = Buffer.from(bytes).indexOf('n1');
  publication.files.set(path, Buffer.from(bytes).fill('z', at, at + 1));
  const refused = await get(`/v1/audit/entries/${first + 1}/proof`);
  assert.equal(refused.status, 500);
  assert.doesNotMatch(await refused.text(), /tlog-proof|n0/);
});
