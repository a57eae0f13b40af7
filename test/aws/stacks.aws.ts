/**
 * The whole loop on deployed templates: `holdfast aws bootstrap`, the HTTPS API, two gateways with the task's environment,
 * the table's stream waking the sealer. The test invokes no function by itself; the deployment's wiring does.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openSession, type Session } from '../../agent/session.ts';
import { runCli } from '../../cli/program.ts';
import { functionNames, readEnvironment } from '../../functions/aws/environment.ts';
import { openS3Anchor } from '../../lib/audit/anchor-s3.ts';
import { openS3Publication } from '../../lib/audit/publication-s3.ts';
import { verifyLog } from '../../lib/audit/verify.ts';
import { sha256Hex } from '../../lib/crypto/digest.ts';
import { privateKeyToPem } from '../../lib/crypto/ed25519.ts';
import { fromBase64url, toBase64url } from '../../lib/crypto/encoding.ts';
import { parseVerifierKey } from '../../lib/crypto/note.ts';
import { parseEnrollAnswer } from '../../lib/identity/answer.ts';
import { fleetPin, parseDescriptor } from '../../lib/identity/descriptor.ts';
import { formatCrate } from '../../lib/policy/model.ts';
import { startAuditReceiver } from '../fakes/audit-receiver.ts';
import { createMachine, enrollBytes } from '../fakes/fleet.ts';
import { createOperator, manifestBytes } from '../fakes/policy.ts';
import { endpointOf, region, s3Client } from './emulator.ts';
import { type Deployed, deployStacks, omitted } from './stacks.ts';

const fleet = 'acme';
const domain = 'fleet.example.org';
const password = 'correct horse battery staple';
const context = {
  fleet,
  domain,
  certificate: `arn:aws:acm:${region}:000000000000:certificate/0123-ab`,
  gatewayDomain: 'gateway.example.org',
  image: `example.org/holdfast-gateway@sha256:${'a'.repeat(64)}`,
};
const operator = createOperator();
const endpoint = endpointOf('ministack');
// The command and the SDK in this process find the emulator as they would find AWS.
process.env['AWS_ENDPOINT_URL'] = endpoint;
process.env['AWS_REGION'] = region;

let deployed: Deployed;
let scratch: string;
const children: ChildProcess[] = [];
before(async () => {
  scratch = mkdtempSync(join(tmpdir(), 'holdfast-stacks-test-'));
  deployed = await deployStacks(context);
});
after(() => {
  for (const child of children) child.kill('SIGKILL');
  deployed?.remove();
  rmSync(scratch, { recursive: true, force: true });
});

async function holdfast(args: readonly string[], secret = '') {
  const shown = { out: '', err: '', code: 0 };
  shown.code = await runCli([...args, '--fleet', fleet], {
    out: (text) => {
      shown.out += text;
    },
    err: (text) => {
      shown.err += text;
    },
    width: undefined,
    interactive: false,
    secret: async () => new Uint8Array(Buffer.from(secret)),
    environment: {},
    stopped: () => new Promise(() => undefined),
  });
  return shown;
}

type HttpAnswer = { readonly status: number; readonly body: Buffer };

/** Through the API: the emulator tells its APIs apart by the name that is asked for. */
function api(method: string, path: string, body?: Uint8Array | object, headers: Record<string, string> = {}) {
  const bytes = body === undefined || body instanceof Uint8Array ? body : Buffer.from(JSON.stringify(body));
  const type = method === 'PUT' ? 'application/octet-stream' : 'application/json';
  return new Promise<HttpAnswer>((resolve, reject) => {
    const outgoing = request(
      new URL(path, endpoint),
      { method, headers: { host: domain, ...(bytes === undefined ? {} : { 'content-type': type }), ...headers } },
      async (answer) => resolve({ status: answer.statusCode ?? 0, body: Buffer.concat(await answer.toArray()) }),
    );
    outgoing.on('error', reject);
    outgoing.end(bytes);
  });
}

async function ok<T>(answer: Promise<HttpAnswer>): Promise<T> {
  const { status, body } = await answer;
  assert.equal(status, 200, body.toString());
  return JSON.parse(body.toString()) as T;
}

async function startGateway() {
  const child = spawn(process.execPath, [join(deployed.bundles, 'gateway/index.mjs')], {
    env: {
      PATH: process.env['PATH'],
      AWS_REGION: region,
      AWS_ENDPOINT_URL: endpoint,
      AWS_ENDPOINT_URL_LAMBDA: endpoint,
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: 'test',
      ...deployed.gatewayEnvironment,
      HOLDFAST_LISTEN: '127.0.0.1',
      HOLDFAST_PORT: '0',
      HOLDFAST_HEALTH_PORT: '0',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  let output = '';
  const port = await new Promise<number>((resolve, reject) => {
    child.once('close', () => reject(new Error(`the gateway ended: ${output}`)));
    child.stdout.on('data', (chunk) => {
      output += chunk;
      const line = output.split('\n').find((each) => each.includes('takes connections'));
      if (line?.endsWith('}')) resolve(JSON.parse(line).port);
    });
  });
  return { child, port };
}

const loop = {} as {
  descriptor: ReturnType<typeof parseDescriptor>;
  pin: Uint8Array;
  token: string;
  authorization: Record<string, string>;
};

async function enroll(token: string) {
  const machine = await createMachine();
  const { status, body } = await api('POST', '/v1/enroll', enrollBytes(machine, token));
  assert.equal(status, 200, body.toString());
  return { machine, certDer: parseEnrollAnswer(body).certificate };
}

/** A gateway hears of a new node within a second; until then it refuses it. */
async function connect({ machine, certDer }: Awaited<ReturnType<typeof enroll>>, port: number): Promise<Session> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      const session = await openSession({
        gateway: `127.0.0.1:${port}`,
        fleet,
        identity: { uuid: machine.uuid, privateKey: machine.identity.privateKey },
        tls: {
          keyPem: privateKeyToPem(machine.tls.privateKey),
          certDer,
          authorityDer: fromBase64url(loop.descriptor.ca),
        },
      });
      await session.checkIn({ agentVersion: '0.1.0' });
      return session;
    } catch (error) {
      if (attempt >= 40) throw error;
      await sleep(250);
    }
  }
}

test('the synthesized stacks are deployed; what the emulation does not know is left out by name', (t) => {
  for (const what of deployed.left) t.diagnostic(`not emulated: ${what}`);
  const types = new Set(deployed.left.map((what) => what.split(' ')[1] ?? ''));
  types.delete('AWS::CloudWatch::Alarm');
  assert.deepEqual([...types].sort(), Object.keys(omitted).sort());
});

test('R10 every program gets exactly its variables from the stacks, names of resources all of them', () => {
  const environments = new Map<string, Record<string, string>>(
    deployed.functions.map(({ name, environment }) => [
      functionNames.find((each) => name.toLowerCase().startsWith(`${fleet}-functions-${each}function`)) ?? name,
      environment,
    ]),
  );
  environments.set('gateway', deployed.gatewayEnvironment);
  assert.deepEqual([...environments.keys()].sort(), [...functionNames].sort());
  for (const name of functionNames) readEnvironment(name, { AWS_REGION: region, ...environments.get(name) });
  const whole = JSON.stringify([...environments.values()]);
  assert.doesNotMatch(whole, /PRIVATE KEY|hfe_|hfla_|vgot_|SecretString/);
});

test('holdfast aws bootstrap: founded, first admin, join line; again it changes nothing', async () => {
  const [key, copy] = [join(scratch, 'operator.pub'), join(scratch, 'fleet.json')];
  writeFileSync(key, `${operator.line}\n`);
  const early = await holdfast(['aws', 'bootstrap', '--user', 'ada', '--descriptor', copy], password);
  assert.equal(early.code, 1);
  assert.match(early.err, /not founded yet[\s\S]*hint: name the operators/);

  const args = ['aws', 'bootstrap', '--user', 'ada', '--operator-key', key, '--descriptor', copy, '--json'];
  const made = await holdfast(args, password);
  assert.equal(made.code, 0, made.err);
  const shown = JSON.parse(made.out) as { join: string; pin: string; url: string };
  const bytes = readFileSync(copy);
  assert.equal(shown.pin, toBase64url(fleetPin(bytes)));
  assert.equal(shown.url, `https://${domain}`);
  loop.descriptor = parseDescriptor(bytes);
  loop.pin = fleetPin(bytes);
  loop.token = /--token (\S+)$/.exec(shown.join)?.[1] ?? '';
  const again = await holdfast(['aws', 'bootstrap', '--user', 'ada', '--descriptor', copy], 'another password');
  assert.equal(again.code, 0, again.err);
  const login = (typed: string) =>
    api('POST', '/v1/login/finish', { transport: 'bearer', input: { name: 'ada', password: typed } });
  assert.equal((await login('another password')).status, 401);
  const { session } = await ok<{ session: string }>(login(password));
  loop.authorization = { authorization: `Bearer ${session}` };
  const other = createOperator();
  writeFileSync(key, `${other.line}\n`);
  const founded = await holdfast(args, password);
  assert.equal(founded.code, 1);
  assert.match(founded.err, /founded already, on other operators/);
});

test('R19 the API answers nobody without a credential, and enrolls by token alone', async () => {
  for (const path of ['/v1/whoami', '/v1/nodes', '/', '/no-such-route']) {
    const { status, body } = await api('GET', path);
    assert(status === 401 || (path === '/' && status < 400 && !body.includes('hfe_')), `${path}: ${status}`);
  }
  const machine = await createMachine();
  const wrong = `${loop.token.slice(0, 4)}${'A'.repeat(43)}${loop.token.slice(47)}`;
  assert.notEqual((await api('POST', '/v1/enroll', enrollBytes(machine, wrong))).status, 200);
});

test('R08 enroll, publish, converge, revoke through the API, on two gateways of which one is killed', async (t) => {
  const gateways = await Promise.all([startGateway(), startGateway()]);
  const lost = await enroll(loop.token);
  const minted = await ok<{ token: string }>(api('POST', '/v1/tokens', {}, loop.authorization));
  const kept = await enroll(minted.token);

  const content = Buffer.from('hello from the stacks');
  const desired = { path: '/m', content: { sha256: sha256Hex(content), bytes: content.length } };
  const crate = formatCrate({ crate: 'motd', resources: [{ type: 'file', id: '/m', desired }] });
  for (const blob of [content, Buffer.from(crate)])
    await ok(api('PUT', `/v1/blobs/${sha256Hex(blob)}`, blob, loop.authorization));
  const manifest = manifestBytes({
    fleet,
    created: Date.now(),
    expires: Date.now() + 86_400_000,
    bindings: [{ match: { name: '*' }, crates: ['motd'] }],
    crates: [{ name: 'motd', sha256: sha256Hex(crate), blobs: [sha256Hex(content)] }],
  });
  const release = { manifest: toBase64url(manifest), signatures: [operator.sign(manifest)] };
  const { digest } = await ok<{ digest: string }>(api('POST', '/v1/releases', release, loop.authorization));
  const session = await connect(kept, gateways[1]!.port);
  // The gateway hears of it from the stream.
  let offered: string | undefined;
  for (let attempt = 0; offered === undefined && attempt < 20; attempt += 1) {
    offered = (await session.checkIn({ agentVersion: '0.1.0' })).release?.digest;
    if (offered === undefined) await sleep(200);
  }
  assert.equal(offered, digest);
  assert.equal(Buffer.from(await session.download(sha256Hex(content))).toString(), content.toString());

  const held = await Promise.all(gateways.map(({ port }) => connect(lost, port)));
  const started = performance.now();
  const ended = held.map(async (each) => {
    await each.ended;
    return performance.now() - started;
  });
  await ok(api('POST', `/v1/nodes/${lost.machine.uuid}/revoke`, { reason: 'stolen' }, loop.authorization));
  const returned = performance.now() - started;
  const times = await Promise.all(ended);
  t.diagnostic(
    `revoke returned after ${Math.round(returned)} ms; streams cut after ${times.map(Math.round).join(', ')} ms`,
  );
  assert(times.every((ms) => ms - returned <= 2_000));

  gateways[0]!.child.kill('SIGKILL');
  assert.equal((await session.checkIn({ agentVersion: '0.1.0' })).quarantined, false);
  session.close();
});

test('R29 the stream alone wakes the sealer: what was done above is sealed, published, anchored and whole', async () => {
  const sealer = deployed.functions.find(({ name }) => name.includes('SealerFunction'))?.environment ?? {};
  const s3 = s3Client();
  const publication = openS3Publication(s3, sealer['HOLDFAST_LOG_BUCKET']!);
  const anchor = openS3Anchor(s3, sealer['HOLDFAST_ANCHORS_BUCKET']!);
  // Seconds pass until a sealer that is woken has sealed what came last. Reading the log is itself an entry, so it is
  // asked sparingly.
  let revoked: number | undefined;
  for (let attempt = 0; revoked === undefined; attempt += 1) {
    assert(attempt < 15, 'the revocation is not sealed');
    await sleep(500);
    const { items } = await ok<{ items: { index: number; type: string }[] }>(
      api('GET', '/v1/audit/entries?type=node.revoke', undefined, loop.authorization),
    );
    revoked = items[0]?.index;
  }
  const verdicts = await verifyLog({
    source: publication,
    anchors: await Array.fromAsync(anchor.list()),
    verifiers: [parseVerifierKey(loop.descriptor.log.key)],
    now: Date.now,
  });
  assert((verdicts.size ?? 0) > revoked, JSON.stringify(verdicts));
  for (const name of ['integrity', 'completeness', 'freshness', 'anchoring'] as const)
    assert.equal(verdicts[name].verdict, 'pass', JSON.stringify(verdicts));
  s3.destroy();
});

test('R32 sealed entries reach a destination: sealer to router to ring to delivery, without a hole', async (t) => {
  // The emulator turns HTTPS of its functions to 127.0.0.1 into HTTP; to another address of loopback it does not.
  const receiver = await startAuditReceiver('127.0.0.2');
  t.after(receiver.close);
  const secret = Buffer.from(`whsec_${Buffer.alloc(32, 7).toString('base64')}`);
  await ok(api('PUT', '/v1/secrets/siem%2Fhook', secret, loop.authorization));
  const config = {
    kind: 'webhook',
    name: 'hook',
    url: receiver.url,
    secret: 'secret:siem/hook',
    mapping: 'raw',
    network: { ca: receiver.ca, allow: ['127.0.0.0/8'] },
  };
  await ok(api('POST', '/v1/siem/destinations', { config }, loop.authorization));
  // Creating it is an entry, which is sealed, which rings.
  const isThere = () => receiver.events.some((event) => JSON.stringify(event).includes('siem.'));
  for (let attempt = 0; !isThere(); attempt += 1) {
    assert(attempt < 150, `${receiver.events.length} events arrived`);
    await sleep(200);
  }
  const numbers = receiver.events.flatMap(({ seq }) => (typeof seq === 'number' ? [seq] : []));
  const distinct = [...new Set(numbers)].sort((a, b) => a - b);
  assert.deepEqual(
    distinct,
    Array.from({ length: distinct.length }, (_, i) => (distinct[0] ?? 0) + i),
  );
  t.diagnostic(`${numbers.length} events in ${receiver.requests()} requests`);
});

test('holdfast aws status and destroy-check say of the deployment what is so', async () => {
  const status = await holdfast(['aws', 'status', '--json']);
  assert.equal(status.code, 0, status.err);
  const shown = JSON.parse(status.out) as {
    stacks: { name: string; state: string }[];
    alarms: { count: number; sounding: unknown[] };
    fleet: { pin: string; nodes: { active: number; revoked: number } };
  };
  assert.deepEqual(
    shown.stacks.map(({ name, state }) => `${name} ${state}`),
    ['keys', 'data', 'network', 'functions', 'edge'].map((part) => `${fleet}-${part} CREATE_COMPLETE`),
  );
  assert(shown.alarms.count >= 10);
  assert.equal(shown.fleet.pin, toBase64url(loop.pin));
  assert.deepEqual({ active: shown.fleet.nodes.active, revoked: shown.fleet.nodes.revoked }, { active: 1, revoked: 1 });
  const check = await holdfast(['aws', 'destroy-check', '--json']);
  assert.equal(check.code, 0, check.err);
  const kept = JSON.parse(check.out) as { resources: { type: string; fate: string }[]; lostForEver: unknown[] };
  assert.deepEqual(kept.lostForEver, []);
  const keys = kept.resources.filter(({ type }) => type === 'AWS::KMS::Key');
  assert.deepEqual(
    keys.map(({ fate }) => fate),
    ['kept', 'kept', 'kept'],
  );
});
