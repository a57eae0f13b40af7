/**
 * The bytes that a node's identity key signs for every request on a session.
 *
 * The challenge makes a signature worthless on any other stream, the counter on the same one, and the certificate's
 * digest under any other certificate, so that no store of seen requests is needed.
 */
import { concatBytes, u16be, u64be, utf8 } from '../crypto/encoding.ts';
import { uuidBytes } from './names.ts';

export type RequestBinding = {
  /** Full gRPC path of the call, as `/holdfast.agent.v1.Gateway/Session`. */
  readonly method: string;
  /** 32 bytes, made by the gateway for this one stream. */
  readonly challenge: Uint8Array;
  /** From 1, rising strictly within the stream. */
  readonly counter: number;
  readonly uuid: string;
  /** SHA-256 of the client certificate, DER: 32 bytes. */
  readonly certificateDigest: Uint8Array;
  /** SHA-256 of the raw body: 32 bytes. */
  readonly bodyDigest: Uint8Array;
};

const domain = utf8('holdfast/request/v1\0');

/**
 * `"holdfast/request/v1" ‖ 0x00 ‖ u16 len ‖ method ‖ challenge ‖ u64 counter ‖ UUID (16 B) ‖ H(certificate) ‖ H(body)`.
 * Every part has a fixed length or carries it, so no two bindings share an encoding. Parts of another length are a
 * bug in the caller: the wire is parsed before it gets here.
 */
export function requestSigningInput(binding: RequestBinding): Uint8Array {
  const method = utf8(binding.method);
  if (method.length > 0xffff) throw new TypeError('A method path has at most 65535 bytes.');
  if (!Number.isSafeInteger(binding.counter) || binding.counter < 0)
    throw new TypeError('A counter is an integer ≥ 0.');
  return concatBytes(
    domain,
    u16be(method.length),
    method,
    bytes32(binding.challenge),
    u64be(binding.counter),
    uuidBytes(binding.uuid),
    bytes32(binding.certificateDigest),
    bytes32(binding.bodyDigest),
  );
}

function bytes32(bytes: Uint8Array): Uint8Array {
  if (bytes.length !== 32) throw new TypeError('A challenge or digest has 32 bytes.');
  return bytes;
}
