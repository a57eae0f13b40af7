/**
 * The held release: what this node converges to, kept in `release/` of the state directory. A kill while a new one is
 * adopted leaves the old or the new, and nothing on disk is believed: each load verifies signatures, expiry and digests
 * again, against the fleet that was pinned at enrollment and the highest release that was ever held.
 *
 * `release/current.json` is the manifest with its signatures, in one file so that it changes in one step;
 * `release/floor.json` is the highest release ever held; `release/blobs/<sha256>` are crates and contents.
 */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { fromBase64, toBase64 } from '../lib/crypto/encoding.ts';
import { blobsFor, type EnrolledNode } from '../lib/policy/bindings.ts';
import { type PolicyTrust, type Release, type ReleaseRef, verifyBlob, verifyRelease } from '../lib/policy/verify.ts';
import { AgentError, messageOf } from './errors.ts';
import type { StateDirectory } from './state.ts';

const folder = 'release';
const blobFolder = `${folder}/blobs`;
const currentFile = `${folder}/current.json`;
const floorFile = `${folder}/floor.json`;

const digest = z.string().regex(/^[0-9a-f]{64}$/);
const currentSchema = z.strictObject({ v: z.literal(1), manifest: z.string(), signatures: z.array(z.string()) });
const floorSchema = z.strictObject({ v: z.literal(1), number: z.int().min(1), digest });

export type Fetched = { readonly manifest: Uint8Array; readonly signatures: readonly string[] };

export type HeldRelease = {
  /** The highest release that was ever held here: nothing below it is taken again. Throws `bad_state`. */
  floor(): Promise<ReleaseRef | undefined>;
  /**
   * The held release, verified anew; undefined when none was ever held. Throws `PolicyError` with the reason why it
   * can't be followed (as `expired`), and `bad_state`.
   */
  load(now: number): Promise<Release | undefined>;
  /**
   * Verifies what the gateway sent and, if it may be followed, holds it with all blobs that this node needs. Throws
   * `PolicyError`, and whatever `download` throws; what was held before stays then.
   */
  adopt(fetched: Fetched, options: { now: number; download(sha256: string): Promise<Uint8Array> }): Promise<Release>;
  /** A blob of the held release. Throws `PolicyError` `altered_blob`, or `bad_state` when it is missing. */
  blob(sha256: string): Promise<Uint8Array>;
};

export function openHeldRelease(state: StateDirectory, trust: PolicyTrust, node: EnrolledNode): HeldRelease {
  return { floor, load, adopt, blob };

  async function floor(): Promise<ReleaseRef | undefined> {
    const bytes = await state.read(floorFile);
    if (bytes === undefined) {
      return undefined;
    }
    const { number, digest } = parseState(floorFile, floorSchema, bytes);
    return { number, digest };
  }

  async function load(now: number): Promise<Release | undefined> {
    const bytes = await state.read(currentFile);
    if (bytes === undefined) {
      return undefined;
    }
    const { manifest, signatures } = parseState(currentFile, currentSchema, bytes);
    return verify({ manifest: fromBase64(manifest), signatures }, now);
  }

  async function adopt(
    fetched: Fetched,
    options: { now: number; download(sha256: string): Promise<Uint8Array> },
  ): Promise<Release> {
    const release = await verify(fetched, options.now);
    const needed = blobsFor(release.manifest, node);
    await state.folder(folder);
    await state.folder(blobFolder);
    for (const sha256 of needed) {
      if (!(await isWhole(sha256))) {
        const bytes = await options.download(sha256);
        verifyBlob(sha256, bytes);
        await state.write(`${blobFolder}/${sha256}`, bytes);
      }
    }
    await state.write(
      currentFile,
      formatState({ v: 1, manifest: toBase64(release.bytes), signatures: release.signatures }),
    );
    await state.write(floorFile, formatState({ v: 1, number: release.manifest.number, digest: release.digest }));
    await removeOthers(needed);
    return release;
  }

  async function blob(sha256: string): Promise<Uint8Array> {
    const bytes = await state.read(`${blobFolder}/${digest.parse(sha256)}`);
    if (bytes === undefined) {
      throw new AgentError('bad_state', `blob ${sha256} of the held release is missing`, {
        hint: 'it is downloaded again with the next release; until then what needs it fails',
      });
    }
    verifyBlob(sha256, bytes);
    return bytes;
  }

  async function verify(fetched: Fetched, now: number): Promise<Release> {
    const held = await floor();
    return verifyRelease({ ...fetched, trust, now, ...(held === undefined ? {} : { held }) });
  }

  async function isWhole(sha256: string): Promise<boolean> {
    return blob(sha256).then(
      () => true,
      () => false,
    );
  }

  /** Blobs of releases that are no longer held. Best effort: what stays is only space. */
  async function removeOthers(needed: ReadonlySet<string>): Promise<void> {
    const path = join(state.path, blobFolder);
    for (const name of await readdir(path)) {
      if (!needed.has(name)) {
        await rm(join(path, name), { force: true });
      }
    }
  }
}

function formatState(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

/** A held release that can't be read is not an absent one: taken for absent, it would open the door to old releases. */
function parseState<T extends z.ZodType>(name: string, schema: T, bytes: Uint8Array): z.output<T> {
  try {
    return schema.parse(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)));
  } catch (error) {
    throw new AgentError('bad_state', `${name} of the state directory is damaged: ${messageOf(error)}`, {
      hint: 'restore the state directory from a backup, or revoke this node and join again with an empty one',
      cause: error,
    });
  }
}
