/** Downloads one blob from the gateway, and believes none of it until its digest is the one that was asked for. */
import { sha256Hex } from '../lib/crypto/digest.ts';
import { concatBytes, fromHex } from '../lib/crypto/encoding.ts';
import { decodeChunk, encodeDownloadRequest } from '../lib/wire/messages.ts';
import type { SessionChannel } from './session-channel.ts';
import { SessionError } from './session-error.ts';
import type { SessionLimits } from './session-limits.ts';
import { type NodeIdentity, openSignedStream, type SignedStream } from './signed-stream.ts';

export type DownloadParameters = {
  readonly channel: SessionChannel;
  readonly identity: NodeIdentity;
  readonly certificateDigest: Uint8Array;
  /** SHA-256, hexadecimal. */
  readonly digest: string;
  readonly maxBytes: number;
  readonly limits: SessionLimits;
};

export async function downloadBlob(parameters: DownloadParameters): Promise<Uint8Array> {
  const { channel, identity, certificateDigest, digest, maxBytes, limits } = parameters;
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  // Awaited below; a stream that fails before it is open rejects both.
  promise.catch(() => undefined);
  const parts: Uint8Array[] = [];
  let received = 0;
  let stream: SignedStream | undefined;

  stream = await openSignedStream({
    channel,
    method: 'download',
    identity,
    certificateDigest,
    challengeTimeoutMs: limits.challengeTimeoutMs,
    decodeChallenge: (message) => {
      const chunk = decodeChunk(message)?.chunk;
      return chunk?.case === 'challenge' ? chunk.value : undefined;
    },
    receive,
    ended: reject,
  });
  const timer = setTimeout(() => fail('timeout', 'the download took too long'), limits.downloadTimeoutMs);
  try {
    stream.send(encodeDownloadRequest(fromHex(digest)));
    return await promise;
  } finally {
    clearTimeout(timer);
    stream.end(new SessionError('closed', 'the download is over'));
  }

  function receive(message: Uint8Array): void {
    const chunk = decodeChunk(message)?.chunk;
    switch (chunk?.case) {
      case 'data':
        received += chunk.value.length;
        if (received > maxBytes) fail('protocol', `the blob is larger than ${maxBytes} bytes`);
        else parts.push(chunk.value);
        return;
      case 'end':
        finish();
        return;
      case 'refusal':
        reject(new SessionError('refused', chunk.value.message, { reason: chunk.value.reason }));
        return;
      default:
        fail('protocol', 'the gateway sent no chunk');
    }
  }

  function finish(): void {
    const blob = concatBytes(...parts);
    if (sha256Hex(blob) === digest) resolve(blob);
    else fail('protocol', 'the blob is not the one that was asked for');
  }

  function fail(code: 'protocol' | 'timeout', message: string): void {
    stream?.end(new SessionError(code, message));
  }
}
