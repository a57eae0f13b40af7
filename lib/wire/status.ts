/**
 * gRPC statuses with their standard details: a stable reason in UPPER_SNAKE under the domain `holdfast`, as
 * google.rpc.ErrorInfo inside google.rpc.Status in the trailer `grpc-status-details-bin`. Three small messages,
 * encoded by hand, so that no further proto has to be carried.
 */
import { Metadata, status as Status, type StatusObject } from '@grpc/grpc-js';
import { varint } from './envelope.ts';

export type WireStatus = StatusObject;

const domain = 'holdfast';
const errorInfoType = 'type.googleapis.com/google.rpc.ErrorInfo';

/** The one answer to every failure of authentication: same code, same text, same bytes. */
export const unauthenticated: WireStatus = wireStatus(Status.UNAUTHENTICATED, 'unauthenticated', 'UNAUTHENTICATED');
/** The gateway can't vouch for what it knows just now, or is leaving: try again, here or elsewhere. */
export const unavailable: WireStatus = wireStatus(Status.UNAVAILABLE, 'unavailable', 'UNAVAILABLE');
/** An authentic request whose body is none that the method takes. */
export const malformedRequest: WireStatus = wireStatus(
  Status.INVALID_ARGUMENT,
  'malformed request',
  'MALFORMED_REQUEST',
);

export function wireStatus(code: Status, details: string, reason: string): WireStatus {
  const info = Buffer.concat([field(1, reason), field(2, domain)]);
  const any = Buffer.concat([field(1, errorInfoType), field(2, info)]);
  const encoded = Buffer.concat([Buffer.of(0x08, ...varint(code)), field(2, details), field(3, any)]);
  const metadata = new Metadata();
  metadata.set('grpc-status-details-bin', encoded);
  return { code, details, metadata };
}

/** A length-delimited field. */
function field(number: number, value: string | Uint8Array): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.of((number << 3) | 2, ...varint(bytes.length)), bytes]);
}
