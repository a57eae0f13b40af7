import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { createServer as createTlsServer } from 'node:tls';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import type { RawCall } from '../functions/gateway/connections.ts';
import { sha256Hex } from '../lib/crypto/digest.ts';
import { pemEncode } from '../lib/crypto/x509.ts';
import { type ChunkInit, encodeAnswer, encodeChunk } from '../lib/wire/messages.ts';
import { gatewayMethod, rawMethod } from '../lib/wire/methods.ts';
import { createAuthority, fleetName, issueGateway, issueNode } from '../test/fakes/gateway-fleet.ts';
import { openSession, type Session } from './session.ts';

const limits = { maxBodyBytes: 1 << 20, maxInFlight: 8 };
const challenge = { challenge: randomBytes(32), limits };
const honestChallenge = encodeAnswer({ answer: { case: 'challenge', value: challenge } });

describe('a session with a hostile gateway', () => {
  const firsts: readonly { name: string; message: Buffer }[] = [
    {
      name: 'a short challenge',
      message: encodeAnswer({ answer: { case: 'challenge', value: { ...challenge, challenge: randomBytes(31) } } }),
    },
    { name: 'an empty challenge', message: encodeAnswer({ answer: { case: 'challenge', value: {} } }) },
    {
      name: 'a long challenge',
      message: encodeAnswer({ answer: { case: 'challenge', value: { ...challenge, challenge: randomBytes(64) } } }),
    },
    {
      name: 'a challenge under a counter',
      message: encodeAnswer({ counter: 1, answer: { case: 'challenge', value: challenge } }),
    },
    { name: 'an answer first', message: encodeAnswer({ counter: 1, answer: { case: 'checkIn', value: {} } }) },
    { name: 'garbage', message: Buffer.alloc(40, 0xff) },
  ];
  for (const { name, message } of firsts) {
    it(`${name} is refused before anything is signed`, async () => {
      let sent = 0;
      await withGateway(
        (call) => {
          call.on('data', () => sent++);
          call.write(message);
        },
        async (open) => {
          await assert.rejects(open(), { code: 'protocol' });
          assert.equal(sent, 0);
        },
      );
    });
  }

  const answers: readonly { name: string; message: Buffer; code: string }[] = [
    {
      name: 'an answer to a counter never sent',
      message: encodeAnswer({ counter: 9, answer: { case: 'checkIn', value: {} } }),
      code: 'protocol',
    },
    {
      name: 'an answer of another kind',
      message: encodeAnswer({ counter: 1, answer: { case: 'reportRun', value: {} } }),
      code: 'protocol',
    },
    { name: 'an answer without content', message: encodeAnswer({ counter: 1 }), code: 'protocol' },
    { name: 'a second challenge', message: honestChallenge, code: 'protocol' },
    { name: 'garbage', message: Buffer.alloc(40, 0xff), code: 'protocol' },
    { name: 'an answer over 4 MiB', message: Buffer.alloc(4 * 1024 * 1024 + 1), code: 'protocol' },
    {
      name: 'a release with a short digest',
      message: encodeAnswer({
        counter: 1,
        answer: { case: 'checkIn', value: { release: { number: 1, digest: randomBytes(31) } } },
      }),
      code: 'protocol',
    },
  ];
  for (const { name, message, code } of answers) {
    it(`${name} ends the session`, async () => {
      await withGateway(
        (call) => {
          call.write(honestChallenge);
          call.on('data', () => call.write(message));
        },
        async (open) => {
          const session = await open();
          await assert.rejects(session.checkIn({ agentVersion: '1' }), { name: 'SessionError', code });
          assert.equal((await session.ended).code, code);
        },
      );
    });
  }

  it('silence instead of a challenge, and instead of an answer, runs into a timeout', async () => {
    await withGateway(
      () => undefined,
      async (open) => assert.rejects(open(), { code: 'timeout' }),
    );
    await withGateway(
      (call) => void call.write(honestChallenge),
      async (open) => assert.rejects((await open()).checkIn({ agentVersion: '1' }), { code: 'timeout' }),
    );
  });

  const blob = Buffer.from('what was asked for');
  const data = (value: Buffer): ChunkInit => ({ chunk: { case: 'data', value } });
  const end: ChunkInit = { chunk: { case: 'end', value: {} } };
  const downloads: readonly { name: string; chunks: ChunkInit[] }[] = [
    { name: 'other bytes', chunks: [data(Buffer.from('something else')), end] },
    { name: 'too few bytes', chunks: [data(blob.subarray(1)), end] },
    { name: 'nothing', chunks: [end] },
    { name: 'too many bytes', chunks: [data(blob), data(Buffer.alloc(100)), end] },
  ];
  for (const { name, chunks } of downloads) {
    it(`a download with ${name} is refused`, async () => {
      await withGateway(
        (call) => void call.write(honestChallenge),
        async (open) => {
          const session = await open();
          await assert.rejects(session.download(sha256Hex(blob), { maxBytes: 64 }), { code: 'protocol' });
          session.close();
        },
        (call) => {
          call.write(encodeChunk({ chunk: { case: 'challenge', value: challenge } }));
          call.on('data', () => {
            for (const chunk of chunks) call.write(encodeChunk(chunk));
          });
        },
      );
    });
  }
});

/** A gateway with the fleet's own certificate that does what a test says. */
async function withGateway(
  onSession: (call: RawCall) => void,
  use: (open: () => Promise<Session>) => Promise<void>,
  onDownload: (call: RawCall) => void = () => undefined,
): Promise<void> {
  const authority = await createAuthority();
  const { keyPem, certDer } = await issueGateway(authority);
  const server = new Server();
  const methods = { session: rawMethod(gatewayMethod('session')), download: rawMethod(gatewayMethod('download')) };
  server.addService(methods, { session: ignoringErrors(onSession), download: ignoringErrors(onDownload) });
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const cert = pemEncode('CERTIFICATE', certDer);
  const listener = createTlsServer({ key: keyPem, cert, ALPNProtocols: ['h2'] }, (socket) =>
    injector.injectConnection(socket),
  );
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const node = await issueNode(authority, '3f2b8c1e-5d4a-4f6b-8e7c-9a0b1c2d3e4f');
  const { port } = listener.address() as { port: number };
  try {
    await use(() =>
      openSession({
        gateway: `127.0.0.1:${port}`,
        fleet: fleetName,
        identity: { uuid: node.uuid, privateKey: node.identity.privateKey },
        tls: { keyPem: node.keyPem, certDer: node.certDer, authorityDer: authority.der },
        limits: { challengeTimeoutMs: 400, requestTimeoutMs: 400 },
      }),
    );
  } finally {
    server.forceShutdown();
    listener.close();
  }
}

function ignoringErrors(handle: (call: RawCall) => void): (call: RawCall) => void {
  return (call) => {
    call.on('error', () => undefined);
    handle(call);
  };
}
