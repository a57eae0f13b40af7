/** Making releases on the operator's side: from a policy directory or an older release, on top of what is current. */
import { readFile, writeFile } from 'node:fs/promises';
import { executors } from '../agent/executors/registry.ts';
import type { ReleaseView } from '../functions/admin/routes/releases.ts';
import { sha256Hex } from '../lib/crypto/digest.ts';
import { fromBase64url } from '../lib/crypto/encoding.ts';
import { type BuiltRelease, buildRelease, buildRollback } from '../lib/policy/build.ts';
import { loadPolicyDirectory, type PolicyDirectory } from '../lib/policy/directory.ts';
import { type Manifest, parseManifest } from '../lib/policy/model.ts';
import { noPrevious } from '../lib/policy/names.ts';
import type { Client } from './client.ts';
import { CliError } from './errors.ts';
import type { OwnFleet } from './fleet.ts';

/** How long a release stands when the policy does not say: nodes that hear nothing newer stop applying it after that. */
const defaultExpiresMs = 90 * 86_400_000;
const concurrentUploads = 4;

export type CurrentRelease = { readonly number: number; readonly digest: string; readonly manifest: Manifest };

export function loadPolicy(directory: string): Promise<PolicyDirectory> {
  return loadPolicyDirectory(directory, executors);
}

/** The release that is current on the server; its bytes are checked against the digest that it goes by. */
export async function getCurrent(client: Client): Promise<CurrentRelease | undefined> {
  const bytes = await client.getBytes('/v1/releases/current');
  return bytes === undefined ? undefined : parseView(JSON.parse(Buffer.from(bytes).toString('utf8')));
}

/** Builds the directory as the successor of what is current. */
export async function buildNext(
  client: Client,
  own: OwnFleet,
  path: string,
): Promise<BuiltRelease & { readonly number: number }> {
  const [directory, current] = await Promise.all([loadPolicy(path), getCurrent(client)]);
  const place = successorOf(current, directory.holdfast.expiresMs);
  return { ...buildRelease({ directory, fleet: own.descriptor.fleet, ...place }), number: place.number };
}

/** Builds the directory as the given manifest says, and refuses when the result is not that very manifest. */
export async function buildFromDirectory(path: string, own: OwnFleet, manifestFile: string): Promise<BuiltRelease> {
  const [directory, bytes] = await Promise.all([loadPolicy(path), readFile(manifestFile)]);
  const { number, previous, created, expires } = parseManifest(bytes);
  const built = buildRelease({ directory, fleet: own.descriptor.fleet, number, previous, created, expires });
  if (built.digest !== sha256Hex(bytes))
    throw new CliError('failure', `${path} does not give the release in ${manifestFile}`, {
      hint: 'the directory changed since it was built, or it was built from another one',
    });
  return built;
}

/** The manifest that restores release `to`. */
export async function buildRestored(client: Client, own: OwnFleet, to: number): Promise<Uint8Array> {
  const [current, old] = await Promise.all([getCurrent(client), client.get<ReleaseView>(`/v1/releases/${to}`)]);
  const { manifest } = parseView(old);
  const place = successorOf(current, manifest.expires - manifest.created);
  return buildRollback({ to: manifest, fleet: own.descriptor.fleet, ...place });
}

/** Uploads what the server lacks to have; storing the same bytes again changes nothing. */
export async function uploadBlobs(client: Client, blobs: ReadonlyMap<string, Uint8Array>): Promise<void> {
  const waiting = [...blobs];
  const upload = async () => {
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop())
      await client.put(`/v1/blobs/${next[0]}`, next[1]);
  };
  await Promise.all(Array.from({ length: concurrentUploads }, upload));
}

/** Never over an existing file: it may be one that others have signed. */
export async function writeManifest(path: string, manifest: Uint8Array): Promise<void> {
  await writeFile(path, manifest, { flag: 'wx' });
}

function successorOf(current: CurrentRelease | undefined, expiresMs = defaultExpiresMs) {
  const created = Date.now();
  return {
    number: (current?.number ?? 0) + 1,
    previous: current?.digest ?? noPrevious,
    created,
    expires: created + expiresMs,
  };
}

function parseView(view: ReleaseView): CurrentRelease {
  const bytes = fromBase64url(view.manifest);
  if (sha256Hex(bytes) !== view.digest)
    throw new CliError('refused', `the server shows a release ${view.number} that is not what its digest names`, {
      hint: 'its store was changed; nothing was signed',
    });
  return { number: view.number, digest: view.digest, manifest: parseManifest(bytes) };
}
