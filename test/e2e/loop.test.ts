/** The whole loop in one process: an operator signs, a machine joins, converges, drifts and is repaired, is revoked and refused, and the log proves it. */
import assert from 'node:assert/strict';
import { cp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { AgentError } from '../../agent/errors.ts';
import { join as joinFleet } from '../../agent/join.ts';
import type { EntryView } from '../../functions/admin/routes/audit.ts';
import type { NodeView } from '../../functions/admin/routes/nodes.ts';
import type { RunView } from '../../functions/admin/routes/runs.ts';
import { openDirectorySource } from '../../lib/audit/source-directory.ts';
import { isSound } from '../../lib/audit/verdicts.ts';
import { verifyLog } from '../../lib/audit/verify.ts';
import { parseVerifierKey } from '../../lib/crypto/note.ts';
import { converge, startFleet, type TestFleet } from './fleet.ts';

const motd = (root: string, text: string) =>
  `  - file:\n      path: ${join(root, 'motd')}\n      content: ${JSON.stringify(text)}\n      mode: "0640"\n`;

const isRefused = (error: unknown) => error instanceof AgentError && error.code === 'refused';

test('R50 signed policy reaches a node, is held there against drift, and every step is in a log that verifies', async (t) => {
  const fleet = await startFleet(t);
  const { client, root, server } = fleet;
  const path = join(root, 'motd');

  const first = await fleet.publish(motd(root, 'one\n'));
  assert.equal(first.number, 1);
  const { agent, uuid } = await fleet.join('web-1');

  const created = await converge(agent);
  assert.deepEqual(Object.values(created.results), ['created']);
  assert.equal(await readFile(path, 'utf8'), 'one\n');

  // R17
  assert.deepEqual(Object.values((await converge(agent)).results), ['unchanged']);

  await writeFile(path, 'something else\n');
  assert.deepEqual(Object.values((await converge(agent)).results), ['updated']);
  assert.equal(await readFile(path, 'utf8'), 'one\n');

  assert.equal((await fleet.publish(motd(root, 'two\n'))).number, 2);
  const updated = await converge(agent);
  assert.equal(updated.once.release, 'adopted');
  assert.equal(await readFile(path, 'utf8'), 'two\n');

  const runs = await client.get<{ items: RunView[] }>(`/v1/nodes/${uuid}/runs`);
  assert.deepEqual(
    runs.items.map((run) => [
      run.release?.number,
      run.counts['created'],
      run.counts['updated'],
      run.counts['unchanged'],
    ]),
    [
      [2, 0, 1, 0],
      [1, 0, 1, 0],
      [1, 0, 0, 1],
      [1, 1, 0, 0],
    ],
  );

  // The list is of the sealed log, which follows within a second.
  await t.waitFor(
    async () => {
      const entries = await client.get<{ items: EntryView[] }>('/v1/audit/entries', { order: 'oldest', limit: 500 });
      const types = entries.items.map(({ entry }) => entry.op.type);
      for (const type of ['fleet.create', 'server.start', 'policy.publish', 'token.create', 'node.enroll'])
        assert.ok(types.includes(type), `${type} is in the log`);
    },
    { timeout: 20_000, interval: 100 },
  );

  await server.close();
  const verdicts = await verifyLog({
    source: openDirectorySource(server.paths.log),
    verifiers: [parseVerifierKey(server.fleet.descriptor.log.key)],
    now: Date.now,
  });
  assert.ok(isSound(verdicts), JSON.stringify(verdicts));
  assert.equal(verdicts.integrity.verdict, 'pass');
  assert.equal(verdicts.completeness.verdict, 'pass');
});

test('R08 R09 a revoked node is refused at its next run, and its UUID with a fresh token', async (t) => {
  const fleet = await startFleet(t);
  await fleet.publish(motd(fleet.root, 'one\n'));
  const { agent, uuid, state } = await fleet.join('web-1');
  await converge(agent);

  const revoked = await fleet.client.post<NodeView>(`/v1/nodes/${uuid}/revoke`, { reason: 'lost' });
  assert.equal(revoked.state, 'revoked');
  await fleet.publish(motd(fleet.root, 'two\n'));
  await assert.rejects(converge(agent), isRefused);
  assert.equal(await readFile(join(fleet.root, 'motd'), 'utf8'), 'one\n');

  const { token } = await fleet.token();
  const { hashTokenSecret, parseEnrollmentToken } = await import('../../lib/crypto/token.ts');
  const attempt = { v: 1, uuid, hostname: 'web-1', token: hashTokenSecret(parseEnrollmentToken(token).secret) };
  await writeFile(join(state, 'joining.json'), JSON.stringify(attempt), { mode: 0o600 });
  await rm(join(state, 'node.json'));
  await assert.rejects(
    joinFleet({ server: fleet.server.url, token, stateDir: state, version: '0.0.0', now: Date.now }),
    isRefused,
  );
});

test('R29 a log that was changed anywhere does not verify', async (t) => {
  const fleet = await startFleet(t);
  await fleet.publish(motd(fleet.root, 'one\n'));
  await fleet.server.close();
  const verifiers = [parseVerifierKey(fleet.server.fleet.descriptor.log.key)];
  const verify = (directory: string) => verifyLog({ source: openDirectorySource(directory), verifiers, now: Date.now });
  assert.ok(isSound(await verify(fleet.server.paths.log)));

  for (const [name, change] of Object.entries(changes)) {
    const copy = join(fleet.directory, `log-${name}`);
    await cp(fleet.server.paths.log, copy, { recursive: true });
    await change(copy, await bundleOf(fleet, copy));
    assert.equal(isSound(await verify(copy)), false, name);
  }
});

/** Each is given the directory and the path of its only bundle of entries. */
const changes: { readonly [name: string]: (directory: string, bundle: string) => Promise<void> } = {
  async 'one byte of an entry'(_directory, bundle) {
    const bytes = await readFile(bundle);
    bytes[200] = (bytes[200] ?? 0) ^ 1;
    await writeFile(bundle, bytes);
  },
  async 'no entries'(_directory, bundle) {
    await rm(bundle);
  },
  async 'another size'(directory) {
    const note = await readFile(join(directory, 'checkpoint'), 'utf8');
    const lines = note.split('\n');
    lines[1] = String(Number(lines[1]) - 1);
    await writeFile(join(directory, 'checkpoint'), lines.join('\n'));
  },
  async 'no checkpoint'(directory) {
    await rm(join(directory, 'checkpoint'));
  },
};

async function bundleOf(fleet: TestFleet, directory: string): Promise<string> {
  const size = (await readFile(join(fleet.server.paths.log, 'checkpoint'), 'utf8')).split('\n')[1];
  return join(directory, 'tile', 'entries', '000.p', String(size));
}
