/**
 * R10–R16, incidents 34 and 35: twenty canary secrets go through everything that handles secrets, failures, crashes and
 * rotation included; then everything that was kept, said or sent is searched for them, in every form. The only places
 * where they may be are the files that resources declare.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Client as GrpcClient } from '@grpc/grpc-js';
import { pino } from 'pino';
import { openAgent } from '../../agent/compose.ts';
import { join as joinFleet } from '../../agent/join.ts';
import { createRedaction } from '../../agent/redaction.ts';
import { runOnce } from '../../agent/run-once.ts';
import { type Client, openClient } from '../../cli/client.ts';
import { readOwn } from '../../cli/fleet.ts';
import { buildNext, uploadBlobs } from '../../cli/release.ts';
import { signWithKeys } from '../../cli/sign.ts';
import type { MintedToken } from '../../functions/admin/routes/tokens.ts';
import { generateEd25519 } from '../../lib/crypto/ed25519.ts';
import { formatSshPrivateKey, formatSshPublicKey, sshPublicKeyOf } from '../../lib/crypto/ssh-key.ts';
import { isPasswordOf } from '../../lib/secrets/password-hash.ts';
import { type Canary, canarySearch, type Hit, makeCanaries } from '../fakes/canaries.ts';
import { createLoopbackTls } from '../fakes/loopback-tls.ts';
import { machineEnvironment, makeMachine } from '../fakes/machine.ts';
import { startSyslogReceiver } from '../fakes/syslog-receiver.ts';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const before = makeCanaries('before');
const after = makeCanaries('after');
const all = [...before, ...after];

test('the search finds a planted canary in every form, so that its silence means something', () => {
  const { value } = before[0] as Canary;
  const search = canarySearch(all);
  for (const [form, planted] of [
    ['raw', value],
    ['base64', Buffer.from(Buffer.concat([Buffer.from('x'), value]).toString('base64'))],
    ['wrapped base64', Buffer.from(value.toString('base64').replace(/.{10}/g, '$&\n'))],
    ['hex', Buffer.from(value.toString('hex'))],
    ['reversed', Buffer.from(value).reverse()],
    ['json', Buffer.from(JSON.stringify(JSON.stringify({ v: value.toString() })))],
  ] as const) {
    assert.ok(search('x', Buffer.concat([Buffer.alloc(50, 1), planted, Buffer.alloc(9)])).length > 0, form);
  }
  for (const each of all) {
    assert.ok(search('x', Buffer.concat([Buffer.from('a'), each.value, Buffer.from('b')])).length > 0, each.path);
  }
  assert.deepEqual(search('x', Buffer.from('nothing to see here'.repeat(100))), []);
});

test('R10 R11 R12 R13 R14 R15 the canary run: no secret is anywhere but where a resource says', async (t) => {
  if (process.platform !== 'linux') return t.skip('looks into /proc');
  const world = await startWorld(t);
  const { client, root, agentState, said } = world;
  const siem = await followBySyslog(t, client);
  for (const { path, value } of before.slice(2)) await client.put(secretUrl(path), new Uint8Array(value));
  // By the command that people use, from standard input.
  for (const { path, value } of before.slice(0, 2)) said.push(await world.cli(['secret', 'set', path], value));
  await client.post('/v1/secrets/made/generate', { length: 40, characters: 'printable' });
  // Malformed: what is refused is not repeated.
  for (const { value } of before.slice(0, 6)) {
    await client
      .put('/v1/secrets/NOT%20A%20PATH', new Uint8Array(value))
      .then(unexpected, (error) => said.push(show(error)));
    const body = { length: value.toString(), unknown: value.toString() };
    await client.post('/v1/secrets/plain/generate', body).then(unexpected, (error) => said.push(show(error)));
  }
  await world.publish();

  const wire = captureWire(t);
  const lines: Buffer[] = [];
  const redaction = createRedaction();
  const logger = pino(
    { level: 'trace', hooks: { streamWrite: (line) => redaction.text(line) } },
    { write: (line) => lines.push(Buffer.from(line)) },
  );
  const enroll = async (role: string, hostname: string, stateDir: string) => {
    const { token } = await client.post<MintedToken>('/v1/tokens', { labels: { role } });
    await joinFleet({ server: world.url, token, stateDir, hostname, version: '0', now: Date.now });
  };
  await enroll('test', 'n1', agentState);
  const common = { agentVersion: '0', logger, redaction };
  const agent = await openAgent({ ...common, stateDirectory: agentState });
  // A second node, whose machine is a directory with accounts that may be changed.
  const people = { machine: join(world.directory, 'machine'), state: join(world.directory, 'node-2') };
  await makeMachine(people.machine);
  await enroll('people', 'n2', people.state);
  const other = await openAgent({
    ...common,
    stateDirectory: people.state,
    machine: { root: people.machine, environment: machineEnvironment(people.machine), platform: 'linux' },
  });
  const run = async (dryRun: boolean, who = agent) => {
    const outcomes: { resource: string; result: string; reason: string }[] = [];
    await runOnce(who, { dryRun, stop: AbortSignal.timeout(60_000), onOutcome: (one) => outcomes.push(one) });
    for (const one of outcomes) logger.debug(one, 'An outcome.');
    said.push(Buffer.from(JSON.stringify(outcomes)));
    return Object.fromEntries(
      outcomes.map(({ resource, result, reason }) => [resource.replace(`${root}/`, ''), { result, reason }]),
    );
  };

  const dry = await run(true);
  assert.equal(dry['app/file/plain']?.result, 'created');
  assert.equal(existsSync(join(root, 'plain')), false, 'a dry run writes nothing');
  const applied = await run(false);
  await assertApplied(root, before, applied);
  assert.equal(applied['app/exec/leaks']?.result, 'failed');
  assert.match(applied['app/exec/leaks']?.reason ?? '', /\[redacted\]/);
  assert.equal(applied['app/file/broken']?.result, 'failed');

  const shadow = async () =>
    /^deploy:([^:]*)/m.exec(await readFile(join(people.machine, 'etc/shadow'), 'utf8'))?.[1] ?? '';
  const first = await run(true, other);
  assert.equal(first['people/user/deploy']?.result, 'created', JSON.stringify(first));
  assert.equal((await run(false, other))['people/user/deploy']?.result, 'created');
  assert.ok(isPasswordOf(before[0]?.value ?? Buffer.alloc(0), await shadow()), 'a hash of the secret is stored');
  assert.equal((await run(false, other))['people/user/deploy']?.result, 'unchanged', 'compared by its own salt');

  for (const { path, value } of after) await client.put(`${secretUrl(path)}/rotate`, new Uint8Array(value));
  await client.post('/v1/secrets-master-key/rotate', {});
  await assertApplied(root, after, await run(false));
  assert.equal((await run(false, other))['people/user/deploy']?.result, 'updated');
  assert.ok(isPasswordOf(after[0]?.value ?? Buffer.alloc(0), await shadow()));
  for (const args of [['list'], ['versions', 'plain'], ['who', 'plain']])
    said.push(await world.cli(['secret', ...args]));
  const exported = join(world.directory, 'export');
  said.push(await world.cli(['audit', 'export', exported]));
  await siem.until('secret.release', 'secret.rotate', 'secret.rotate-master');

  // The agent as a process of its own, killed in the midst of a run that has the secrets.
  await writeFile(join(root, 'slow'), '');
  const child = world.agent(['run', '--state', agentState]);
  const pid = child.pid ?? 0;
  while (!existsSync(join(root, 'started'))) await delay(20);
  const shown = await visibleToOthers();
  assert.ok(shown.includes('holdfast-canary-sleeper'), 'the command under way is among what is looked at');
  for (const each of [pid, world.server.pid])
    assert.equal(Number.parseInt((await readFile(`/proc/${each}/coredump_filter`, 'utf8')).trim(), 16), 0);
  child.kill('SIGKILL');
  world.server.kill('SIGKILL');
  await Promise.all([gone(child), gone(world.server)]);

  const searched = new Map<string, Buffer>();
  for (const [name, buffers] of Object.entries({ said, wire, lines, 'agent output': world.output })) {
    searched.set(name, Buffer.concat(buffers));
  }
  searched.set('/proc', shown);
  searched.set('procs seen by a command', await readFile(join(root, 'procs')));
  searched.set('siem', Buffer.from(siem.messages.join('\n')));
  for (const directory of [world.state, agentState, world.logs, world.policy, exported, people.state, people.machine])
    await readTree(directory, searched);
  const search = canarySearch(all);
  const hits: Hit[] = [...searched].flatMap(([where, bytes]) => search(where, bytes));
  assert.deepEqual(hits, []);
  // And had there been one anywhere, it would have been found there.
  const { value: planted, path: plantedPath } = all[0] as Canary;
  for (const [where, bytes] of [...searched].slice(0, 40)) {
    const found = search(where, Buffer.concat([bytes.subarray(0, 5000), planted, bytes.subarray(5000, 9000)]));
    assert.ok(
      found.some((hit) => hit.path === plantedPath && hit.where === where),
      where,
    );
  }

  // What was searched is what there is: the store with its log, tiles, blobs, sealed values, reports, the wire.
  const names = [...searched.keys()].join('\n');
  for (const part of [
    /store\.sqlite$/m,
    /store\.sqlite-wal/,
    /log\/tile\/entries/,
    /blobs\//,
    /secrets\/values/,
    /release\//,
    /export\//,
    /machine\/etc\/shadow/,
  ]) {
    assert.match(names, part);
  }
  assert.ok((searched.get('wire')?.length ?? 0) > 60 * 1024, 'the sealed values went over the wire');
  assert.ok((searched.get('lines')?.length ?? 0) > 1000, 'the agent logged');
});

/** A receiver of the audit log, as a SIEM is one: all that was delivered to it. */
async function followBySyslog(t: TestContext, client: Client) {
  const tls = await createLoopbackTls();
  const receiver = await startSyslogReceiver(tls);
  t.after(receiver.close);
  const network = { allow: ['127.0.0.0/8'], ca: tls.ca, pins: [] };
  const config = { kind: 'syslog', name: 'siem', host: '127.0.0.1', port: receiver.port, mapping: 'raw', network };
  await client.post('/v1/siem/destinations', { config });
  return {
    messages: receiver.messages,
    async until(...operations: readonly string[]) {
      while (!operations.every((each) => receiver.messages.some((one) => one.includes(each)))) await delay(50);
    },
  };
}

async function assertApplied(
  root: string,
  canaries: readonly Canary[],
  results: { readonly [resource: string]: { readonly result: string; readonly reason: string } },
): Promise<void> {
  for (const { path, value } of canaries) {
    const name = path.replaceAll('/', '-');
    assert.ok(
      (await readFile(join(root, name))).equals(value),
      `${path}: ${JSON.stringify(results[`app/file/${name}`])}`,
    );
  }
  const [{ value: plain }, { value: quotes }] = [canaries[0] as Canary, canaries[2] as Canary];
  assert.equal(await readFile(join(root, 'mixed'), 'utf8'), `a=${plain} b=${quotes}\n`);
  assert.equal(await readFile(join(root, 'rendered'), 'utf8'), `password: ${plain}\n`);
}

async function startWorld(t: TestContext) {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-canary-'));
  const [state, policy, root, logs] = ['state', 'policy', 'root', 'logs'].map((name) => join(directory, name)) as [
    string,
    string,
    string,
    string,
  ];
  for (const path of [join(policy, 'crates', 'app', 'files'), root, logs]) await mkdir(path, { recursive: true });
  const keyFile = join(directory, 'operator');
  const { privateKey, publicKey } = generateEd25519();
  await writeFile(keyFile, formatSshPrivateKey({ privateKey }), { mode: 0o600 });
  const started: ChildProcess[] = [];
  const start = (script: string, args: readonly string[], input: 'ignore' | 'pipe' = 'ignore') => {
    const child = spawn(process.execPath, [here(script), ...args], {
      stdio: [input, 'pipe', 'pipe'],
      env: { PATH: process.env['PATH'] },
    });
    started.push(child);
    return child;
  };
  const server = start('../fakes/canary-server.ts', [
    state,
    formatSshPublicKey(sshPublicKeyOf(publicKey)),
    join(logs, 'server.log'),
  ]);
  let client: Client | undefined;
  t.after(async () => {
    client?.close();
    for (const child of started) child.kill('SIGKILL');
    await Promise.all(started.map(gone));
    await rm(directory, { recursive: true, force: true });
  });
  const output: Buffer[] = [];
  server.stderr?.on('data', (chunk: Buffer) => output.push(chunk));
  const url = await new Promise<string>((resolve, reject) => {
    server.stdout?.once('data', (chunk: Buffer) => resolve(chunk.toString().trim()));
    server.once('exit', () => reject(new Error(`the server did not start: ${Buffer.concat(output)}`)));
  });
  const opened = await openClient(state);
  client = opened;
  return {
    directory,
    state,
    policy,
    root,
    logs,
    server,
    url,
    output,
    client: opened,
    agentState: join(directory, 'node'),
    said: [] as Buffer[],
    publish: () => publish({ policy, root, keyFile, state, client: opened }),
    agent(args: readonly string[]) {
      const child = start('../../agent/holdfast-agent.mjs', args);
      for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => output.push(chunk));
      return child;
    },
    async cli(args: readonly string[], input?: Buffer): Promise<Buffer> {
      const child = start('../../cli/holdfast.mjs', ['--state', state, ...args], 'pipe');
      const chunks: Buffer[] = [];
      for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => chunks.push(chunk));
      child.stdin?.end(input ?? '');
      await gone(child);
      const shown = Buffer.concat(chunks);
      assert.equal(child.exitCode, 0, shown.toString());
      return shown;
    },
  };
}

type Published = {
  readonly policy: string;
  readonly root: string;
  readonly state: string;
  readonly keyFile: string;
  readonly client: Client;
};

async function publish({ policy, root, keyFile, state, client }: Published): Promise<void> {
  const at = (name: string) => JSON.stringify(join(root, name));
  const files = before.map(
    ({ path }) => `  - file: { path: ${at(path.replaceAll('/', '-'))}, content: "secret:${path}" }`,
  );
  // Everything a shell can do to show its input, and then fail.
  const leak =
    'cat > /dev/shm/$$; f=/dev/shm/$$; cat $f; base64 $f; od -An -tx1 $f; sed "s/^/+ /" $f; rev $f 2>/dev/null; cat $f >&2; rm $f; exit 3';
  const look = `cat > /dev/null; for p in /proc/[0-9]*; do cat $p/cmdline $p/environ 2>/dev/null; echo; done > ${join(root, 'procs')}`;
  const slow = `cat > /dev/null; touch ${join(root, 'started')}; exec sh -c 'sleep 60' holdfast-canary-sleeper`;
  const crate = [
    'crate: app',
    'vars: { password: "secret:plain", number: "secret:json" }',
    'resources:',
    ...files,
    `  - file: { path: ${at('mixed')}, content: "a=\${secret:plain} b=\${secret:quotes/single}\\n" }`,
    `  - file: { path: ${at('rendered')}, template: files/rendered }`,
    `  - file: { path: ${at('broken')}, template: files/broken }`,
    ...['leaks', 'leaks-lines', 'leaks-large'].map(
      (name, i) =>
        `  - exec: { name: ${name}, command: ${JSON.stringify(leak)}, unless: "false", stdin: "secret:${['plain', 'lines/pem', 'large'][i]}" }`,
    ),
    `  - exec: { name: look, command: ${JSON.stringify(look)}, creates: ${at('procs')}, stdin: "secret:json" }`,
    `  - exec: { name: slow, command: ${JSON.stringify(slow)}, onlyif: "test -f ${join(root, 'slow')}", stdin: "secret:plain" }`,
  ];
  await writeFile(join(policy, 'crates', 'app', 'crate.yaml'), `${crate.join('\n')}\n`);
  await writeFile(
    join(policy, 'crates', 'people.yaml'),
    'crate: people\nresources:\n  - user: { name: deploy, password: "secret:plain" }\n',
  );
  await writeFile(join(policy, 'crates', 'app', 'files', 'rendered'), 'password: {{ vars.password }}\n');
  // Fails when it is rendered, with the value in its hands.
  await writeFile(
    join(policy, 'crates', 'app', 'files', 'broken'),
    '{{ vars.number }}{% for i in (1..100000000) %}{{ vars.number }}{% endfor %}',
  );
  await writeFile(
    join(policy, 'holdfast.yaml'),
    'bindings:\n  - match: { labels: { role: test } }\n    crates: [app]\n  - match: { labels: { role: people } }\n    crates: [people]\n',
  );
  const built = await buildNext(client, await readOwn(join(state, 'operator', 'fleet.json')), policy);
  await uploadBlobs(client, built.blobs);
  await client.post('/v1/releases', {
    manifest: Buffer.from(built.manifest).toString('base64url'),
    signatures: await signWithKeys(built.manifest, [keyFile]),
  });
}

/** Every message of gRPC that this process sends or gets, as it is before TLS and after. */
function captureWire(t: TestContext): Buffer[] {
  const captured: Buffer[] = [];
  const prototype = GrpcClient.prototype as unknown as { makeBidiStreamRequest: (...args: never[]) => unknown };
  const original = prototype.makeBidiStreamRequest;
  type Codec = (bytes: Buffer) => Buffer;
  prototype.makeBidiStreamRequest = function (this: unknown, ...args: unknown[]) {
    const [method, serialize, deserialize, ...rest] = args as [string, Codec, Codec, ...unknown[]];
    const keep = (codec: Codec) => (value: Buffer) => {
      const bytes = codec(value);
      captured.push(Buffer.from(bytes));
      return bytes;
    };
    return original.apply(this, [method, keep(serialize), keep(deserialize), ...rest] as never[]);
  };
  t.after(() => {
    prototype.makeBidiStreamRequest = original;
  });
  return captured;
}

/** What `ps` and its kind can show of every process on this machine. */
async function visibleToOthers(): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (const pid of (await readdir('/proc')).filter((name) => /^[0-9]+$/.test(name))) {
    for (const file of ['cmdline', 'environ', 'comm']) {
      parts.push(await readFile(join('/proc', pid, file)).catch(() => Buffer.alloc(0)));
    }
  }
  return Buffer.concat(parts);
}

async function readTree(directory: string, into: Map<string, Buffer>): Promise<void> {
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile()) into.set(path, await readFile(path));
  }
}

function gone(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => child.once('exit', () => resolve()));
}

function unexpected(): never {
  assert.fail('was taken');
}

function secretUrl(path: string): string {
  return `/v1/secrets/${encodeURIComponent(path)}`;
}

function show(error: unknown): Buffer {
  return Buffer.from(JSON.stringify([String(error), error]));
}
