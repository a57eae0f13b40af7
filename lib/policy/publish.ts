/**
 * Publishing on the server's side. The server can't author a release: it stores one that the operators signed, whole,
 * in its turn, with its audit entry, or refuses it and records that.
 */
import type { Actor, AuditLog } from '../audit/port.ts';
import type { SecretsProvider } from '../secrets/provider.ts';
import type { BlobDigest, BlobStore } from '../store/blobs.ts';
import type { Store, Write } from '../store/port.ts';
import { acceptedIn, acceptingSigners } from './accepts.ts';
import { PolicyError } from './errors.ts';
import { currentFreeze, frozen, unfrozen } from './freeze.ts';
import { currentKey, currentRelease, getRelease, releaseKey } from './history.ts';
import {
  type Crate,
  contentOf,
  formatContent,
  type Manifest,
  type ManifestCrate,
  parseCrate,
  parseManifest,
} from './model.ts';
import { danglingReferences, type Ordered, sortResources } from './order.ts';
import { assertSecretsExist } from './release-secrets.ts';
import { resourceKey } from './resource-types.ts';
import { type PolicyTrust, type Release, type ReleaseRef, verifyBlob, verifyRelease } from './verify.ts';
import { quote } from './yaml.ts';

export type PublishDeps = {
  readonly store: Store;
  readonly blobs: BlobStore;
  readonly audit: AuditLog;
  readonly now: () => number;
  /** The fleet's descriptor. */
  readonly trust: PolicyTrust;
  /** Asked whether the secrets of a release exist; without it, none that needs a secret is published. */
  readonly secrets?: Pick<SecretsProvider, 'existing'>;
};

export type PublishRequest = {
  /** Attacker-controlled, as are the signatures. */
  readonly manifest: Uint8Array;
  readonly signatures: readonly string[];
  readonly actor: Actor;
  /** The number of the older release whose content this one restores. */
  readonly rollbackTo?: number;
};

/** `repeated` when this very release was already current: the answer to the first attempt was lost. */
export type Published = ReleaseRef & { readonly signers: readonly string[]; readonly repeated: boolean };

/** An entry has 8 KiB; the digest binds the crates that don't fit. */
const maxCratesInEntry = 40;

/**
 * Publishes a release. Every blob must have been uploaded before. Throws `PolicyError`; each refusal is audited as
 * `policy.refuse` with the code. Of two publishers at the same time one wins, and the other gets `conflict`.
 */
export async function publishRelease(deps: PublishDeps, request: PublishRequest): Promise<Published> {
  try {
    return await publish(deps, request);
  } catch (error) {
    if (error instanceof PolicyError) await recordRefusal(deps, request.actor, error);
    throw error;
  }
}

async function publish(deps: PublishDeps, request: PublishRequest): Promise<Published> {
  const { store, blobs, now, trust } = deps;
  const held = await currentRelease(store);
  const { manifest, signatures, rollbackTo } = request;
  const publishedAt = now();
  const release = verifyRelease({
    manifest,
    signatures,
    trust,
    now: publishedAt,
    ...(held === undefined ? {} : { held }),
  });
  const { digest, signers } = release;
  const { number } = release.manifest;
  if (held !== undefined && held.number === number) return { number, digest, signers, repeated: true };
  const expected = (held?.number ?? 0) + 1;
  if (number !== expected) {
    const hint = `Build it as release ${expected}, and sign it again.`;
    throw new PolicyError('number_gap', `this is release ${number}, but the next one is ${expected}`, { hint });
  }
  if (rollbackTo !== undefined) await assertRestores(store, release.manifest, rollbackTo);
  else await assertUnfrozen(store);
  const crates: Crate[] = [];
  for (const listed of release.manifest.crates) crates.push(await readUploaded(blobs, listed));
  assertOrdered(crates.flatMap(ordered));
  await assertSecretsExist(deps.secrets, release.manifest, crates);
  const accepted = acceptedIn(crates);
  assertAccepted(accepted, signers);
  const event = publishEvent(release, request, accepted);
  const writes = releaseWrites(release, held, publishedAt);
  const outcome = await deps.audit.append(event, rollbackTo === undefined ? [...writes, unfrozen] : writes);
  if (!outcome.ok) {
    if (rollbackTo === undefined) await assertUnfrozen(store);
    // The same release from two hands at once is no conflict: it is published.
    const winner = await currentRelease(store);
    if (winner?.number === number && winner.digest === digest) return { number, digest, signers, repeated: true };
    const hint = 'Build and sign on top of the release that is current now.';
    throw new PolicyError('conflict', `another release ${number} was published in the meantime`, { hint });
  }
  return { number, digest, signers, repeated: false };
}

async function assertUnfrozen(store: Store): Promise<void> {
  const found = await currentFreeze(store);
  if (found !== undefined) throw frozen(found);
}

/** One operator alone can't have nodes run what nobody can judge. Nodes hold to this too. */
function assertAccepted(accepted: readonly string[], signers: readonly string[]): void {
  const [first] = accepted;
  if (first === undefined || signers.length >= acceptingSigners) return;
  throw new PolicyError('too_few_signers', `what is accepted needs the signatures of two operators: ${first}`, {
    hint: 'Have a second operator sign the same manifest, or write the command so that it can be judged.',
  });
}

/** Restoring is a right of its own in the audit log, so what is called a rollback must be exactly that. */
async function assertRestores(store: Store, manifest: Manifest, to: number): Promise<void> {
  const old = await getRelease(store, to);
  if (old === undefined) throw new PolicyError('unknown_release', `there is no release ${to} to restore`);
  if (formatContent(parseManifest(old.manifest)) !== formatContent(manifest)) {
    throw new PolicyError('not_a_rollback', `this release differs from release ${to}, which it claims to restore`);
  }
}

/** Every blob is here, is what its digest says, and is listed exactly: a node must never find a hole in a release. */
async function readUploaded(blobs: BlobStore, listed: ManifestCrate): Promise<Crate> {
  const bytes = await fetchBlob(blobs, listed.sha256, `crate "${listed.name}"`);
  const crate = parseCrate(bytes);
  if (crate.crate !== listed.name) {
    throw new PolicyError('malformed', `the blob of crate "${listed.name}" is that of crate "${crate.crate}"`);
  }
  const contents = new Map(
    crate.resources.flatMap((resource) => {
      const content = contentOf(resource);
      return content === undefined ? [] : [[content.sha256, content.bytes] as const];
    }),
  );
  if ([...contents.keys()].sort().join() !== listed.blobs.join()) {
    throw new PolicyError('malformed', `the manifest does not list the contents of crate "${listed.name}" exactly`);
  }
  for (const [digest, size] of contents) {
    const content = await fetchBlob(blobs, digest, `a file of crate "${listed.name}"`);
    if (content.length !== size) {
      throw new PolicyError('malformed', `crate "${listed.name}" gives a wrong size for content ${digest}`);
    }
  }
  return crate;
}

function ordered({ crate, resources }: Crate): readonly Ordered[] {
  return resources.map((resource) => ({ ...resource, crate, key: resourceKey(resource.type, resource.id) }));
}

/** What no check before the signing can have let through: such a release would stop every node that gets it. */
function assertOrdered(resources: readonly Ordered[]): void {
  const keys = new Set(resources.map((resource) => `${resource.crate}:${resource.key}`));
  if (keys.size !== resources.length) throw new PolicyError('malformed', 'a crate holds the same resource twice');
  const [dangling] = danglingReferences(resources);
  if (dangling !== undefined) {
    const { crate, key } = dangling.from;
    throw new PolicyError(
      'malformed',
      `${quote(key)} of crate "${crate}" refers to ${quote(dangling.reference)}, which is missing`,
    );
  }
  sortResources(resources);
}

async function fetchBlob(blobs: BlobStore, digest: string, what: string): Promise<Uint8Array> {
  const bytes = await blobs.get(digest as BlobDigest);
  if (bytes === undefined) {
    throw new PolicyError('missing_blob', `${what} was not uploaded (${digest})`, {
      hint: 'Upload it, then publish again.',
    });
  }
  verifyBlob(digest, bytes);
  return bytes;
}

/** Both are conditional on what was read: the number was never taken, and the current release is still the same. */
function releaseWrites(release: Release, held: ReleaseRef | undefined, publishedAt: number): readonly Write[] {
  const { digest, bytes, signatures } = release;
  const { number } = release.manifest;
  return [
    {
      kind: 'put',
      item: { ...releaseKey(number), number, digest, manifest: bytes, signatures, publishedAt },
      when: { kind: 'absent' },
    },
    {
      kind: 'put',
      item: { ...currentKey, number, digest },
      when:
        held === undefined
          ? { kind: 'absent' }
          : {
              kind: 'all',
              of: [
                { kind: 'equals', name: 'number', value: held.number },
                { kind: 'equals', name: 'digest', value: held.digest },
              ],
            },
    },
  ];
}

function publishEvent(release: Release, { actor, rollbackTo }: PublishRequest, accepted: readonly string[]) {
  const { manifest, digest, signers } = release;
  const object = { kind: 'release', id: String(manifest.number) };
  const common = {
    digest,
    previous: manifest.previous,
    signers,
    ...(accepted.length === 0 ? {} : { accepted }),
  };
  if (rollbackTo !== undefined) {
    return {
      type: 'policy.rollback',
      actor,
      object,
      outcome: 'success',
      detail: { ...common, to: rollbackTo },
    } as const;
  }
  const crates = manifest.crates.slice(0, maxCratesInEntry).map((crate) => crate.name);
  return { type: 'policy.publish', actor, object, outcome: 'success', detail: { ...common, crates } } as const;
}

async function recordRefusal({ audit }: PublishDeps, actor: Actor, error: PolicyError): Promise<void> {
  // The number is the attacker's word until the signatures hold, so it is not recorded.
  const object = { kind: 'release', id: 'unpublished' };
  await audit.deny({ type: 'policy.refuse', actor, object, outcome: 'denied', detail: { reason: error.code } });
}
