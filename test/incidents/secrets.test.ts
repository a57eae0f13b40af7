/** Incidents of secrets: where they were found afterwards. What is searched, how, and in which forms is test/fakes/canaries.ts. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { pino } from 'pino';
import { openClient } from '../../cli/client.ts';
import { startStandalone } from '../../functions/standalone/compose.ts';
import { Secret } from '../../lib/crypto/secret.ts';
import { type DataSealer, KeysError } from '../../lib/keys/port.ts';
import { createDataSealer } from '../../lib/keys/sealed-box.ts';
import { SecretsError } from '../../lib/secrets/errors.ts';
import { openLocalSecrets } from '../../lib/secrets/local.ts';
import { converge, startFleet } from '../e2e/fleet.ts';
import { canarySearch, makeCanaries } from '../fakes/canaries.ts';
import { testOperatorKey } from '../fakes/fleet.ts';

async function tree(directory: string): Promise<ReadonlyMap<string, Buffer>> {
  const found = new Map<string, Buffer>();
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile()) found.set(path, await readFile(path));
  }
  return found;
}

type Operations = { readonly paths: { readonly [path: string]: { readonly [method: string]: unknown } } };

test('incident 34: malformed bodies, credentials and values are in no log, no table and no answer', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-incident-'));
  const lines: string[] = [];
  const server = await startStandalone({
    stateDirectory: directory,
    version: '0.0.0',
    logger: pino({ level: 'trace' }, { write: (line) => void lines.push(line) }),
    founding: { name: 'test', operatorKeys: [testOperatorKey()], threshold: 1 },
  });
  const client = await openClient(directory);
  let isOpen = true;
  const close = async () => {
    if (!isOpen) return;
    isOpen = false;
    client.close();
    await server.close();
  };
  t.after(async () => {
    await close();
    await rm(directory, { recursive: true, force: true });
  });
  const canaries = makeCanaries('incident-34').filter(({ path }) => path !== 'large');
  const [plain] = canaries;
  const said: Buffer[] = [];
  for (const { path, value } of canaries) {
    await client.put(`/v1/secrets/${encodeURIComponent(path)}`, new Uint8Array(value));
    await client.put('/v1/secrets/NOT%20A%20PATH', new Uint8Array(value)).catch((error) => said.push(show(error)));
  }
  const token = (await readFile(join(directory, 'run', 'local-admin.token'), 'utf8')).trim();
  const { paths } = await client.get<Operations>('/v1/openapi.json');
  const value = plain?.value.toString() ?? '';
  const broken = [`{"x": "${value}`, JSON.stringify({ unexpected: value, nested: [value] }), `${value}\0`];
  let sent = 0;
  for (const [path, methods] of Object.entries(paths)) {
    for (const method of Object.keys(methods)) {
      // Documents and blobs are kept as they are sent: that is what they are for.
      if (!/^(post|put|delete)$/.test(method) || /rotate|session|documents|blobs/.test(path)) continue;
      const at = path.replaceAll(/\{[^}]+\}/g, '0123456789abcdef');
      for (const body of broken) {
        for (const authorization of [`Bearer ${token}`, `Bearer ${value}`, `Bearer vgot_${value}`]) {
          said.push(await send(`${server.url}${at}`, method.toUpperCase(), { authorization }, body));
          sent += 1;
        }
      }
    }
  }
  assert.ok(sent > 150, String(sent));
  await close();
  const search = canarySearch(canaries);
  const stored = await tree(directory);
  assert.ok(
    [...stored.keys()].some((name) => name.endsWith('store.sqlite')),
    'the store is there to be searched',
  );
  t.diagnostic(`${sent} requests, ${stored.size} files, ${lines.length} log lines were searched`);
  const places = [...stored, ['log', Buffer.from(lines.join(''))], ['answers', Buffer.concat(said)]] as const;
  assert.deepEqual(
    places.flatMap(([where, bytes]) => search(where, bytes)),
    [],
  );
  assert.ok(search('planted', Buffer.from(lines.join('') + value)).length > 0, 'the search finds one');
});

test('incident 35: the agent keeps no secret in its state, after apply, without a change, after a failure and a rotation', async (t) => {
  const fleet = await startFleet(t);
  const { root, client } = fleet;
  const [before, after] = [makeCanaries('incident-35'), makeCanaries('incident-35-rotated')];
  const put = (path: string, value: Buffer) =>
    client.put(`/v1/secrets/${encodeURIComponent(path)}`, new Uint8Array(value));
  for (const { path, value } of before) await put(path, value);
  const leak = 'cat; cat >&2; exit 3';
  await fleet.publish(
    [
      ...before.map(({ path }, i) => `  - file: { path: ${join(root, `f${i}`)}, content: "secret:${path}" }`),
      `  - exec: { name: leak, command: ${JSON.stringify(leak)}, unless: "false", stdin: "secret:plain" }`,
    ].join('\n'),
  );
  const { agent, state } = await fleet.join('web-1');
  const search = canarySearch([...before, ...after]);
  for (const round of ['apply', 'no change', 'rotation']) {
    if (round === 'rotation') for (const { path, value } of after) await put(path, value);
    const { results, once } = await converge(agent);
    const counted = Object.values(results).filter(
      (result) => result === (round === 'no change' ? 'unchanged' : 'created'),
    );
    if (round !== 'rotation') assert.equal(counted.length, before.length, round);
    const kept = await tree(state);
    assert.ok(kept.size > 3, 'the state is there to be searched');
    const said = Buffer.from(JSON.stringify(once, (_, each) => (typeof each === 'bigint' ? `${each}` : each)));
    for (const [where, bytes] of [...kept, ['report', said] as const])
      assert.deepEqual(search(where, bytes), [], round);
  }
  assert.ok((await readFile(join(root, 'f0'))).equals(after[0]?.value ?? Buffer.alloc(0)));
});

test('incident 36: after each rotation what is stored is ciphertext under the expected key; a key store that refuses leaves everything as it was', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-incident-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const path = join(directory, 'secrets');
  const sealer = createDataSealer(new Uint8Array(32).fill(7));
  const open = (by: DataSealer) => openLocalSecrets({ directory: path, sealer: by, now: Date.now });
  const canaries = makeCanaries('incident-36');
  const search = canarySearch(canaries);
  const provider = await open(sealer);
  const secret = (value: Buffer) => new Secret(new Uint8Array(value));
  const stored = async () => {
    const files = await tree(path);
    for (const [where, bytes] of files) assert.deepEqual(search(where, bytes), []);
    return files;
  };
  const keysOf = (files: ReadonlyMap<string, Buffer>) =>
    new Set(
      [...files].flatMap(([name, bytes]) => (name.includes('/values/') ? [bytes.toString('latin1', 0, 16)] : [])),
    );
  for (const rotation of ['set', 'set again', 'master key', 'master key again', 'set after']) {
    if (rotation.startsWith('set')) for (const each of canaries) await provider.set(each.path, secret(each.value));
    const key = rotation.startsWith('master') ? (await provider.rotateMasterKey()).key : undefined;
    const keys = keysOf(await stored());
    assert.equal(keys.size, 1, rotation);
    if (key !== undefined) assert.deepEqual([...keys], [key]);
  }
  const refuse = () => Promise.reject(new KeysError('unavailable', 'denied'));
  const denied = await open({ seal: refuse, open: refuse });
  const before = await stored();
  for (const act of [
    () => denied.set('plain', secret(Buffer.from('another value'))),
    () => denied.rotateMasterKey(),
    () => denied.get('plain'),
  ]) {
    await assert.rejects(act(), (error) => error instanceof SecretsError && error.code === 'unavailable');
  }
  assert.deepEqual(await stored(), before);
  assert.ok(Buffer.from((await provider.get('plain')).value.reveal()).equals(canaries[0]?.value ?? Buffer.alloc(0)));
});

function send(
  url: string,
  method: string,
  headers: { readonly [name: string]: string },
  body: string,
): Promise<Buffer> {
  return new Promise((resolve) => {
    const options = {
      method,
      rejectUnauthorized: false,
      agent: false,
      headers: { ...headers, 'content-type': 'application/json' },
    };
    const outgoing = request(url, options, async (answer) => {
      const chunks: Buffer[] = [Buffer.from(JSON.stringify(answer.headers))];
      for await (const chunk of answer) chunks.push(chunk as Buffer);
      resolve(Buffer.concat(chunks));
    });
    // Bad credentials cost their connection: that is an answer too.
    outgoing.on('error', (error) => resolve(Buffer.from(String(error))));
    outgoing.end(body);
  });
}

function show(error: unknown): Buffer {
  return Buffer.from(JSON.stringify([String(error), error]));
}
