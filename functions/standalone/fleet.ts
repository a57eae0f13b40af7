/**
 * The fleet of a state directory: made once, from the operators' public keys, and from then on only read. Its descriptor
 * is what every node pins, so a change of it is a new fleet.
 */
import { ed25519FromSpki } from '../../lib/crypto/ed25519.ts';
import { fromBase64url, toBase64url } from '../../lib/crypto/encoding.ts';
import { CryptoError } from '../../lib/crypto/errors.ts';
import { formatVerifierKey } from '../../lib/crypto/note.ts';
import { formatSshPublicKey, parseSshPublicKey, sshFingerprint } from '../../lib/crypto/ssh-key.ts';
import { createAuthorityCertificate } from '../../lib/crypto/x509.ts';
import { type FleetDescriptor, fleetPin, formatDescriptor, parseDescriptor } from '../../lib/identity/descriptor.ts';
import { IdentityError } from '../../lib/identity/errors.ts';
import { parseFleetName } from '../../lib/identity/names.ts';
import type { KeyStore } from '../../lib/keys/port.ts';
import { StandaloneError } from './errors.ts';
import { readWhole, writeWhole } from './files.ts';
import type { StatePaths } from './paths.ts';

export type Fleet = {
  readonly descriptor: FleetDescriptor;
  /** As pinned: these bytes, and no others. */
  readonly bytes: Uint8Array;
  readonly pin: Uint8Array;
  /** The CA's certificate, DER. */
  readonly authority: Uint8Array;
};

/** What a fleet is founded on. */
export type Founding = {
  readonly name: string;
  /** Lines as in `id_ed25519.pub`. */
  readonly operatorKeys: readonly string[];
  /** How many of them must sign a release. */
  readonly threshold: number;
};

const dayMs = 86_400_000;
const authorityLifeMs = 3650 * dayMs;

/** The fleet on disk, or none before the first boot. Throws `StandaloneError` `fleet_altered` when it can't be read. */
export async function readFleet(paths: StatePaths): Promise<Fleet | undefined> {
  const bytes = await readWhole(paths.fleet);
  if (bytes === undefined) return undefined;
  try {
    return fleetOf(bytes);
  } catch (error) {
    throw new StandaloneError('fleet_altered', `${paths.fleet} is not a fleet descriptor any more`, {
      hint: `restore it from a backup, or from the operator's copy (${paths.operatorFleet})`,
      cause: error,
    });
  }
}

/** Founds the fleet. A crash before the descriptor is written leaves nothing that a second attempt trips over. */
export async function foundFleet(
  paths: StatePaths,
  founding: Founding,
  deps: { readonly keys: KeyStore; readonly now: () => number },
): Promise<Fleet> {
  const operatorKeys = parseOperatorKeys(founding.operatorKeys);
  const { threshold } = founding;
  const name = parseName(founding.name);
  if (!Number.isInteger(threshold) || threshold < 1 || threshold > operatorKeys.length)
    throw badFleet(`a threshold of ${threshold} can't be met with ${operatorKeys.length} operator key(s)`);

  const [caSigner, logSigner] = await Promise.all([deps.keys.signer('fleet-ca'), deps.keys.signer('audit-log')]);
  const origin = `holdfast.local/${name}`;
  const now = deps.now();
  try {
    const authority = await createAuthorityCertificate({
      fleet: name,
      signer: caSigner,
      notBefore: now - dayMs,
      notAfter: now + authorityLifeMs,
    });
    const fleet = fleetOf(
      formatDescriptor({
        v: 1,
        fleet: name,
        ca: toBase64url(authority),
        operators: { threshold, keys: operatorKeys },
        log: { origin, key: formatVerifierKey(origin, ed25519FromSpki(logSigner.publicKey)) },
      }),
    );
    await writeWhole(paths.operatorFleet, fleet.bytes);
    await writeWhole(paths.fleet, fleet.bytes);
    return fleet;
  } catch (error) {
    if (error instanceof IdentityError || error instanceof CryptoError) throw badFleet(error.message, error);
    throw error;
  }
}

function fleetOf(bytes: Uint8Array): Fleet {
  const descriptor = parseDescriptor(bytes);
  return { descriptor, bytes, pin: fleetPin(bytes), authority: fromBase64url(descriptor.ca) };
}

function parseName(text: string): string {
  try {
    return parseFleetName(text);
  } catch (error) {
    throw badFleet(`${JSON.stringify(text)} is not a fleet name`, error);
  }
}

/** Normalised lines; the same key twice would count twice towards the threshold, so it is refused. */
function parseOperatorKeys(lines: readonly string[]): readonly string[] {
  if (lines.length === 0)
    throw new StandaloneError('no_operator_keys', 'a new fleet needs the public key of at least one operator', {
      hint: 'give it with --operator-key ~/.ssh/id_ed25519.pub (make one with: ssh-keygen -t ed25519)',
    });
  const seen = new Set<string>();
  return lines.map((line) => {
    try {
      const key = parseSshPublicKey(line);
      const fingerprint = sshFingerprint(key);
      if (seen.has(fingerprint)) throw badFleet(`the operator key ${fingerprint} is given twice`);
      seen.add(fingerprint);
      return formatSshPublicKey(key);
    } catch (error) {
      if (error instanceof CryptoError) throw badFleet(`not an operator's public key: ${error.message}`, error);
      throw error;
    }
  });
}

function badFleet(message: string, cause?: unknown): StandaloneError {
  return new StandaloneError('bad_fleet', message, {
    hint: 'operator keys are ssh-ed25519, sk-ssh-ed25519 or ecdsa public keys; a fleet name is like "prod-eu"',
    cause,
  });
}
