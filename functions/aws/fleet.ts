/**
 * The fleet of a deployment: founded once through the identity function, kept in the table, read by every function.
 * Nodes have it pinned, so whoever changes the item changes what no node accepts.
 */
import type { AuditLog } from '../../lib/audit/port.ts';
import { systemActor } from '../../lib/audit/system-entry.ts';
import { openAuditWriter } from '../../lib/audit/writer.ts';
import { ed25519FromSpki } from '../../lib/crypto/ed25519.ts';
import { equalBytes, fromBase64url, toBase64url } from '../../lib/crypto/encoding.ts';
import { formatVerifierKey } from '../../lib/crypto/note.ts';
import { formatSshPublicKey, parseSshPublicKey, sshFingerprint } from '../../lib/crypto/ssh-key.ts';
import { createAuthorityCertificate } from '../../lib/crypto/x509.ts';
import { type FleetDescriptor, fleetPin, formatDescriptor, parseDescriptor } from '../../lib/identity/descriptor.ts';
import type { KeyStore } from '../../lib/keys/port.ts';
import type { Store } from '../../lib/store/port.ts';

export type Fleet = {
  readonly descriptor: FleetDescriptor;
  /** As pinned: these bytes, and no others. */
  readonly bytes: Uint8Array;
  readonly pin: Uint8Array;
  /** The CA's certificate, DER. */
  readonly authority: Uint8Array;
};

export type Founding = {
  readonly name: string;
  /** Lines as in `id_ed25519.pub`. */
  readonly operatorKeys: readonly string[];
  readonly threshold: number;
};

const fleetKey = { pk: 'fleet', sk: 'descriptor' } as const;
const dayMs = 86_400_000;
const authorityLifeMs = 3650 * dayMs;

/** `undefined` before the fleet is founded. Throws `IdentityError` `malformed` for an item that was altered. */
export async function readFleet(store: Store): Promise<Fleet | undefined> {
  const item = await store.get(fleetKey);
  if (item === undefined) return undefined;
  const bytes = item['bytes'];
  const fleet = fleetOf(bytes instanceof Uint8Array ? bytes : new Uint8Array());
  if (item['pin'] !== toBase64url(fleet.pin)) throw new TypeError('the stored fleet descriptor does not have its pin');
  return fleet;
}

/**
 * Founds the fleet, or returns the one that stands: of several calls at once, and of repeated ones, one counts. Throws
 * `TypeError` when a fleet stands that was founded on something else.
 */
export async function foundFleet(
  founding: Founding,
  deps: { readonly store: Store; readonly keys: KeyStore; readonly writerId: string; readonly now: () => number },
): Promise<Fleet> {
  const { store, now } = deps;
  const standing = await readFleet(store);
  if (standing !== undefined) return sameFounding(standing, founding);
  const fleet = fleetOf(await describe(founding, deps));
  const { origin } = fleet.descriptor.log;
  const audit = await openAuditWriter({ store, origin, writerId: deps.writerId, now });
  try {
    await record(audit, fleet);
  } finally {
    await audit.close();
  }
  // Ours or that of whoever was faster.
  return sameFounding((await readFleet(store)) ?? fleet, founding);
}

async function describe(founding: Founding, deps: { keys: KeyStore; now: () => number }): Promise<Uint8Array> {
  const [signer, log] = await Promise.all([deps.keys.signer('fleet-ca'), deps.keys.signer('audit-log')]);
  const origin = `holdfast.local/${founding.name}`;
  const now = deps.now();
  const authority = await createAuthorityCertificate({
    fleet: founding.name,
    signer,
    notBefore: now - dayMs,
    notAfter: now + authorityLifeMs,
  });
  return formatDescriptor({
    v: 1,
    fleet: founding.name,
    ca: toBase64url(authority),
    operators: { threshold: founding.threshold, keys: normalised(founding.operatorKeys) },
    log: { origin, key: formatVerifierKey(origin, ed25519FromSpki(log.publicKey)) },
  });
}

async function record(audit: AuditLog, fleet: Fleet): Promise<void> {
  const { threshold, keys } = fleet.descriptor.operators;
  const pin = toBase64url(fleet.pin);
  await audit.append(
    {
      type: 'fleet.create',
      actor: systemActor,
      object: { kind: 'fleet', id: fleet.descriptor.fleet },
      outcome: 'success',
      detail: { pin, threshold, operators: keys.map((line) => sshFingerprint(parseSshPublicKey(line))) },
    },
    [{ kind: 'put', item: { ...fleetKey, pin, bytes: fleet.bytes }, when: { kind: 'absent' } }],
  );
}

function sameFounding(fleet: Fleet, founding: Founding): Fleet {
  const { descriptor } = fleet;
  const asked = { threshold: founding.threshold, keys: normalised(founding.operatorKeys) };
  const isSame = descriptor.fleet === founding.name && JSON.stringify(descriptor.operators) === JSON.stringify(asked);
  if (!isSame)
    throw new TypeError(`the fleet ${descriptor.fleet} is founded already, on other operators or another name`);
  return fleet;
}

function normalised(lines: readonly string[]): readonly string[] {
  return lines.map((line) => formatSshPublicKey(parseSshPublicKey(line)));
}

function fleetOf(bytes: Uint8Array): Fleet {
  const descriptor = parseDescriptor(bytes);
  return { descriptor, bytes, pin: fleetPin(bytes), authority: fromBase64url(descriptor.ca) };
}

/** Whether the log key of this deployment is the one that every node has pinned. */
export function isLogKeyOf(fleet: Fleet, spki: Uint8Array): boolean {
  const { origin, key } = fleet.descriptor.log;
  return equalBytes(Buffer.from(formatVerifierKey(origin, ed25519FromSpki(spki))), Buffer.from(key));
}
