/** A witness over HTTP (C2SP tlog-witness): one route, no state but the newest cosigned checkpoint of each log. */
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { maxAddCheckpointBytes } from '../../lib/audit/add-checkpoint.ts';
import type { Witness } from '../../lib/audit/witness.ts';
import { fromUtf8 } from '../../lib/crypto/encoding.ts';
import { CryptoError } from '../../lib/crypto/errors.ts';

export type WitnessServer = { readonly url: string; close(): Promise<void> };

/** Serves `POST /add-checkpoint`; TLS, where it is wanted, ends in front of it, since every request is signed. */
export async function serveWitness(
  witness: Witness,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<WitnessServer> {
  const server = createServer({ requestTimeout: 10_000, headersTimeout: 5_000 }, (request, response) => {
    answer(witness, request).then(
      ({ status, type, body }) => response.writeHead(status, { 'content-type': type }).end(body),
      () => response.writeHead(500).end(),
    );
  });
  await listen(server, host, port);
  const { port: bound } = server.address() as AddressInfo;
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${bound}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

type Answer = { readonly status: number; readonly type: string; readonly body: string };

const text = 'text/plain; charset=utf-8';

async function answer(witness: Witness, request: IncomingMessage): Promise<Answer> {
  if (request.url !== '/add-checkpoint') return { status: 404, type: text, body: 'not found\n' };
  if (request.method !== 'POST') return { status: 405, type: text, body: 'POST only\n' };
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of request) {
    length += chunk.length;
    if (length > maxAddCheckpointBytes) return { status: 413, type: text, body: 'too long\n' };
    chunks.push(chunk);
  }
  try {
    return await witness.addCheckpoint(fromUtf8(Buffer.concat(chunks)));
  } catch (cause) {
    if (cause instanceof CryptoError) return { status: 400, type: text, body: 'malformed\n' };
    throw cause;
  }
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => resolve());
  });
}
