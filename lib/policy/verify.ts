/**
 * The one decision whether a release may be followed: made by each node before it acts, and by the server before it
 * stores. Everything given here is attacker-controlled, except `trust`, `held` and `now`.
 */
import { sha256Hex } from '../crypto/digest.ts';
import { equalBytes } from '../crypto/encoding.ts';
import { CryptoError } from '../crypto/errors.ts';
import { parseSshPublicKey, type SshPublicKey, sshFingerprint } from '../crypto/ssh-key.ts';
import { dearmor, SshReader } from '../crypto/ssh-wire.ts';
import { verifySshSignature } from '../crypto/sshsig.ts';
import { PolicyError } from './errors.ts';
import { type Manifest, parseManifest } from './model.ts';
import { digestPattern, maxManifestBytes, maxReleaseNumber } from './names.ts';
import { releaseNamespace } from './sign.ts';

export const maxSignatures = 64;
/** An armored signature of the largest accepted kind stays well below. */
const maxSignatureChars = 2048;
/** How far clocks may differ before a release counts as made in the future. */
const clockSkewMs = 5 * 60_000;

/** Who may sign, as pinned at enrollment; a fleet descriptor is one. Keys are lines as in `authorized_keys`. */
export type PolicyTrust = {
  readonly fleet: string;
  readonly operators: { readonly threshold: number; readonly keys: readonly string[] };
};

/** The release that was followed before. */
export type ReleaseRef = { readonly number: number; readonly digest: string };

/** A release that was verified; there is no other way to make one. */
export type Release = {
  readonly manifest: Manifest;
  /** SHA-256 of the manifest's bytes. */
  readonly digest: string;
  readonly bytes: Uint8Array;
  /** Fingerprints of the distinct trusted signers. */
  readonly signers: readonly string[];
  /** One signature of each of them. */
  readonly signatures: readonly string[];
};

export type VerifyInput = {
  readonly manifest: Uint8Array;
  readonly signatures: readonly string[];
  readonly trust: PolicyTrust;
  /** Absent only where no release was ever held. A held release that can't be read is not an absent one. */
  readonly held?: ReleaseRef;
  /** Unix milliseconds. */
  readonly now: number;
};

/**
 * Verifies a release, in this order, each step with a code of its own:
 *
 * 1. the trust root and the held release are usable (`bad_trust`): a threshold of zero or a lost key never means "all";
 * 2. there are 1 to 64 signatures (`unsigned`, `too_many_signatures`), of bounded size (`malformed`);
 * 3. each of them verifies over the raw bytes (`bad_signature`, `wrong_namespace`), before anything is decoded;
 * 4. enough distinct trusted keys made them (`unknown_signer` when none, `too_few_signers`);
 * 5. the manifest parses (`malformed`) and is this fleet's (`wrong_fleet`);
 * 6. it follows what is held: `rollback`, `equivocation`, `broken_chain`. A gap in numbers is allowed, since a node may
 *    have been away; the same release again is, too;
 * 7. it is in its time: `not_yet_valid`, `expired`.
 */
export function verifyRelease(input: VerifyInput): Release {
  const { manifest: bytes, trust, held, now } = input;
  const trusted = readTrust(trust);
  assertHeld(held);
  const signed = verifySignatures(bytes, input.signatures, trusted);
  if (signed.size === 0) {
    throw new PolicyError('unknown_signer', 'no signature of this release is by an operator of this fleet');
  }
  if (signed.size < trust.operators.threshold) {
    const message = `${signed.size} of ${trust.operators.threshold} required operators signed this release`;
    throw new PolicyError('too_few_signers', message, { hint: 'Have another operator sign the same bytes.' });
  }
  const manifest = parseManifest(bytes);
  if (manifest.fleet !== trust.fleet) {
    throw new PolicyError('wrong_fleet', `the release is for fleet "${manifest.fleet}", not "${trust.fleet}"`);
  }
  const digest = sha256Hex(bytes);
  if (held !== undefined) assertFollows(manifest, digest, held);
  assertInTime(manifest, now);
  return { manifest, digest, bytes, signers: [...signed.keys()], signatures: [...signed.values()] };
}

/** Throws `PolicyError` `altered_blob` unless the bytes are those that the digest names. */
export function verifyBlob(digest: string, bytes: Uint8Array): void {
  if (sha256Hex(bytes) !== digest) {
    throw new PolicyError('altered_blob', `a blob of ${bytes.length} bytes is not the one that ${digest} names`);
  }
}

/** The trusted keys by fingerprint. A key listed twice would let one operator count as two. */
function readTrust({ fleet, operators }: PolicyTrust): ReadonlyMap<string, SshPublicKey> {
  const { threshold, keys } = operators;
  const trusted = new Map<string, SshPublicKey>();
  for (const line of keys) {
    const key = parseTrusted(line);
    const fingerprint = sshFingerprint(key);
    if (trusted.has(fingerprint)) throw new PolicyError('bad_trust', `operator key ${fingerprint} is listed twice`);
    trusted.set(fingerprint, key);
  }
  if (!Number.isSafeInteger(threshold) || threshold < 1 || threshold > trusted.size) {
    throw new PolicyError('bad_trust', `a threshold of ${threshold} with ${trusted.size} operator key(s) can't be met`);
  }
  if (fleet === '') throw new PolicyError('bad_trust', 'the trust root names no fleet');
  return trusted;
}

function parseTrusted(line: string): SshPublicKey {
  try {
    return parseSshPublicKey(line);
  } catch (cause) {
    if (!(cause instanceof CryptoError)) throw cause;
    throw new PolicyError('bad_trust', 'an operator key of the trust root is not usable', { cause });
  }
}

function assertHeld(held: ReleaseRef | undefined): void {
  if (held === undefined) return;
  const isNumber = Number.isSafeInteger(held.number) && held.number >= 1 && held.number <= maxReleaseNumber;
  if (!isNumber || !digestPattern.test(held.digest)) {
    throw new PolicyError('bad_trust', 'the release that is held is not readable, so nothing can be compared with it');
  }
}

/** One signature per distinct trusted key, by fingerprint. Good signatures by other keys do not count. */
function verifySignatures(
  message: Uint8Array,
  signatures: readonly string[],
  trusted: ReadonlyMap<string, SshPublicKey>,
): ReadonlyMap<string, string> {
  if (signatures.length === 0) throw new PolicyError('unsigned', 'the release has no signature');
  if (signatures.length > maxSignatures) {
    throw new PolicyError('too_many_signatures', `${signatures.length} signatures, limit ${maxSignatures}`);
  }
  if (message.length > maxManifestBytes) {
    throw new PolicyError('malformed', `the manifest has ${message.length} bytes, limit ${maxManifestBytes}`);
  }
  const signed = new Map<string, string>();
  for (const signature of signatures) {
    if (signature.length > maxSignatureChars) throw new PolicyError('malformed', 'a signature is too long');
    const signer = verifySignature(message, signature);
    const fingerprint = sshFingerprint(signer);
    const known = trusted.get(fingerprint);
    // The fingerprint only finds the key; what is trusted is the whole key.
    if (known === undefined || known.type !== signer.type || !equalBytes(known.blob, signer.blob)) continue;
    if (!signed.has(fingerprint)) signed.set(fingerprint, signature);
  }
  return signed;
}

function verifySignature(message: Uint8Array, signature: string): SshPublicKey {
  try {
    return verifySshSignature({ message, signature, namespace: releaseNamespace });
  } catch (cause) {
    if (!(cause instanceof CryptoError)) throw cause;
    const namespace = namespaceOf(signature);
    if (namespace === undefined || namespace === releaseNamespace) {
      throw new PolicyError('bad_signature', 'a signature does not verify over this release', { cause });
    }
    const hint = `Sign with: ssh-keygen -Y sign -n ${releaseNamespace} -f KEY FILE`;
    throw new PolicyError('wrong_namespace', `a signature is not for "${releaseNamespace}"`, { cause, hint });
  }
}

/** For the sake of a clear refusal only: what a signature that was already refused says it is for. */
function namespaceOf(signature: string): string | undefined {
  try {
    const reader = new SshReader(dearmor('SSH SIGNATURE', signature), 'the SSH signature');
    reader.bytes(6); // "SSHSIG"
    reader.u32();
    reader.string();
    return reader.text();
  } catch (error) {
    if (!(error instanceof CryptoError)) throw error;
    return undefined;
  }
}

function assertFollows(manifest: Manifest, digest: string, held: ReleaseRef): void {
  if (manifest.number < held.number) {
    throw new PolicyError('rollback', `release ${manifest.number} is older than release ${held.number}, which is held`);
  }
  if (manifest.number === held.number && digest !== held.digest) {
    throw new PolicyError('equivocation', `there are two different releases of number ${held.number}`);
  }
  if (manifest.number === held.number + 1 && manifest.previous !== held.digest) {
    throw new PolicyError(
      'broken_chain',
      `release ${manifest.number} does not follow release ${held.number} as held here`,
    );
  }
}

function assertInTime(manifest: Manifest, now: number): void {
  if (!Number.isFinite(now)) throw new PolicyError('bad_trust', 'the clock has no time');
  if (manifest.created > now + clockSkewMs) {
    const message = `release ${manifest.number} was created in the future, at ${new Date(manifest.created).toISOString()}`;
    throw new PolicyError('not_yet_valid', message, { hint: 'Check the clock of this machine.' });
  }
  if (manifest.expires <= now) {
    const message = `release ${manifest.number} expired at ${new Date(manifest.expires).toISOString()}`;
    throw new PolicyError('expired', message, { hint: 'Publish the policy again.' });
  }
}
