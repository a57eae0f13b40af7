/** Secrets through the whole loop: set, published, resolved, applied, rotated, refused. */
import assert from 'node:assert/strict';
import { mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { SessionError } from '../../agent/session-error.ts';
import { readOwn } from '../../cli/fleet.ts';
import { buildNext, uploadBlobs } from '../../cli/release.ts';
import { signWithKeys } from '../../cli/sign.ts';
import type { EntryView } from '../../functions/admin/routes/audit.ts';
import type { ReadersView, VersionView } from '../../functions/admin/routes/secrets.ts';
import { converge, startFleet, type TestFleet } from './fleet.ts';

const put = (fleet: TestFleet, path: string, value: string | Uint8Array) =>
  fleet.client.put<VersionView>(`/v1/secrets/${encodeURIComponent(path)}`, new Uint8Array(Buffer.from(value)));

async function entries(fleet: TestFleet, type: string): Promise<EntryView['entry'][]> {
  // What was appended is listed once it is sealed.
  for (;;) {
    const page = await fleet.client.get<{ items: EntryView[] }>('/v1/audit/entries', { type, limit: 100 });
    if (page.items.length > 0) return page.items.map(({ entry }) => entry);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const refusedWith = (pattern: RegExp) => (error: unknown) => {
  assert.match(`${(error as Error).message} ${JSON.stringify((error as { details?: unknown }).details)}`, pattern);
  return true;
};

test('R10 R16 a secret reaches a file, by itself and inside text, and follows a rotation without a publish', async (t) => {
  const fleet = await startFleet(t);
  const { root } = fleet;
  await put(fleet, 'db/password', 'pa55 "word"');
  await put(fleet, 'db/user', 'service');
  await put(fleet, 'raw', Buffer.from([0, 255, 10, 128, 7]));
  await fleet.publish(
    [
      `  - file: { path: ${join(root, 'whole')}, content: "secret:db/password" }`,
      `  - file: { path: ${join(root, 'raw')}, content: "secret:raw", mode: "0640" }`,
      `  - file: { path: ${join(root, 'mixed')}, content: "u=\${secret:db/user} p=\${secret:db/password} $\${secret:x}\\n" }`,
      `  - file: { path: ${join(root, 'text')}, content: "\\\\secret:is/text" }`,
      `  - exec: { name: in, command: "cat > ${join(root, 'stdin')}", creates: ${join(root, 'stdin')}, stdin: "secret:db/password" }`,
    ].join('\n'),
  );
  const { agent } = await fleet.join('web-1');
  const first = await converge(agent);
  assert.deepEqual(
    Object.values(first.results),
    ['created', 'created', 'created', 'created', 'created'],
    JSON.stringify(first.once.run.outcomes),
  );
  assert.equal(await readFile(join(root, 'whole'), 'utf8'), 'pa55 "word"');
  assert.equal((await stat(join(root, 'whole'))).mode & 0o777, 0o600);
  assert.equal((await stat(join(root, 'raw'))).mode & 0o777, 0o640);
  assert.deepEqual([...(await readFile(join(root, 'raw')))], [0, 255, 10, 128, 7]);
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the syntax of policy, not of TypeScript
  assert.equal(await readFile(join(root, 'mixed'), 'utf8'), 'u=service p=pa55 "word" ${secret:x}\n');
  assert.equal(await readFile(join(root, 'text'), 'utf8'), 'secret:is/text');
  assert.equal(await readFile(join(root, 'stdin'), 'utf8'), 'pa55 "word"');
  assert.deepEqual([...new Set(Object.values((await converge(agent)).results))], ['unchanged']);

  // Only what depends on what changed is looked at again.
  await put(fleet, 'db/user', 'other');
  const run = await agent.converge({ dryRun: false, secretsOnly: true });
  assert.deepEqual(run.outcomes, [], 'without a session nothing is known to have changed');
  const session = await agent.connect(() => undefined);
  t.after(() => session.close());
  const changed = await agent.converge({ dryRun: false, secretsOnly: true });
  assert.deepEqual(
    changed.outcomes.map(({ resource, result }) => `${resource.split('/').at(-1)} ${result}`),
    ['mixed updated'],
  );
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the syntax of policy, not of TypeScript
  assert.equal(await readFile(join(root, 'mixed'), 'utf8'), 'u=other p=pa55 "word" ${secret:x}\n');
  assert.deepEqual((await agent.converge({ dryRun: false, secretsOnly: true })).outcomes, []);

  const [release] = (await entries(fleet, 'secret.release')).filter(({ op }) => op.phase === 'outcome');
  assert.ok(JSON.stringify(release?.detail).includes('db/user@'));
  const readers = await fleet.client.get<ReadersView>('/v1/secrets/db%2Fuser/readers');
  assert.deepEqual(
    readers.can.map(({ name }) => name),
    ['web-1'],
  );
  assert.ok(readers.read.length >= 1);
});

test('R16 a reference that is in no crate of the node is PERMISSION_DENIED, the same whether it exists or not', async (t) => {
  const fleet = await startFleet(t);
  await put(fleet, 'mine', 'a value');
  await put(fleet, 'others', 'not yours');
  await fleet.publish(`  - file: { path: ${join(fleet.root, 'a')}, content: "secret:mine" }`);
  const { agent } = await fleet.join('web-1');
  await converge(agent);
  const session = await agent.connect(() => undefined);
  t.after(() => session.close());
  const floor = await agent.held.floor();
  const releaseDigest = floor?.digest ?? '';
  const denials: unknown[] = [];
  for (const paths of [['others'], ['nothing/here'], ['mine', 'others']]) {
    await session.resolveSecrets({ releaseDigest, paths }).then(
      () => assert.fail('was answered'),
      (error) => {
        assert.ok(error instanceof SessionError && error.reason === 'PERMISSION_DENIED');
        denials.push({ reason: error.reason, message: error.message });
      },
    );
  }
  assert.deepEqual(denials[0], denials[1]);
  const refusals = await entries(fleet, 'secret.refuse');
  assert.equal(JSON.stringify(refusals).includes('others') || JSON.stringify(refusals).includes('nothing/here'), false);
  await assert.rejects(session.resolveSecrets({ releaseDigest: '0'.repeat(64), paths: ['mine'] }), {
    reason: 'RELEASE_CHANGED',
  });
  await assert.rejects(session.resolveSecrets({ releaseDigest, paths: ['../x'] }), { reason: 'INVALID_REQUEST' });
});

test('R10 publish refuses what could leak or does not exist, and says why', async (t) => {
  const fleet = await startFleet(t);
  const { root } = fleet;
  await put(fleet, 'key', 'the value');
  const refusals: readonly (readonly [string, RegExp])[] = [
    [`  - file: { path: ${join(root, 'a')}, content: "secret:absent" }`, /do not exist: secret:absent/],
    [`  - file: { path: ${join(root, 'a')}, content: "secret:key", mode: "0644" }`, /error/],
    [`  - file: { path: "secret:key", content: x }`, /error/],
    [`  - exec: { command: "echo \${secret:key}", unless: "true" }`, /error/],
    [`  - exec: { command: [echo, "secret:key"], unless: "true" }`, /error/],
    [`  - exec: { command: "true", unless: "test \${secret:key}" }`, /error/],
    [`  - line: { path: ${join(root, 'a')}, line: "secret:key" }`, /error/],
    [`  - file: { path: ${join(root, 'a')}, content: "secret:Not A Path" }`, /error/],
    [`  - file: { path: ${join(root, 'a')}, content: { $secret: { path: key } } }`, /error/],
  ];
  for (const [resource, reason] of refusals) {
    await assert.rejects(fleet.publish(`${resource}\n`), refusedWith(reason), resource);
  }
});

test('R10 with the provider out of reach publish is refused, nodes go on with the rest, and nothing falls back', async (t) => {
  const fleet = await startFleet(t);
  const { root, state } = fleet;
  await put(fleet, 'key', 'the value');
  const resources = `  - file: { path: ${join(root, 'secret')}, content: "secret:key" }\n  - file: { path: ${join(root, 'plain')}, content: hello }\n`;
  await fleet.publish(resources);
  const { agent } = await fleet.join('web-1');
  const values = join(state, 'secrets', 'values');
  await rename(values, `${values}-gone`);

  await assert.rejects(fleet.publish(resources), refusedWith(/secrets provider can't be asked/));
  const { results, once } = await converge(agent);
  assert.equal(results[`base/file/${join(root, 'secret')}`], 'failed');
  assert.equal(results[`base/file/${join(root, 'plain')}`], 'created');
  assert.match(once.run.outcomes[0]?.reason ?? '', /secret:key: the provider can not give it/);
  await assert.rejects(stat(join(root, 'secret')), { code: 'ENOENT' });

  await rename(`${values}-gone`, values);
  assert.equal((await converge(agent)).results[`base/file/${join(root, 'secret')}`], 'created');
  // A deleted secret fails what needs it, and what stands is left as it is.
  await fleet.client.post('/v1/secrets/key/delete', {});
  const after = await converge(agent);
  assert.equal(after.results[`base/file/${join(root, 'secret')}`], 'failed');
  assert.equal(await readFile(join(root, 'secret'), 'utf8'), 'the value');
  // So does a gateway that is away.
  await fleet.server.close();
  await writeFile(join(root, 'plain'), 'drift');
  const offline = await converge(agent);
  assert.equal(offline.results[`base/file/${join(root, 'plain')}`], 'updated');
  assert.match(offline.once.run.outcomes[0]?.reason ?? '', /the control plane is not reachable/);
});

test('a template shows a secret of a var, in a file that is closed to others', async (t) => {
  const fleet = await startFleet(t);
  const folder = join(fleet.directory, 'policy', 'crates', 'app', 'files');
  await mkdir(folder, { recursive: true });
  await put(fleet, 'db/password', 'pa55-w0rd');
  await writeFile(join(folder, 'conf'), 'password = {{ vars.password }}\nhost = {{ vars.host }}\n');
  await writeFile(
    join(folder, '..', 'crate.yaml'),
    `crate: app\nvars: { password: "secret:db/password", host: localhost }\nresources:\n  - file: { path: ${join(fleet.root, 'conf')}, template: files/conf }\n`,
  );
  await writeFile(
    join(fleet.directory, 'policy', 'holdfast.yaml'),
    'bindings:\n  - match: { labels: { role: test } }\n    crates: [app]\n',
  );
  const built = await buildNext(
    fleet.client,
    await readOwn(fleet.server.paths.operatorFleet),
    join(fleet.directory, 'policy'),
  );
  for (const [, blob] of built.blobs) assert.equal(Buffer.from(blob).includes('pa55-w0rd'), false);
  await uploadBlobs(fleet.client, built.blobs);
  await fleet.client.post('/v1/releases', {
    manifest: Buffer.from(built.manifest).toString('base64url'),
    signatures: await signWithKeys(built.manifest, [fleet.keyFile]),
  });
  const { agent } = await fleet.join('web-1');
  const { results, once } = await converge(agent);
  assert.deepEqual(Object.values(results), ['created'], JSON.stringify(once.run.outcomes));
  assert.equal(await readFile(join(fleet.root, 'conf'), 'utf8'), 'password = pa55-w0rd\nhost = localhost\n');
  assert.equal((await stat(join(fleet.root, 'conf'))).mode & 0o777, 0o600);
});
