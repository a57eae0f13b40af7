/**
 * The one verifier that every request passes, whatever its method. It is made for one stream and dies with it: the
 * challenge is in its memory only, so a captured request is worthless on any other stream, connection or process,
 * and the rising counter makes it worthless on the same one. Nothing is read from a store, nothing written.
 */
import { sha256 } from '../../lib/crypto/digest.ts';
import { verifyEd25519 } from '../../lib/crypto/ed25519.ts';
import type { DirectoryNode, NodeDirectory } from '../../lib/identity/directory.ts';
import type { RequestProof } from '../../lib/identity/proof.ts';
import { requestSigningInput } from '../../lib/identity/request.ts';
import { decodeEnvelope } from '../../lib/wire/envelope.ts';
import type { Connection } from './connections.ts';

/** Why a request was refused: for the audit log, never for the peer. */
export type RefusalReason =
  | 'unknown_connection'
  | 'certificate_expired'
  | 'malformed_envelope'
  | 'replayed_counter'
  | 'unknown_node'
  | 'revoked'
  | 'bad_signature';

/** An authentic request: who sent it comes from the certificate and the signature, never from the message. */
export type VerifiedEnvelope = {
  readonly node: DirectoryNode;
  readonly counter: number;
  /** Still encoded: decoding is for bytes that are known to be the node's. */
  readonly body: Uint8Array;
  /** For a service that believes the node and not this gateway. */
  proof(): RequestProof;
};

export type Verification = { readonly refused: RefusalReason } | ({ readonly refused?: never } & VerifiedEnvelope);

export type Verifier = (raw: Uint8Array) => Verification;

export type VerifierDeps = { readonly directory: Pick<NodeDirectory, 'get'>; readonly now: () => number };

/** `raw` is all that the peer controls; everything else was fixed before its first byte. */
export function createVerifier(
  deps: VerifierDeps,
  stream: {
    readonly connection: Connection;
    readonly method: string;
    readonly challenge: Uint8Array;
    readonly maxBodyBytes: number;
  },
): Verifier {
  const { connection, method, challenge, maxBodyBytes } = stream;
  const { uuid, certificateDigest } = connection;
  let lastCounter = 0;

  return (raw) => {
    const envelope = decodeEnvelope(raw, maxBodyBytes);
    if (!envelope) return { refused: 'malformed_envelope' };
    const { counter, signature, body } = envelope;
    if (counter <= lastCounter) return { refused: 'replayed_counter' };
    if (deps.now() >= connection.certificateExpiresAt) return { refused: 'certificate_expired' };
    const node = deps.directory.get(uuid);
    if (!node) return { refused: 'unknown_node' };
    if (node.state === 'revoked') return { refused: 'revoked' };
    const signed = requestSigningInput({
      method,
      challenge,
      counter,
      uuid,
      certificateDigest,
      bodyDigest: sha256(body),
    });
    if (!verifyEd25519(node.identityKey, signed, signature)) return { refused: 'bad_signature' };
    lastCounter = counter;
    const proof = () => ({ method, challenge, counter, uuid, certificateDigest, signature, body });
    return { node, counter, body, proof };
  };
}
