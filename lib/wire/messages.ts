/** Encoding and decoding of the messages inside envelopes and streams. Whatever fails to decode is `undefined`. */
import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { varint } from './envelope.ts';
import {
  type Answer,
  AnswerSchema,
  type Chunk,
  ChunkSchema,
  type DownloadRequest,
  DownloadRequestSchema,
  type Request,
  RequestSchema,
} from './gen/holdfast/agent/v1/gateway_pb.ts';
import { asBuffer } from './methods.ts';

export type AnswerInit = MessageInitShape<typeof AnswerSchema>;
export type ChunkInit = MessageInitShape<typeof ChunkSchema>;
export type RequestInit = MessageInitShape<typeof RequestSchema>;

export function encodeRequest(request: RequestInit): Buffer {
  return asBuffer(toBinary(RequestSchema, create(RequestSchema, request)));
}

export function decodeRequest(body: Uint8Array): Request | undefined {
  return attempt(() => fromBinary(RequestSchema, body, { readUnknownFields: false }));
}

export function encodeDownloadRequest(digest: Uint8Array): Buffer {
  return asBuffer(toBinary(DownloadRequestSchema, create(DownloadRequestSchema, { digest })));
}

export function decodeDownloadRequest(body: Uint8Array): DownloadRequest | undefined {
  return attempt(() => fromBinary(DownloadRequestSchema, body, { readUnknownFields: false }));
}

export function encodeAnswer(answer: AnswerInit): Buffer {
  return asBuffer(toBinary(AnswerSchema, create(AnswerSchema, answer)));
}

export function decodeAnswer(bytes: Uint8Array): Answer | undefined {
  return attempt(() => fromBinary(AnswerSchema, bytes));
}

export function encodeChunk(chunk: ChunkInit): Buffer {
  return asBuffer(toBinary(ChunkSchema, create(ChunkSchema, chunk)));
}

export function decodeChunk(bytes: Uint8Array): Chunk | undefined {
  return attempt(() => fromBinary(ChunkSchema, bytes));
}

/**
 * Puts a counter before an answer that was encoded without one: a message's encoding may be concatenated from its
 * parts (protobuf encoding guide, "Last one wins"), so an answer that many nodes get is encoded once.
 */
export function withCounter(counter: number, encodedAnswer: Uint8Array): Buffer {
  const prefix = varint(counter);
  const bytes = Buffer.allocUnsafe(1 + prefix.length + encodedAnswer.length);
  bytes[0] = 0x08;
  bytes.set(prefix, 1);
  bytes.set(encodedAnswer, 1 + prefix.length);
  return bytes;
}

/** What protobuf-es throws on malformed input differs by field; to callers it is all the same. */
function attempt<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch {
    return undefined;
  }
}
