import assert from 'node:assert/strict';
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join as joinPath } from 'node:path';
import { describe, test } from 'node:test';
import {
  createAuthorityCertificate,
  createCsr,
  generateP256,
  parseNodeCertificate,
  pemDecode,
} from '../lib/crypto/x509.ts';
import { formatEnrollAnswer, parseEnrollAnswer } from '../lib/identity/answer.ts';
import { getNode, listNodes } from '../lib/identity/nodes.ts';
import {
  contents,
  dayMs,
  type Intercept,
  newDirectory,
  openFleet,
  startServer,
} from '../test/fakes/identity-server.ts';
import { join } from './join.ts';

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

  test('a long answer is cut', async (t) => {
    const fleet = await openFleet();
    const intercept = async () => new Response('x'.repeat(65 * 1024));
    const server = await startServer(t, fleet, { intercept });
    const stateDir = await newDirectory(t);
    const token = await fleet.token();
    const options = {
      server: server.url,
      token,
      stateDir,
      hostname: 'web',
      version: '0.1.0',
      now: () => fleet.clock.now,
    };
    await assert.rejects(join(options), { code: 'unreachable' });
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

  test('a server that fails to make a TLS connection is unreachable, and trying again is safe', async (t) => {
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
