/**
 * Secrets on the node: what the resources of a run refer to is asked for in one call when the first of them needs it,
 * opened with the node's sealing key, kept in memory for the run, and zeroed after it. Nothing of it is written
 * anywhere but where a resource says. A secret that can't be had fails the resources that need it, and no other.
 */
import type { KeyObject } from 'node:crypto';
import { sha256Hex } from '../lib/crypto/digest.ts';
import { fromUtf8 } from '../lib/crypto/encoding.ts';
import { CryptoError } from '../lib/crypto/errors.ts';
import type { Json } from '../lib/crypto/jcs.ts';
import { type Desired, secretField } from '../lib/secrets/fields.ts';
import { formatReference, type Marker, replaceMarkers } from '../lib/secrets/reference.ts';
import { openSecret } from '../lib/secrets/seal.ts';
import { messageOf } from './errors.ts';
import type { Redaction } from './redaction.ts';
import type { ResolvedSecrets, Session } from './session.ts';

/** Why a resource can't have its secrets: shown in its report. */
export class SecretUnavailable extends Error {
  override readonly name = 'SecretUnavailable';
}

export type SecretDeps = {
  readonly uuid: string;
  /** The session of the moment; none while the control plane is out of reach. */
  session(): Pick<Session, 'resolveSecrets'> | undefined;
  sealingKey(): Promise<KeyObject>;
  readonly redaction: Redaction;
};

export interface RunSecrets {
  /** Puts values in place of markers. Throws `SecretUnavailable`. */
  open(type: string, desired: Desired): Promise<Desired>;
  /** The text that a marker stands for. Throws `SecretUnavailable`. */
  text(marker: Marker): Promise<string>;
  /** Takes bytes that are made of secrets for a blob of this run, and returns the reference to it. */
  keep(bytes: Uint8Array): { readonly sha256: string; readonly bytes: number };
  /** Such a blob; undefined for any other. */
  blob(sha256: string): Uint8Array | undefined;
  /** The version of each that was resolved, and the epoch at which; undefined when nothing was asked for or answered. */
  resolved(): { readonly epoch: number; readonly versions: ReadonlyMap<string, number> } | undefined;
  /** Asks now instead of at the first need. Never throws: what is missing shows when it is needed. */
  prefetch(): Promise<void>;
  /** Zeroes every value. Whatever is asked for after that is unavailable. */
  close(): void;
}

/** For one run of one release that refers to `paths`. */
export function openRunSecrets(
  deps: SecretDeps,
  run: { readonly releaseDigest: string; readonly paths: readonly string[] },
): RunSecrets {
  const values = new Map<string, Uint8Array>();
  const versions = new Map<string, number>();
  const missing = new Map<string, string>();
  const blobs = new Map<string, Uint8Array>();
  const ephemeral: Uint8Array[] = [];
  let epoch: number | undefined;
  let asking: Promise<void> | undefined;
  let isClosed = false;

  /** One call; further ones only for what did not fit into its answer. */
  async function resolve(): Promise<void> {
    const session = deps.session();
    if (session === undefined) throw new SecretUnavailable('the control plane is not reachable');
    const key = await deps.sealingKey();
    let left = run.paths;
    while (left.length > 0) {
      const answer = await session.resolveSecrets({ releaseDigest: run.releaseDigest, paths: left });
      epoch = Math.min(epoch ?? answer.epoch, answer.epoch);
      const before = left.length;
      take(answer, key, new Set(left));
      left = left.filter((path) => !values.has(path) && !missing.has(path));
      if (left.length === before) throw new SecretUnavailable('the control plane left it out of its answer');
    }
  }

  /** `answer` is the gateway's: each value is the one that was asked for, or it does not open. */
  function take({ secrets }: ResolvedSecrets, key: KeyObject, asked: ReadonlySet<string>): void {
    for (const one of secrets) {
      if (!asked.has(one.path)) continue;
      if (!('sealed' in one)) {
        missing.set(one.path, one.reason === 'NOT_FOUND' ? 'there is no such secret' : 'the provider can not give it');
        continue;
      }
      const { version, ...message } = one.sealed;
      const place = { uuid: deps.uuid, path: one.path, version, releaseDigest: run.releaseDigest };
      try {
        const value = openSecret(key, place, message);
        values.set(one.path, value);
        versions.set(one.path, version);
      } catch (error) {
        if (!(error instanceof CryptoError)) throw error;
        missing.set(one.path, 'what the control plane sent is not sealed to this node for this release');
      }
    }
    // Before any resource sees one of them.
    deps.redaction.set([...values.values()]);
  }

  async function value(path: string): Promise<Uint8Array> {
    if (isClosed) throw new SecretUnavailable(`${formatReference(path)}: the run is over`);
    asking ??= resolve();
    const failure = await asking.then(
      () => undefined,
      (error: unknown) => messageOf(error),
    );
    const found = values.get(path);
    if (found !== undefined) return found;
    throw new SecretUnavailable(`${formatReference(path)}: ${missing.get(path) ?? failure ?? 'it was not asked for'}`);
  }

  async function join(marker: Marker): Promise<Buffer> {
    const parts = '$secret' in marker ? [marker] : marker.$join;
    const bytes = await Promise.all(
      parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'utf8') : value(part.$secret.path))),
    );
    const joined = Buffer.concat(bytes);
    ephemeral.push(joined);
    return joined;
  }

  function keep(bytes: Uint8Array): { readonly sha256: string; readonly bytes: number } {
    const sha256 = sha256Hex(bytes);
    blobs.set(sha256, bytes);
    return { sha256, bytes: bytes.length };
  }

  return {
    keep,
    blob: (sha256) => blobs.get(sha256),
    text: async (marker) => asText(await join(marker)),
    async open(type, desired) {
      const joined = new Map<Marker, Buffer>();
      for (const marker of markersIn(desired)) joined.set(marker, await join(marker));
      const opened = Object.entries(desired).map(([field, member]): [string, Json] => [
        field,
        replaceMarkers(member, (marker) => {
          const bytes = joined.get(marker) ?? Buffer.alloc(0);
          return secretField(type, field) === 'bytes' ? keep(bytes) : asText(bytes);
        }),
      ]);
      return Object.fromEntries(opened);
    },
    resolved: () => (epoch === undefined ? undefined : { epoch, versions }),
    async prefetch() {
      asking ??= resolve();
      await asking.catch(() => undefined);
    },
    close() {
      isClosed = true;
      for (const bytes of [...values.values(), ...blobs.values(), ...ephemeral]) bytes.fill(0);
      values.clear();
      blobs.clear();
      deps.redaction.clear();
    },
  };
}

function markersIn(desired: Desired): readonly Marker[] {
  const markers: Marker[] = [];
  for (const member of Object.values(desired)) {
    replaceMarkers(member, (marker) => {
      markers.push(marker);
      return '';
    });
  }
  return markers;
}

function asText(bytes: Uint8Array): string {
  try {
    return fromUtf8(bytes);
  } catch {
    // Without the cause, which would say where in the value it is no text.
    throw new SecretUnavailable('a secret is not text, which is needed here');
  }
}
