/**
 * The methods of the gateway's service, taken from the generated descriptor. Messages stay raw bytes on both sides of
 * gRPC: a gateway decodes nothing before the signature over the raw bytes was checked, and what is sent is encoded once.
 */
import type { MethodDefinition } from '@grpc/grpc-js';
import { Gateway } from './gen/holdfast/agent/v1/gateway_pb.ts';

/** `session`, `download`: every method of the service, so that a table over it can't forget one. */
export type GatewayMethodName = keyof typeof Gateway.method;

export type GatewayMethod = {
  readonly name: GatewayMethodName;
  /** Full gRPC path, as `/holdfast.agent.v1.Gateway/Session`: what a request's signature covers. */
  readonly path: string;
};

/** Every method, in the order of the proto. */
export const gatewayMethods: readonly GatewayMethod[] = Gateway.methods.map((method) => ({
  name: method.localName as GatewayMethodName,
  path: `/${Gateway.typeName}/${method.name}`,
}));

export function gatewayMethod(name: GatewayMethodName): GatewayMethod {
  const method = gatewayMethods.find((candidate) => candidate.name === name);
  if (!method) throw new TypeError(`The service has no method ${name}`);
  return method;
}

/** A bidirectional method over raw bytes. Every method of the service is one: each begins with a challenge. */
export type RawMethod = MethodDefinition<Buffer, Buffer>;

export function rawMethod({ path }: GatewayMethod): RawMethod {
  return {
    path,
    requestStream: true,
    responseStream: true,
    requestSerialize: raw,
    requestDeserialize: raw,
    responseSerialize: raw,
    responseDeserialize: raw,
  };
}

/** grpc-js frames Buffers, and no other view of bytes. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function raw(bytes: Buffer): Buffer {
  return bytes;
}
