import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { openSession } from '../../agent/session.ts';
import { SessionError } from '../../agent/session-error.ts';
import { privateKeyToPem } from '../../lib/crypto/ed25519.ts';
import { generateP256 } from '../../lib/crypto/x509.ts';
import { assembleCertificate } from '../../lib/crypto/x509-assemble.ts';
import { openSqliteStore } from '../../lib/store/sqlite.ts';
import { type GatewayMethod, gatewayMethods } from '../../lib/wire/methods.ts';
import {
  createAuthority,
  createGatewayFleet,
  fleetName,
  type GatewayFleet,
  issueGateway,
  issueNode,
  signerOf,
} from '../fakes/gateway-fleet.ts';
import type { ProcessOrder } from '../fakes/gateway-process.ts';
import { handlerSpy } from '../fakes/handler-spy.ts';
import { type HostileProxy, hostileProxy, type Interference } from '../fakes/hostile-proxy.ts';
import { goodBody, rawClient, rawStream, signedEnvelope } from '../fakes/raw-agent.ts';

const held = { agentVersion: '1.0.0' };

describe('R05 replay against other processes', () => {
  it('R05 another gateway process on the same store refuses captured requests, before and after it restarts', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'holdfast-gateway-'));
    const storePath = join(directory, 'store.db');
    const fleet = await createGatewayFleet({ store: openSqliteStore(storePath) });
    try {
      const node = await fleet.addNode();
      const client = rawClient(fleet.gateway.address.port, node);
      const captures: { method: GatewayMethod; bytes: Buffer }[] = [];
      for (const method of gatewayMethods) {
        const stream = rawStream(client, method);
        const challenge = await stream.challenge;
        const bytes = signedEnvelope(node, { method: method.path, challenge, counter: 1 }, goodBody(method.name));
        stream.send(bytes);
        await stream.next();
        captures.push({ method, bytes });
      }
      for (let start = 0; start < 2; start++) {
        const other = await startProcess(fleet, storePath);
        const replaying = rawClient(other.port, node);
        for (const { method, bytes } of captures) {
          const replay = rawStream(replaying, method);
          await replay.challenge;
          const denied = once(other.child, 'message');
          replay.send(bytes);
          assert.equal((await replay.end).details, 'unauthenticated');
          assert.deepEqual((await denied)[0], { denied: 'bad_signature' });
        }
        const honest = await openSession({ ...fleet.sessionOptions(node), gateway: `127.0.0.1:${other.port}` });
        await honest.checkIn(held);
        honest.close();
        replaying.close();
        other.child.disconnect();
        await once(other.child, 'exit');
      }
      client.close();
    } finally {
      await fleet.close();
      await rm(directory, { recursive: true, force: true });
    }
  });
});

describe('R46 a hostile network gains nothing but delay', () => {
  const flip = (data: Buffer, at: number): Buffer => {
    const copy = Buffer.from(data);
    copy[at] = copy[at]! ^ 1;
    return copy;
  };
  const kept: { up?: Buffer } = {};
  const interferences: readonly { name: string; interfere: Interference }[] = [
    {
      name: 'alters what goes up',
      interfere: (data, way, index) => [way === 'up' && index >= 2 ? flip(data, data.length - 1) : data],
    },
    {
      name: 'alters what comes down',
      interfere: (data, way, index) => [way === 'down' && index >= 1 ? flip(data, data.length - 1) : data],
    },
    {
      name: 'alters the handshake',
      interfere: (data, _way, index) => [index === 0 ? flip(data, data.length >> 1) : data],
    },
    {
      name: 'sends everything up twice',
      interfere: (data, way, index) => (way === 'up' && index >= 1 ? [data, data] : [data]),
    },
    { name: 'drops a piece', interfere: (data, way, index) => (way === 'up' && index === 2 ? [] : [data]) },
    {
      name: 'reorders two pieces',
      interfere(data, way, index) {
        if (way !== 'up' || index < 1 || index > 2) return [data];
        if (index === 2) return [data, kept.up!];
        kept.up = data;
        return [];
      },
    },
  ];

  for (const { name, interfere } of interferences) {
    it(`R46 a proxy that ${name} gets no request served`, async () => {
      const spy = handlerSpy();
      await throughProxy({ spy, interfere }, async (fleet, proxy) => {
        const node = await fleet.addNode();
        const options = { ...fleet.sessionOptions(node), gateway: `127.0.0.1:${proxy.port}` };
        const limits = { challengeTimeoutMs: 500, requestTimeoutMs: 500 };
        await assert.rejects(async () => {
          const session = await openSession({ ...options, limits });
          for (let round = 0; round < 3; round++) await session.checkIn(held);
        }, SessionError);
        const direct = await openSession(fleet.sessionOptions(node));
        await direct.checkIn(held);
        direct.close();
      });
    });
  }

  it('R46 a proxy that cuts everything into single bytes only delays', async () => {
    const spy = handlerSpy();
    const interfere: Interference = (data) => Array.from(data, (byte) => Buffer.of(byte));
    await throughProxy({ spy, interfere }, async (fleet, proxy) => {
      const node = await fleet.addNode();
      const session = await openSession({ ...fleet.sessionOptions(node), gateway: `127.0.0.1:${proxy.port}` });
      await session.checkIn(held);
      session.close();
      assert.equal(spy.handled, 1);
    });
  });

  it('R46 replaying a whole recorded connection gets no request served', async () => {
    const spy = handlerSpy();
    await throughProxy({ spy, interfere: (data) => [data] }, async (fleet, proxy) => {
      const node = await fleet.addNode();
      const session = await openSession({ ...fleet.sessionOptions(node), gateway: `127.0.0.1:${proxy.port}` });
      await session.checkIn(held);
      session.close();
      await session.ended;
      const served = spy.handled;
      const socket = connectTcp(fleet.gateway.address.port, '127.0.0.1');
      socket.on('error', () => undefined);
      socket.resume();
      for (const piece of proxy.captured[0]!) socket.write(piece);
      socket.end();
      await once(socket, 'close');
      assert.equal(spy.handled, served);
    });
  });

  it('R46 an agent does not talk to a gateway with swapped certificates', async () => {
    const fleet = await createGatewayFleet();
    try {
      const node = await fleet.addNode();
      const otherAuthority = await createAuthority();
      const aNode = await issueNode(fleet.authority, node.uuid);
      const swapped = [
        { tls: await issueGateway(otherAuthority), code: 'unavailable' },
        { tls: await gatewayNamed(fleet, `spiffe://${fleetName}2/gateway`), code: 'untrusted_gateway' },
        { tls: await gatewayNamed(fleet, `spiffe://${fleetName}/gateway/`), code: 'untrusted_gateway' },
        { tls: await gatewayNamed(fleet, `spiffe://${fleetName}/Gateway`), code: 'untrusted_gateway' },
        { tls: await issueGateway(fleet.authority, fleetName, 'identity'), code: 'untrusted_gateway' },
        { tls: { ...aNode, authorityDer: fleet.authority.der }, code: 'unavailable' },
      ];
      for (const { tls, code } of swapped) {
        fleet.gateway.replaceCertificate(tls);
        await assert.rejects(openSession(fleet.sessionOptions(node)), { name: 'SessionError', code });
      }
      fleet.gateway.replaceCertificate(await issueGateway(fleet.authority));
      const session = await openSession(fleet.sessionOptions(node));
      await session.checkIn(held);
      session.close();
    } finally {
      await fleet.close();
    }
  });
});

/** A server certificate of the fleet's own authority under another name. */
async function gatewayNamed({ authority }: GatewayFleet, name: string) {
  const keys = generateP256();
  const template = {
    purpose: 'server',
    issuer: `Holdfast CA ${fleetName}`,
    subject: 'gateway',
    names: [{ type: 'url', value: name }],
    subjectPublicKey: keys.publicKeySpki,
    notBefore: Date.now(),
    notAfter: Date.now() + 60 * 60 * 1000,
  } as const;
  const certDer = await assembleCertificate(template, signerOf(authority.keys));
  return { keyPem: privateKeyToPem(keys.privateKey), certDer };
}

async function throughProxy(
  { spy, interfere }: { spy: ReturnType<typeof handlerSpy>; interfere: Interference },
  use: (fleet: GatewayFleet, proxy: HostileProxy) => Promise<void>,
): Promise<void> {
  const fleet = await createGatewayFleet({ instrument: spy.instrument });
  const proxy = await hostileProxy(fleet.gateway.address.port, interfere);
  try {
    await use(fleet, proxy);
  } finally {
    proxy.close();
    await fleet.close();
  }
}

async function startProcess(fleet: GatewayFleet, storePath: string): Promise<{ child: ChildProcess; port: number }> {
  const { keyPem, certDer, authorityDer } = await issueGateway(fleet.authority);
  const child = fork(new URL('../fakes/gateway-process.ts', import.meta.url), { stdio: 'inherit' });
  const order: ProcessOrder = {
    storePath,
    fleet: fleetName,
    keyPem,
    certDer: Buffer.from(certDer).toString('base64'),
    authorityDer: Buffer.from(authorityDer).toString('base64'),
  };
  child.send(order);
  const [{ port }] = (await once(child, 'message')) as [{ port: number }];
  return { child, port };
}
