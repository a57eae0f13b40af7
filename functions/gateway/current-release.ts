/**
 * The current release as the gateway relays it: read from the store once per release, checked against the digest that
 * the directory announced, and kept. The gateway can't author one: nodes verify the operators' signatures themselves.
 */
import { z } from 'zod';
import { sha256Hex } from '../../lib/crypto/digest.ts';
import type { ReleaseRef } from '../../lib/identity/nodes.ts';
import { type Manifest, parseManifest } from '../../lib/policy/model.ts';
import type { Key, Store } from '../../lib/store/port.ts';
import { RequestRefused } from './refusals.ts';

export type RelayedRelease = {
  readonly ref: ReleaseRef;
  readonly manifestBytes: Uint8Array;
  readonly signatures: readonly string[];
  readonly manifest: Manifest;
};

const storedRelease = z.object({ manifest: z.instanceof(Uint8Array), signatures: z.array(z.string()).max(64) });

export type CurrentRelease = {
  /** `undefined` before the first publish. Throws `RequestRefused` when what is stored is not what was announced. */
  get(): Promise<RelayedRelease | undefined>;
};

export function createCurrentRelease(deps: {
  readonly store: Pick<Store, 'get'>;
  readonly announced: () => ReleaseRef | undefined;
}): CurrentRelease {
  let loading: { readonly digest: string; readonly release: Promise<RelayedRelease> } | undefined;

  return {
    get() {
      const ref = deps.announced();
      if (!ref) return Promise.resolve(undefined);
      if (loading?.digest === ref.digest) return loading.release;
      const attempt = { digest: ref.digest, release: load(deps.store, ref) };
      loading = attempt;
      // A failure is not kept: the next request reads again.
      attempt.release.catch(() => {
        if (loading === attempt) loading = undefined;
      });
      return attempt.release;
    },
  };
}

export function releaseKey(number: number): Key {
  return { pk: 'release', sk: String(number).padStart(10, '0') };
}

async function load(store: Pick<Store, 'get'>, ref: ReleaseRef): Promise<RelayedRelease> {
  const stored = storedRelease.safeParse(await store.get(releaseKey(ref.number)));
  if (!stored.success || sha256Hex(stored.data.manifest) !== ref.digest) {
    throw new RequestRefused('UNAVAILABLE', 'The current release can not be read.');
  }
  const { manifest, signatures } = stored.data;
  return { ref, manifestBytes: manifest, signatures, manifest: parseManifest(manifest) };
}
