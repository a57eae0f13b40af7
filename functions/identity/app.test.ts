import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync, sign, X509Certificate } from 'node:crypto';
import { describe, test } from 'node:test';
import { toBase64url, utf8 } from '../../lib/crypto/encoding.ts';
import type { Json } from '../../lib/crypto/jcs.ts';
import { createCsr } from '../../lib/crypto/x509.ts';
import { parseEnrollAnswer } from '../../lib/identity/answer.ts';
import { listNodes, revokeNode } from '../../lib/identity/nodes.ts';
import {
  createMachine,
  createTestFleet,
  enrollBytes,
  enrollJson,
  openStore,
  operator,
  renewBytes,
  signedBytes,
} from '../../test/fakes/fleet.ts';
import { createIdentityApp } from './app.ts';

const logger = { error: () => undefined };

async function createServer(options: Parameters<typeof createTestFleet>[0] = {}) {
  const fleet = await createTestFleet(options);
  const app = createIdentityApp({ ...fleet.issuance, descriptor: fleet.descriptor, logger, source: () => '192.0.2.1' });
  return {
    fleet,
    app,
    post: (path: string, body: Uint8Array | string, type = 'application/json') =>
      app.request(path, {
        method: 'POST',
        body: typeof body === 'string' ? body : new Uint8Array(body),
        headers: { 'content-type': type },
      }),
  };
}

async function nodes(server: Awaited<ReturnType<typeof createServer>>) {
  return Array.fromAsync(listNodes(server.fleet.store));
}

describe('identity service', () => {
  test('GET /v1/fleet gives the descriptor, byte for byte', async () => {
    const { app, fleet } = await createServer();
    const answer = await app.request('/v1/fleet');
    assert.equal(answer.status, 200);
    assert.deepEqual(new Uint8Array(await answer.arrayBuffer()), new Uint8Array(fleet.descriptor));
  });

  test('enroll, then renew', async () => {
    const { fleet, post } = await createServer();
    const machine = await createMachine();
    const enrolled = await post('/v1/enroll', enrollBytes(machine, await fleet.token()));
    assert.equal(enrolled.status, 200);
    const first = parseEnrollAnswer(new Uint8Array(await enrolled.arrayBuffer()));
    fleet.clock.now += 3_600_000;
    const renewed = await post('/v1/renew', renewBytes(machine, fleet.clock.now));
    const second = parseEnrollAnswer(new Uint8Array(await renewed.arrayBuffer()));
    assert.notEqual(
      new X509Certificate(first.certificate).serialNumber,
      new X509Certificate(second.certificate).serialNumber,
    );
  });

  test('R19 there is no other route, and no other method on these', async () => {
    const { app } = await createServer();
    const routes = app.routes.filter((route) => route.method !== 'ALL').map((route) => `${route.method} ${route.path}`);
    assert.deepEqual(new Set(routes), new Set(['GET /v1/fleet', 'POST /v1/enroll', 'POST /v1/renew']));
    const paths = [
      '/',
      '/v1',
      '/v1/fleet/',
      '/v1/enroll',
      '/v1/renew',
      '/v1/nodes',
      '/v1/enroll/x',
      '/v1/../admin',
      '/metrics',
    ];
    for (const path of paths) {
      for (const method of ['GET', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE2']) {
        const answer = await app.request(path, { method });
        assert.equal(answer.status, 404, `${method} ${path}`);
        assert.equal(answer.headers.get('content-type'), 'application/problem+json');
      }
    }
  });

  test('all refused enrollments look the same', async () => {
    const { fleet, post } = await createServer();
    const elsewhere = await createTestFleet();
    const used = await fleet.token();
    const victim = await createMachine();
    const revoked = await createMachine();
    await post('/v1/enroll', enrollBytes(victim, used));
    await post('/v1/enroll', enrollBytes(revoked, await fleet.token()));
    await revokeNode(fleet.issuance, { uuid: revoked.uuid, actor: operator });
    const attempts = [
      enrollBytes(await createMachine(), await elsewhere.token()),
      enrollBytes(await createMachine(), used),
      enrollBytes(await createMachine({ uuid: victim.uuid }), await fleet.token()),
      enrollBytes(await createMachine({ uuid: revoked.uuid }), await fleet.token()),
      enrollBytes(await createMachine({ identity: victim.identity }), await fleet.token()),
      enrollBytes(await createMachine(), await fleet.token({ hostname: 'db-*' })),
    ];
    const seen = new Set<string>();
    for (const attempt of attempts) {
      const answer = await post('/v1/enroll', attempt);
      seen.add(JSON.stringify([answer.status, [...answer.headers], await answer.text()]));
    }
    assert.equal(seen.size, 1);
    assert.match([...seen][0] ?? '', /^\[403,.*urn:holdfast:problem:refused/);
    assert.equal(new Set(fleet.audit.of('node.enroll.refuse').map((e) => e.detail?.['reason'])).size, 6);
  });

  test('R04 a renewal of an unknown or revoked node, or with another key, is refused with one text', async () => {
    const { fleet, post } = await createServer();
    const machine = await createMachine();
    const other = await createMachine();
    const gone = await createMachine();
    for (const m of [machine, other, gone]) await post('/v1/enroll', enrollBytes(m, await fleet.token()));
    await revokeNode(fleet.issuance, { uuid: gone.uuid, actor: operator });
    const now = fleet.clock.now;
    const seen = new Set<string>();
    for (const body of [
      renewBytes(await createMachine(), now),
      renewBytes({ ...machine, identity: other.identity }, now),
      renewBytes(gone, now),
      renewBytes(machine, now - 5 * 60_000 - 1),
      renewBytes(machine, now + 5 * 60_000 + 1),
    ]) {
      const answer = await post('/v1/renew', body);
      seen.add(JSON.stringify([answer.status, await answer.text()]));
    }
    assert.equal(seen.size, 1);
    assert.match([...seen][0] ?? '', /^\[403,/);
    assert.deepEqual(
      fleet.audit.of('node.renew.refuse').map((e) => e.detail?.['reason']),
      ['node_unknown', 'bad_signature', 'revoked', 'clock', 'clock'],
    );
    assert.equal(fleet.audit.of('node.renew').length, 0);
  });

  test('wrong content types, long bodies and floods are refused before anything is parsed', async () => {
    const { fleet, post, app } = await createServer();
    const good = enrollBytes(await createMachine(), await fleet.token());
    for (const type of ['text/plain', 'application/json; charset=utf-8', 'application/x-www-form-urlencoded', '']) {
      assert.equal((await post('/v1/enroll', good, type)).status, 415, type);
    }
    assert.equal((await post('/v1/enroll', 'x'.repeat(17 * 1024))).status, 413);
    const chunks = new ReadableStream({
      pull(controller) {
        controller.enqueue(utf8('x'.repeat(1024)));
      },
    });
    const endless = await app.request('/v1/enroll', {
      method: 'POST',
      body: chunks,
      duplex: 'half',
      headers: { 'content-type': 'application/json' },
    } as RequestInit);
    assert.equal(endless.status, 413);
    const limited = createIdentityApp({
      ...fleet.issuance,
      descriptor: fleet.descriptor,
      logger,
      source: () => 'one',
      rateLimit: { burst: 2, perSecond: 1, maxSources: 2 },
    });
    const statuses = [];
    for (let i = 0; i < 3; i++) statuses.push((await limited.request('/v1/fleet')).status);
    fleet.clock.now += 1000;
    statuses.push((await limited.request('/v1/fleet')).status);
    assert.deepEqual(statuses, [200, 200, 429, 200]);
    assert.equal(fleet.audit.of('node.enroll.refuse').length, 0);
  });

  test('without an audit log nothing is served, and the caller may try again', async () => {
    const server = await createServer();
    const { fleet, post } = server;
    const body = enrollBytes(await createMachine(), await fleet.token());
    fleet.audit.failing = true;
    assert.equal((await post('/v1/enroll', body)).status, 503);
    assert.equal((await nodes(server)).length, 0);
    fleet.audit.failing = false;
    assert.equal((await post('/v1/enroll', body)).status, 200);
  });

  test('malformed requests are 400 and leave no node: names, keys, fields, forms', async () => {
    const server = await createServer();
    const { fleet, post } = server;
    const machine = await createMachine();
    const token = await fleet.token();
    const good = enrollJson(machine, token);
    const { v: _, ...withoutVersion } = good;
    const bad: readonly (readonly [string, { [name: string]: Json }])[] = [
      ...[
        '',
        '.',
        '..',
        '../etc/passwd',
        'a/b',
        'web\u0000',
        'web\u001b[31m',
        'wеb.example.com',
        'ＷＥＢ',
        'web.example.com.',
        '.web',
        '-web',
        'web-',
        'a..b',
        'web example',
        ' web',
        'web\n',
        'a'.repeat(64),
        `${'a.'.repeat(127)}`,
        'x'.repeat(254),
        '\u212aelvin',
        '$(id)',
        'web;id',
      ].map((hostname) => [`hostname ${JSON.stringify(hostname)}`, { ...good, hostname }] as const),
      ...[
        '',
        machine.uuid.toUpperCase(),
        `{${machine.uuid}}`,
        `${machine.uuid} `,
        machine.uuid.replaceAll('-', ''),
        '00000000-0000-0000-0000-000000000000',
        `../${machine.uuid.slice(3)}`,
        machine.uuid.replace('-', '\u2010'),
      ]
        .filter((uuid) => uuid !== machine.uuid)
        .map((uuid) => [`uuid ${JSON.stringify(uuid)}`, { ...good, uuid }] as const),
      ['small-order sealing key', { ...good, sealingKey: toBase64url(new Uint8Array(32)) }],
      ['short sealing key', { ...good, sealingKey: toBase64url(new Uint8Array(31)) }],
      ['short identity key', { ...good, identityKey: toBase64url(new Uint8Array(31)) }],
      ['token cut off', { ...good, token: token.slice(0, -1) }],
      ['token with a tail', { ...good, token: `${token}A` }],
      ['token of another form', { ...good, token: token.replace('hfe_', 'vgot') }],
      ['unknown field', { ...good, role: 'admin' }],
      ['prototype field', JSON.parse(JSON.stringify(good).replace('{', '{"__proto__":"x",'))],
      ['missing version', withoutVersion],
      ['other version', { ...good, v: 2 }],
      ['number for text', { ...good, hostname: 1 }],
      ['platform', { ...good, platform: '../x' }],
      ['agent version', { ...good, version: '1\u001b[2J' }],
      ['long csr', { ...good, csr: 'A'.repeat(2000) }],
      ['csr that is none', { ...good, csr: toBase64url(new Uint8Array(300)) }],
      ['csr for an RSA key', { ...good, csr: toBase64url(rsaCsr()) }],
      ['csr that its key did not sign', { ...good, csr: toBase64url(await foreignCsr()) }],
    ];
    for (const [what, request] of bad) {
      const answer = await post('/v1/enroll', signedBytes('enroll', machine, request));
      assert.equal(answer.status, 400, what);
      const text = await answer.text();
      assert.ok(!text.includes(token.slice(4, 47)), what);
      assert.ok(/^[\x20-\x7e]*$/.test(text), what);
    }
    assert.equal((await nodes(server)).length, 0);
    assert.equal((await post('/v1/enroll', signedBytes('enroll', machine, good))).status, 200);
  });

  test('bodies that are not the canonical, signed form are 400', async () => {
    const server = await createServer();
    const { fleet, post } = server;
    const machine = await createMachine();
    const good = JSON.parse(Buffer.from(enrollBytes(machine, await fleet.token())).toString()) as {
      body: string;
      signature: string;
    };
    const other = JSON.parse(
      Buffer.from(enrollBytes(await createMachine(), await fleet.token())).toString(),
    ) as typeof good;
    const inner = Buffer.from(good.body, 'base64url').toString();
    const twice = inner.replace('{', '{"hostname":"other.example.com",');
    const signed = (text: string) => ({
      body: toBase64url(utf8(text)),
      signature: toBase64url(sign(null, utf8(`holdfast/enroll/v1\0${text}`), machine.identity.privateKey)),
    });
    const bad = [
      '',
      '{}',
      'null',
      '[]',
      '[[[[[[[[[[[[]]]]]]]]]]]]',
      JSON.stringify({ ...good, signature: other.signature }),
      JSON.stringify({ ...good, signature: good.signature.slice(1) }),
      JSON.stringify({ body: good.body }),
      JSON.stringify({ ...good, extra: 1 }),
      JSON.stringify({ signature: good.signature, body: good.body }),
      JSON.stringify(good, undefined, 2),
      `{"body":${JSON.stringify(other.body)},${JSON.stringify(good).slice(1)}`,
      JSON.stringify(signed(twice)),
      JSON.stringify(signed(` ${inner}`)),
      `\ufeff${JSON.stringify(good)}`,
    ];
    for (const body of bad) assert.equal((await post('/v1/enroll', body)).status, 400, body);
    // A signature for one purpose is none for the other.
    assert.equal((await post('/v1/renew', JSON.stringify(good))).status, 400);
    assert.equal((await nodes(server)).length, 0);
    assert.equal((await post('/v1/enroll', JSON.stringify(good))).status, 200);
  });

  test('a weak identity key is refused', async () => {
    const server = await createServer();
    const good = enrollJson(await createMachine(), await server.fleet.token());
    // Order 1, 2, 4 and 8, and a non-canonical spelling: with the first, R = A and S = 0 "sign" every message.
    const keys = [
      '01'.padEnd(64, '0'),
      `ec${'ff'.repeat(30)}7f`,
      '00'.repeat(32),
      '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
      `ee${'ff'.repeat(30)}7f`,
    ];
    for (const key of keys) {
      const bytes = Buffer.from(key, 'hex');
      const body = utf8(
        JSON.stringify(
          Object.fromEntries(
            Object.entries({ ...good, identityKey: toBase64url(bytes) }).sort(([a], [b]) => (a < b ? -1 : 1)),
          ),
        ),
      );
      const signature = Buffer.concat([bytes, Buffer.alloc(32)]);
      const answer = await server.post(
        '/v1/enroll',
        JSON.stringify({ body: toBase64url(body), signature: toBase64url(signature) }),
      );
      assert.equal(answer.status, 400);
      assert.match(await answer.text(), /not a strong Ed25519 key/);
    }
    assert.equal((await nodes(server)).length, 0);
  });

  test("a captured CSR of someone else gives a certificate for their key alone, and under the requester's name", async () => {
    const { fleet, post } = await createServer();
    const victim = await createMachine();
    const attacker = await createMachine({ csr: victim.csr });
    const answer = parseEnrollAnswer(
      new Uint8Array(await (await post('/v1/enroll', enrollBytes(attacker, await fleet.token()))).arrayBuffer()),
    );
    const certificate = new X509Certificate(answer.certificate);
    assert.equal(certificate.subjectAltName, `URI:spiffe://testfleet/node/${attacker.uuid}`);
    const spki = certificate.publicKey.export({ format: 'der', type: 'spki' });
    assert.deepEqual(
      createHash('sha256').update(spki).digest(),
      createHash('sha256').update(victim.tls.publicKeySpki).digest(),
    );
  });
});

test('R06 200 parallel requests over HTTP with one token, sqlite: one 200, 199 equal 403', async (t) => {
  const { fleet, post } = await createServer({ store: await openStore(t, 'sqlite') });
  const token = await fleet.token();
  const bodies = await Promise.all(Array.from({ length: 200 }, async () => enrollBytes(await createMachine(), token)));
  const answers = await Promise.all(bodies.map((body) => post('/v1/enroll', body)));
  assert.equal(answers.filter((a) => a.status === 200).length, 1);
  const texts = await Promise.all(answers.filter((a) => a.status === 403).map((a) => a.text()));
  assert.equal(texts.length, 199);
  assert.equal(new Set(texts).size, 1);
});

/** A well-formed PKCS#10 for an RSA key, by hand: version, empty subject, key, no attributes, signature. */
function rsaCsr(): Uint8Array {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const spki = publicKey.export({ format: 'der', type: 'spki' });
  const info = der(0x30, der(0x02, Buffer.of(0)), der(0x30), spki, der(0xa0));
  const algorithm = der(0x30, Buffer.from('06092a864886f70d01010b0500', 'hex'));
  return der(0x30, info, algorithm, der(0x03, Buffer.of(0), sign('sha256', info, privateKey)));
}

function der(tag: number, ...parts: Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  const length =
    content.length < 0x80
      ? Buffer.of(content.length)
      : content.length < 0x100
        ? Buffer.of(0x81, content.length)
        : Buffer.of(0x82, content.length >> 8, content.length & 0xff);
  return Buffer.concat([Buffer.of(tag), length, content]);
}

/** A request for one key, with its last byte changed: whoever sends it can't have the key sign it. */
async function foreignCsr(): Promise<Uint8Array> {
  const csr = Uint8Array.from(await createCsr((await createMachine()).tls));
  csr[csr.length - 1] = (csr.at(-1) ?? 0) ^ 1;
  return csr;
}
