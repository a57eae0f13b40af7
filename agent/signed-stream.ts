/**
 * One stream to the gateway: waits for its challenge, then sends requests, each signed by the node's identity key over
 * that challenge, a rising counter, the node, its certificate, and the body. Everything that arrives is untrusted.
 */
import type { KeyObject } from 'node:crypto';
import { type ClientDuplexStream, type ServiceError, status as Status } from '@grpc/grpc-js';
import { sha256 } from '../lib/crypto/digest.ts';
import { signEd25519 } from '../lib/crypto/ed25519.ts';
import { requestSigningInput } from '../lib/identity/request.ts';
import { encodeEnvelope } from '../lib/wire/envelope.ts';
import type { Challenge } from '../lib/wire/gen/holdfast/agent/v1/gateway_pb.ts';
import { type GatewayMethodName, gatewayMethod, rawMethod } from '../lib/wire/methods.ts';
import type { SessionChannel } from './session-channel.ts';
import { SessionError } from './session-error.ts';

export type NodeIdentity = { readonly uuid: string; readonly privateKey: KeyObject };

export type SignedStream = {
  /** Signs and sends a body; returns the counter that it went under. Throws `SessionError` when it is too large. */
  send(body: Uint8Array): number;
  /** Ends the stream; `ended` is called if it was not before. */
  end(error: SessionError): void;
};

export type StreamParameters = {
  readonly channel: SessionChannel;
  readonly method: GatewayMethodName;
  readonly identity: NodeIdentity;
  readonly certificateDigest: Uint8Array;
  readonly challengeTimeoutMs: number;
  /** The challenge in the first message, if that is what it is. */
  readonly decodeChallenge: (message: Uint8Array) => Challenge | undefined;
  readonly receive: (message: Uint8Array) => void;
  /** Called once, whatever the cause. */
  readonly ended: (error: SessionError) => void;
};

/** Resolves when the challenge is there. Rejects with the `SessionError` that ended the stream before. */
export function openSignedStream(parameters: StreamParameters): Promise<SignedStream> {
  const { channel, identity, certificateDigest } = parameters;
  const method = gatewayMethod(parameters.method);
  const { path, requestSerialize, responseDeserialize } = rawMethod(method);
  const call: ClientDuplexStream<Buffer, Buffer> = channel.client.makeBidiStreamRequest(
    path,
    requestSerialize,
    responseDeserialize,
  );
  let counter = 0;
  let over = false;

  return new Promise((resolve, reject) => {
    let challenge: Challenge | undefined;
    const timer = setTimeout(
      () => end(new SessionError('timeout', 'the gateway sent no challenge in time')),
      parameters.challengeTimeoutMs,
    );

    call.on('data', (message: Buffer) => {
      if (over) return;
      if (challenge) {
        parameters.receive(message);
        return;
      }
      challenge = parameters.decodeChallenge(message);
      clearTimeout(timer);
      if (challenge?.challenge.length === 32) resolve({ send, end });
      else end(new SessionError('protocol', 'the gateway did not begin with a challenge'));
    });
    call.on('error', (error: ServiceError) => end(asSessionError(error, channel.untrusted())));
    call.on('end', () => end(new SessionError('unavailable', 'the gateway ended the stream')));

    function send(body: Uint8Array): number {
      if (over || !challenge) throw new SessionError('closed', 'the stream has ended');
      const maxBodyBytes = challenge.limits?.maxBodyBytes ?? 0;
      if (body.length > maxBodyBytes)
        throw new SessionError('refused', 'the request is too large', { reason: 'TOO_LARGE' });
      counter += 1;
      const signed = requestSigningInput({
        method: path,
        challenge: challenge.challenge,
        counter,
        uuid: identity.uuid,
        certificateDigest,
        bodyDigest: sha256(body),
      });
      call.write(encodeEnvelope({ counter, signature: signEd25519(identity.privateKey, signed), body }));
      return counter;
    }

    function end(error: SessionError): void {
      if (over) return;
      over = true;
      clearTimeout(timer);
      call.cancel();
      // A stream that its own end reached before it was opened has nobody else to tell.
      reject(error);
      parameters.ended(error);
    }
  });
}

function asSessionError(error: ServiceError, untrusted: string | undefined): SessionError {
  switch (error.code) {
    case Status.UNAUTHENTICATED:
      return new SessionError('unauthenticated', 'the gateway does not accept this node', { cause: error });
    case Status.UNAVAILABLE:
    case Status.CANCELLED:
      return untrusted === undefined
        ? new SessionError('unavailable', 'the gateway can not be reached', { cause: error })
        : new SessionError('untrusted_gateway', `the peer is not this fleet's gateway: ${untrusted}`, { cause: error });
    case Status.DEADLINE_EXCEEDED:
      return new SessionError('timeout', 'the gateway ended an idle stream', { cause: error });
    default:
      return new SessionError('protocol', 'the gateway broke the protocol', { cause: error });
  }
}
