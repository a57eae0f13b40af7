import assert from 'node:assert/strict';
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { createIdentityApp } from '../functions/identity/app.ts';
import { serveHttps } from '../functions/identity/https.ts';
import { privateKeyToPem } from '../lib/crypto/ed25519.ts';
import {
  createAuthorityCertificate,
  createCsr,
  generateP256,
  issueServerCertificate,
  parseNodeCertificate,
  pemDecode,
  pemEncode,
  type ServerRole,
} from '../lib/crypto/x509.ts';
import { formatEnrollAnswer, parseEnrollAnswer } from '../lib/identity/answer.ts';
import { getNode, listNodes, revokeNode } from '../lib/identity/nodes.ts';
import { createTestFleet, operator, type TestFleet } from '../test/fakes/fleet.ts';
import { join } from './join.ts';
import { renewIfDue } from './renew.ts';
import { openStateDirectory } from './state.ts';

const dayMs = 86_400_000;

type Intercept = (request: Request, serve: () => Promise<Response>) => Promise<Response>;
type ServerOptions = { role?: ServerRole; issuer?: TestFleet; intercept?: Intercept };

/** A real server on loopback; `requests` is what reached it. TLS on both sides has the machine's clock. */
async function startServer(t: TestContext, fleet: TestFleet, options: ServerOptions = {}) {
  const issuer = options.issuer ?? fleet;
  const key = generateP256();
  const certificate = await issueServerCertificate({
    authority: issuer.authority,
    signer: issuer.signer,
    fleet: 'testfleet',
    role: options.role ?? 'identity',
    publicKey: key.publicKeySpki,
    ipAddresses: ['127.0.0.1'],
    notBefore: fleet.clock.now,
    notAfter: fleet.clock.now + 400 * dayMs,
  });
  const app = createIdentityApp({
    ...fleet.issuance,
    descriptor: fleet.descriptor,
    logger: { error: () => undefined },
  });
  const requests: string[] = [];
  const fetch = async (request: Request, env: unknown) => {
    requests.push(`${request.method} ${new URL(request.url).pathname}`);
    const serve = async () => app.fetch(request, env as never);
    return options.intercept ? options.intercept(request, serve) : serve();
  };
  const tls = { key: privateKeyToPem(key.privateKey), cert: pemEncode('CERTIFICATE', certificate) };
  const listener = await serveHttps({ app: { fetch }, tls, host: '127.0.0.1', port: 0 });
  t.after(() => listener.close(0));
  return { url: `https://127.0.0.1:${listener.port}`, requests };
}

/** TLS goes by the machine's clock, so the fleet's begins there too. */
const openFleet = () => createTestFleet({ startAt: Date.now() });

async function newDirectory(t: TestContext) {
  const parent = await mkdtemp(joinPath(tmpdir(), 'holdfast-join-'));
  t.after(() => rm(parent, { recursive: true, force: true }));
  return joinPath(parent, 'state');
}

async function contents(directory: string) {
  const names = await readdir(directory).catch(() => []);
  return Object.fromEntries(
    await Promise.all(names.sort().map(async (name) => [name, await readFile(joinPath(directory, name), 'latin1')])),
  );
}

describe('join', () => {
  test('a machine joins: its keys are 0600, its certificate is its own, the token is not kept', async (t) => {
    const fleet = await openFleet();
    const server = await startServer(t, fleet);
    const stateDir = await newDirectory(t);
    const token = await fleet.token({ labels: { role: 'web' } });
    const options = {
      server: server.url,
      token,
      stateDir,
      hostname: 'Web-1',
      version: '0.1.0',
      now: () => fleet.clock.now,
    };
    const { outcome, node } = await join(options);

    assert.equal(outcome, 'joined');
    assert.deepEqual(
      [node.name, node.labels, node.gateway, node.fleet],
      ['web-1', { role: 'web' }, 'gateway.test:8443', 'testfleet'],
    );
    assert.deepEqual(server.requests, ['GET /v1/fleet', 'POST /v1/enroll']);
    const files = await contents(stateDir);
    assert.deepEqual(Object.keys(files), [
      'fleet.json',
      'identity.pem',
      'node.json',
      'sealing.pem',
      'tls.cert.pem',
      'tls.key.pem',
    ]);
    for (const name of Object.keys(files))
      assert.equal((await stat(joinPath(stateDir, name))).mode & 0o777, 0o600, name);
    assert.equal((await stat(stateDir)).mode & 0o777, 0o700);
    const der = pemDecode('CERTIFICATE', files['tls.cert.pem'] ?? '');
    assert.equal(
      parseNodeCertificate(der, { fleet: 'testfleet', authority: fleet.authority, now: fleet.clock.now }).uuid,
      node.uuid,
    );
    for (const [name, text] of Object.entries<string>(files)) assert.ok(!text.includes(token.slice(4, 47)), name);
    const stored = await getNode(fleet.store, node.uuid);
    const sealing = createPublicKey(createPrivateKey(files['sealing.pem'] ?? '')).export({
      format: 'der',
      type: 'spki',
    });
    assert.deepEqual(Buffer.from(stored?.sealingKey ?? []), sealing.subarray(-32));
  });

  test('joining a joined machine changes nothing and asks nobody; another fleet is refused', async (t) => {
    const fleet = await openFleet();
    const server = await startServer(t, fleet);
    const stateDir = await newDirectory(t);
    const options = {
      server: server.url,
      token: await fleet.token(),
      stateDir,
      hostname: 'web',
      version: '0.1.0',
      now: () => fleet.clock.now,
    };
    const first = await join(options);
    const before = await contents(stateDir);
    const again = await join({ ...options, token: await fleet.token() });
    assert.deepEqual(again, { outcome: 'already', node: first.node });
    await assert.rejects(join({ ...options, token: await (await openFleet()).token() }), {
      code: 'usage',
      message: /another fleet/,
    });
    assert.deepEqual(await contents(stateDir), before);
    assert.equal(server.requests.length, 2);
  });

  test('R54 a server of another fleet: wrong pin, and nothing is sent to it or written', async (t) => {
    const fleet = await openFleet();
    const liar = await startServer(t, await openFleet());
    const stateDir = await newDirectory(t);
    const options = {
      server: liar.url,
      token: await fleet.token(),
      stateDir,
      hostname: 'web',
      version: '0.1.0',
      now: () => fleet.clock.now,
    };
    await assert.rejects(join(options), { code: 'refused', message: /wrong pin/ });
    assert.deepEqual(liar.requests, ['GET /v1/fleet']);
    assert.deepEqual(await contents(stateDir), {});
  });

  for (const [what, options] of [
    ['a certificate of another authority', async () => ({ issuer: await openFleet() })],
    ["the gateway's certificate", async () => ({ role: 'gateway' as const })],
  ] as const) {
    test(`R44 the right descriptor with ${what}: the token is not sent`, async (t) => {
      const fleet = await openFleet();
      const proxy = await startServer(t, fleet, await options());
      const stateDir = await newDirectory(t);
      const token = await fleet.token();
      await assert.rejects(
        join({ server: proxy.url, token, stateDir, hostname: 'web', version: '0.1.0', now: () => fleet.clock.now }),
        { code: 'unreachable' },
      );
      assert.deepEqual(proxy.requests, ['GET /v1/fleet']);
      assert.equal(fleet.audit.of('node.enroll').length, 0);
    });
  }

  test('R06 a lost answer: the retry has the same keys and is the same node', async (t) => {
    const fleet = await openFleet();
    let lost = 0;
    const intercept: Intercept = async (request, serve) => {
      const answer = await serve();
      if (request.method === 'POST' && lost++ === 0) return new Response('the proxy timed out', { status: 504 });
      return answer;
    };
    const server = await startServer(t, fleet, { intercept });
    const stateDir = await newDirectory(t);
    const options = {
      server: server.url,
      token: await fleet.token(),
      stateDir,
      hostname: 'web',
      version: '0.1.0',
      now: () => fleet.clock.now,
    };
    await assert.rejects(join(options), { code: 'unreachable' });
    const keys = await contents(stateDir);
    assert.equal(keys['node.json'], undefined);
    const { node } = await join({ ...options, hostname: 'renamed-meanwhile' });
    const after = await contents(stateDir);
    for (const name of ['identity.pem', 'sealing.pem', 'tls.key.pem']) assert.equal(after[name], keys[name], name);
    const nodes = await Array.fromAsync(listNodes(fleet.store));
    assert.deepEqual(
      nodes.map((n) => n.uuid),
      [node.uuid],
    );
    assert.equal(node.name, 'web');
  });

  test('a refused token, then another one: new keys, because the old ones may be taken', async (t) => {
    const fleet = await openFleet();
    const server = await startServer(t, fleet);
    const stateDir = await newDirectory(t);
    const options = {
      server: server.url,
      token: await fleet.token({ hostname: 'db-*' }),
      stateDir,
      hostname: 'web',
      version: '0.1.0',
      now: () => fleet.clock.now,
    };
    await assert.rejects(join(options), { code: 'refused' });
    const before = await contents(stateDir);
    await join({ ...options, token: await fleet.token() });
    assert.notEqual((await contents(stateDir))['identity.pem'], before['identity.pem']);
  });

  test('incident 32: redirects are not followed, and long answers are cut', async (t) => {
    const fleet = await openFleet();
    const elsewhere = await startServer(t, fleet);
    const redirect = async () =>
      new Response(null, { status: 307, headers: { location: `${elsewhere.url}/v1/fleet` } });
    const long = async () => new Response('x'.repeat(65 * 1024));
    for (const intercept of [redirect, long]) {
      const server = await startServer(t, fleet, { intercept });
      const options = {
        server: server.url,
        token: await fleet.token(),
        stateDir: await newDirectory(t),
        hostname: 'web',
        version: '0.1.0',
        now: () => fleet.clock.now,
      };
      await assert.rejects(join(options), { code: 'unreachable' });
    }
    assert.deepEqual(elsewhere.requests, []);
  });

  test('an answer with a certificate for another node, or another authority, is not stored', async (t) => {
    const fleet = await openFleet();
    const other = await join({
      server: (await startServer(t, fleet)).url,
      token: await fleet.token(),
      stateDir: await newDirectory(t),
      hostname: 'other',
      version: '0.1.0',
      now: () => fleet.clock.now,
    });
    const foreign = await createAuthorityCertificate({
      fleet: 'testfleet',
      signer: fleet.signer,
      notBefore: fleet.clock.now,
      notAfter: fleet.clock.now + dayMs,
    });
    for (const change of ['uuid', 'authority'] as const) {
      const stateDir = await newDirectory(t);
      const intercept: Intercept = async (request, serve) => {
        const answer = await serve();
        if (request.method !== 'POST') return answer;
        const parsed = parseEnrollAnswer(new Uint8Array(await answer.arrayBuffer()));
        const { certificates } = fleet.issuance;
                const forged =
          change === 'authority'
            ? { ...parsed, authority: foreign }
            : {
                ...parsed,
                certificate: await certificates.issue({
                  uuid: other.node.uuid,
                  csr: await createCsr(generateP256()),
                  plan: certificates.plan(),
                }),
              };
        return new Response(new Uint8Array(formatEnrollAnswer(forged)));
      };
      const server = await startServer(t, fleet, { intercept });
      const options = {
        server: server.url,
        token: await fleet.token(),
        stateDir,
        hostname: 'web',
        version: '0.1.0',
        now: () => fleet.clock.now,
      };
      await assert.rejects(join(options), { code: 'refused', message: /not this node's/ });
      const files = await contents(stateDir);
      assert.equal(files['node.json'], undefined);
      assert.equal(files['tls.cert.pem'], undefined);
    }
  });

  test('bad arguments are told before anything is made', async (t) => {
    const fleet = await openFleet();
    const stateDir = await newDirectory(t);
    const good = {
      server: 'https://127.0.0.1:1',
      token: await fleet.token(),
      stateDir,
      hostname: 'web',
      version: '0.1.0',
      now: Date.now,
    };
    for (const change of [
      { server: 'http://127.0.0.1' },
      { server: 'https://user:pw@host' },
      { server: 'https://host/path' },
      { server: 'host' },
      { token: 'hfe_x' },
      { token: good.token.slice(1) },
      { hostname: 'a/b' },
    ]) {
      await assert.rejects(join({ ...good, ...change }), { code: 'usage' });
    }
    assert.deepEqual(await contents(stateDir), {});
  });

  test('a server that can't complete a handshake is unreachable, and the hint says that trying again is safe', async (t) => {
    const fleet = await openFleet();
    const old = createServer({ maxVersion: 'TLSv1.2' });
    await new Promise<void>((resolve) => old.listen(0, '127.0.0.1', resolve));
    t.after(() => old.close());
    const port = (old.address() as AddressInfo).port;
    const options = {
      server: `https://127.0.0.1:${port}`,
      token: await fleet.token(),
      stateDir: await newDirectory(t),
      hostname: 'web',
      version: '0.1.0',
      now: Date.now,
    };
    await assert.rejects(join(options), { code: 'unreachable', hint: /safe/ });
  });
});

describe('renew', () => {
  async function joined(t: TestContext, options: ServerOptions = {}) {
    const fleet = await openFleet();
    const server = await startServer(t, fleet, options);
    const stateDir = await newDirectory(t);
    const now = () => fleet.clock.now;
    const { node } = await join({
      server: server.url,
      token: await fleet.token(),
      stateDir,
      hostname: 'web',
      version: '0.1.0',
      now,
    });
    return { fleet, server, stateDir, now, node, state: await openStateDirectory(stateDir) };
  }

  test('at half of its life the certificate and its key are renewed, and not before', async (t) => {
    const { fleet, state, stateDir, now, server } = await joined(t);
    const early = await renewIfDue(state, now);
    assert.equal(early.renewed, false);
    const share = (early.nextAt - fleet.clock.now) / dayMs;
    assert.ok(share > 0.44 && share < 0.56, String(share));
    const before = await contents(stateDir);
    fleet.clock.now = early.nextAt;
    const due = await renewIfDue(state, now);
    assert.equal(due.renewed, true);
    assert.ok(due.nextAt > early.nextAt);
    const after = await contents(stateDir);
    assert.notEqual(after['tls.key.pem'], before['tls.key.pem']);
    assert.notEqual(after['tls.cert.pem'], before['tls.cert.pem']);
    assert.equal(after['identity.pem'], before['identity.pem']);
    assert.equal((await renewIfDue(state, now)).renewed, false);
    assert.equal(server.requests.length, 3);
  });

  test('R53 a node whose certificate expired comes back; one without or with a foreign key file, too', async (t) => {
    const { fleet, state, now } = await joined(t);
    fleet.clock.now += 30 * dayMs;
    assert.equal((await renewIfDue(state, now)).renewed, true);
    fleet.clock.now += 1;
    await state.remove('tls.cert.pem');
    assert.equal((await renewIfDue(state, now)).renewed, true);
    fleet.clock.now += 1;
    await state.write('tls.key.pem', Buffer.from(privateKeyToPem(generateP256().privateKey)));
    assert.equal((await renewIfDue(state, now)).renewed, true);
  });

  test('R08 a revoked node is refused, and what it holds stays as it is', async (t) => {
    const { fleet, state, stateDir, now, node } = await joined(t);
    await revokeNode(fleet.issuance, { uuid: node.uuid, actor: operator });
    const before = await contents(stateDir);
    fleet.clock.now += 0.6 * dayMs;
    await assert.rejects(renewIfDue(state, now), { code: 'refused' });
    assert.deepEqual(await contents(stateDir), before);
  });
});
