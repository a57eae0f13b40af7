/**
 * The fleet descriptor: all that a node pins at enrollment, as canonical JSON. Its SHA-256 is the fleet pin, which an
 * enrollment token carries, so a joining agent trusts nothing else: no CA, operator or log of a server's own choice.
 */
import { z } from 'zod';
import { sha256 } from '../crypto/digest.ts';
import { fromBase64url, utf8 } from '../crypto/encoding.ts';
import { canonicalize, parseCanonicalJson } from '../crypto/jcs.ts';
import { parseVerifierKey } from '../crypto/note.ts';
import { parseSshPublicKey, sshFingerprint } from '../crypto/ssh-key.ts';
import { IdentityError } from './errors.ts';
import { parseFleetName } from './names.ts';

export type FleetDescriptor = {
  readonly v: 1;
  readonly fleet: string;
  /** The fleet CA's certificate, DER, base64url. */
  readonly ca: string;
  /** Who may sign releases: `threshold` of these SSH public keys, each a line as in `authorized_keys`. */
  readonly operators: { readonly threshold: number; readonly keys: readonly string[] };
  /** The audit log's origin and verifier key (C2SP signed-note, "Verifier keys"). */
  readonly log: { readonly origin: string; readonly key: string };
};

export const maxDescriptorBytes = 64 * 1024;

const shape = z.strictObject({
  v: z.literal(1),
  fleet: z.string(),
  ca: z.string().min(1),
  operators: z.strictObject({ threshold: z.int().min(1), keys: z.array(z.string()).min(1).max(64) }),
  log: z.strictObject({ origin: z.string().regex(/^[\x21-\x2a\x2c-\x7e]{1,200}$/), key: z.string() }),
});

/** The one encoding, RFC 8785. Refuses what `parseDescriptor` would refuse. */
export function formatDescriptor(descriptor: FleetDescriptor): Uint8Array {
  const bytes = utf8(canonicalize(descriptor));
  parseDescriptor(bytes);
  return bytes;
}

/** Throws `IdentityError` `malformed`. The bytes are trustworthy only once their pin was compared. */
export function parseDescriptor(bytes: Uint8Array): FleetDescriptor {
  try {
    const value = shape.parse(parseCanonicalJson(bytes, { maxBytes: maxDescriptorBytes, maxDepth: 4 }));
    parseFleetName(value.fleet);
    fromBase64url(value.ca);
    parseVerifierKey(value.log.key);
    const operators = new Set(value.operators.keys.map((line) => sshFingerprint(parseSshPublicKey(line))));
    // A key that is listed twice would count twice towards the threshold.
    if (operators.size !== value.operators.keys.length) throw new Error('an operator key is listed twice');
    if (value.operators.threshold > operators.size)
      throw new Error('the threshold exceeds the number of operator keys');
    return value;
  } catch (cause) {
    throw new IdentityError('malformed', 'Not a fleet descriptor.', { cause });
  }
}

/** SHA-256 of the descriptor's bytes, as they were received. */
export function fleetPin(bytes: Uint8Array): Uint8Array {
  return sha256(bytes);
}
