/**
 * Downloads: a node gets the blobs of the crates that are bound to it in the current release, the parts of the build of
 * the agent that its ring runs, and no others. Whether a blob exists is not revealed: what a node may not have and what
 * there is not are refused alike.
 */
import type { Ring } from '../../lib/artifacts/rings.ts';
import type { AuditLog } from '../../lib/audit/port.ts';
import { toHex } from '../../lib/crypto/encoding.ts';
import type { DirectoryNode } from '../../lib/identity/directory.ts';
import { getNode } from '../../lib/identity/nodes.ts';
import { blobsFor } from '../../lib/policy/bindings.ts';
import type { BlobDigest, BlobStore } from '../../lib/store/blobs.ts';
import type { Store } from '../../lib/store/port.ts';
import type { DownloadRequest } from '../../lib/wire/gen/holdfast/agent/v1/gateway_pb.ts';
import { decodeDownloadRequest, encodeChunk } from '../../lib/wire/messages.ts';
import { gatewayMethod } from '../../lib/wire/methods.ts';
import type { CurrentRelease } from './current-release.ts';
import { denyNode } from './denials.ts';
import { RequestRefused } from './refusals.ts';
import { refuseQuarantined } from './session.ts';
import type { Reply, StreamHandler, VerifiedRequest } from './stream.ts';
import type { WantedBuilds } from './wanted-builds.ts';

export const maxChunkBytes = 256 * 1024;

export type DownloadDeps = {
  readonly store: Store;
  readonly blobs: Pick<BlobStore, 'get'>;
  readonly audit: Pick<AuditLog, 'deny'>;
  readonly currentRelease: CurrentRelease;
  readonly builds: WantedBuilds;
  /** The node has the whole build that its ring runs. Durable when it returns. */
  readonly recordTaken: (node: DirectoryNode, ring: Ring) => Promise<void>;
};

export function downloadHandler(deps: DownloadDeps): StreamHandler<DownloadRequest> {
  return {
    maxBodyBytes: 64,
    // One after the other: chunks carry no counter.
    maxInFlight: 1,
    encodeChallenge: (challenge) => encodeChunk({ chunk: { case: 'challenge', value: challenge } }),
    encodeRefusal: (_counter, refusal) => encodeChunk({ chunk: { case: 'refusal', value: refusal } }),
    decode: (body) => {
      const request = decodeDownloadRequest(body);
      return request?.digest.length === 32 ? request : undefined;
    },
    handle: (verified, reply) => download(deps, verified, reply),
  };
}

async function download(deps: DownloadDeps, verified: VerifiedRequest<DownloadRequest>, reply: Reply): Promise<void> {
  const { node, request } = verified;
  refuseQuarantined(node);
  const digest = toHex(request.digest) as BlobDigest;
  const part = await deps.builds.part(node, digest);
  if (part === undefined && !(await isEntitled(deps, node.uuid, digest))) {
    denyNode(deps.audit, { reason: 'not_entitled', method: gatewayMethod('download').path, uuid: node.uuid });
    throw new RequestRefused('PERMISSION_DENIED', 'The blob is in no crate that is bound to this node.');
  }
  const bytes = await deps.blobs.get(digest);
  if (!bytes) throw new RequestRefused('UNAVAILABLE', 'The blob is not here yet; try again later.');
  for (let at = 0; at < bytes.length && reply.open; at += maxChunkBytes) {
    const data = bytes.subarray(at, at + maxChunkBytes);
    await reply.sendAndWait(encodeChunk({ chunk: { case: 'data', value: data } }));
  }
  // Before the end, without which no agent takes a blob: whoever goes on to try the build is on record.
  if (part?.isLast && reply.open) await deps.recordTaken(node, part.ring);
  reply.send(encodeChunk({ chunk: { case: 'end', value: { totalBytes: bytes.length } } }));
}

/** Judged by the labels that the node was enrolled with, as they are stored. */
async function isEntitled(deps: DownloadDeps, uuid: string, digest: BlobDigest): Promise<boolean> {
  const release = await deps.currentRelease.get();
  const record = await getNode(deps.store, uuid);
  return release !== undefined && record !== undefined && blobsFor(release.manifest, record).has(digest);
}
