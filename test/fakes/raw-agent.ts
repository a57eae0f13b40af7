/** An agent that does anything: raw calls to the gateway, with envelopes signed for whatever a test says. */
import { createSecureContext } from 'node:tls';
import { Client, credentials, type ServiceError } from '@grpc/grpc-js';
import { sha256 } from '../../lib/crypto/digest.ts';
import { signEd25519 } from '../../lib/crypto/ed25519.ts';
import { pemEncode } from '../../lib/crypto/x509.ts';
import { type RequestBinding, requestSigningInput } from '../../lib/identity/request.ts';
import { encodeEnvelope } from '../../lib/wire/envelope.ts';
import { decodeAnswer, decodeChunk, encodeDownloadRequest, encodeRequest } from '../../lib/wire/messages.ts';
import { type GatewayMethod, type GatewayMethodName, rawMethod } from '../../lib/wire/methods.ts';
import type { TestNode } from './gateway-fleet.ts';

export type CallEnd = { readonly code: number; readonly details: string; readonly trailer: string };

export type RawStream = {
  /** 32 bytes; rejects with the end of the call when there was none. */
  readonly challenge: Promise<Uint8Array>;
  send(bytes: Uint8Array): void;
  /** The next message after the challenge. */
  next(): Promise<Buffer>;
  /** How the call ended: status, text and details, as the peer sees them. */
  readonly end: Promise<CallEnd>;
  readonly messages: number;
  cancel(): void;
};

export function rawClient(port: number, tls: { keyPem?: string; certDer?: Uint8Array } = {}): Client {
  const context = createSecureContext({
    minVersion: 'TLSv1.3',
    ...(tls.keyPem && tls.certDer ? { key: tls.keyPem, cert: pemEncode('CERTIFICATE', tls.certDer) } : {}),
  });
  return new Client(`127.0.0.1:${port}`, credentials.createFromSecureContext(context, { rejectUnauthorized: false }), {
    'grpc.use_local_subchannel_pool': 1,
    'grpc.enable_http_proxy': 0,
    'grpc.enable_retries': 0,
    'grpc.ssl_target_name_override': 'gateway.test',
  });
}

export function rawStream(client: Client, method: GatewayMethod): RawStream {
  const { path, requestSerialize, responseDeserialize } = rawMethod(method);
  const call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
  const challenge = Promise.withResolvers<Uint8Array>();
  const end = Promise.withResolvers<CallEnd>();
  const queue: Buffer[] = [];
  const readers: { resolve(message: Buffer): void; reject(error: Error): void }[] = [];
  let messages = 0;
  let over: Error | undefined;
  challenge.promise.catch(() => undefined);

  call.on('data', (message: Buffer) => {
    messages += 1;
    if (messages === 1) challenge.resolve(challengeIn(method.name, message));
    else if (readers.length > 0) readers.shift()?.resolve(message);
    else queue.push(message);
  });
  call.on('error', (error: ServiceError) => {
    over = error;
    challenge.reject(error);
    for (const reader of readers) reader.reject(error);
    const trailer = (error.metadata.get('grpc-status-details-bin')[0] ?? '') as Buffer | string;
    end.resolve({ code: error.code, details: error.details, trailer: trailer.toString('hex' as never) });
  });
  call.on('end', () => end.resolve({ code: 0, details: '', trailer: '' }));
  return {
    challenge: challenge.promise,
    end: end.promise,
    get messages() {
      return messages;
    },
    send: (bytes) => void call.write(Buffer.from(bytes)),
    next: () => {
      const message = queue.shift();
      if (message) return Promise.resolve(message);
      if (over) return Promise.reject(over);
      return new Promise((resolve, reject) => readers.push({ resolve, reject }));
    },
    cancel: () => call.cancel(),
  };
}

/** A good envelope of this node for this stream, but for what `change` says to sign instead. */
export function signedEnvelope(
  node: TestNode,
  binding: Pick<RequestBinding, 'method' | 'challenge' | 'counter'>,
  body: Uint8Array,
  change: Partial<RequestBinding> = {},
): Buffer {
  const signed = requestSigningInput({
    ...binding,
    uuid: node.uuid,
    certificateDigest: sha256(node.certDer),
    bodyDigest: sha256(body),
    ...change,
  });
  const signature = signEd25519(node.identity.privateKey, signed);
  return encodeEnvelope({ counter: binding.counter, signature, body });
}

/** A body that the method takes. */
export function goodBody(method: GatewayMethodName): Buffer {
  switch (method) {
    case 'session':
      return encodeRequest({ request: { case: 'checkIn', value: { agentVersion: '1.0.0' } } });
    case 'download':
      return encodeDownloadRequest(new Uint8Array(32).fill(7));
    default:
      return method satisfies never;
  }
}

function challengeIn(method: GatewayMethodName, message: Buffer): Uint8Array {
  if (method === 'session') {
    const answer = decodeAnswer(message)?.answer;
    return answer?.case === 'challenge' ? answer.value.challenge : new Uint8Array(0);
  }
  const chunk = decodeChunk(message)?.chunk;
  return chunk?.case === 'challenge' ? chunk.value.challenge : new Uint8Array(0);
}
