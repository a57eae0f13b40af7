/** The routes for auditors: posture, verdicts, evidence, documents. Never an entry of the log: counts, states and proofs alone. */
import { z } from 'zod';
import type { AuditLog } from '../../../lib/audit/port.ts';
import type { Verdicts } from '../../../lib/audit/verdicts.ts';
import { readPosture } from '../../../lib/compliance/posture.ts';
import { nodeKey, nodePartitions, parseNode } from '../../../lib/identity/nodes.ts';
import { currentRelease } from '../../../lib/policy/history.ts';
import { maxBlobBytes, parseBlobDigest } from '../../../lib/store/blobs.ts';
import { everyItem } from '../../../lib/store/every-item.ts';
import type { Item } from '../../../lib/store/port.ts';
import {
  type ComplianceDeps,
  createVerification,
  daysUpTo,
  fleetPosture,
  type NodePosture,
  nodeDays,
  type PostureView,
} from '../compliance.ts';
import { Problem } from '../problem.ts';
import { bytesRoute, type Route, route } from '../route.ts';
import { parseUuidPosition } from './nodes.ts';
import { isoTime, type PageOf, pageOf, pageQuery, positionOf } from './page.ts';
import { readPublished } from './published.ts';

export type DocumentView = {
  readonly name: string;
  readonly sha256: string;
  readonly bytes: number;
  readonly uploaded: string;
  readonly uploadedBy: string;
};

export type EvidenceView = {
  readonly fleet: string;
  readonly generated: string;
  readonly release?: { readonly number: number; readonly digest: string };
  readonly posture: PostureView;
  /** What this server finds in its own published log; an auditor verifies the checkpoint with other tools. */
  readonly verification?: Verdicts;
  /** The newest signed checkpoint: a note that fixes every entry, and shows none. */
  readonly checkpoint: { readonly size: number; readonly note: string };
  readonly documents: readonly DocumentView[];
};

type RouteDeps = ComplianceDeps & { readonly audit: AuditLog };

const days = z
  .string()
  .regex(/^[1-9][0-9]?$/, 'must be a number from 1 to 90')
  .transform(Number)
  .refine((count) => count <= 90, 'must be a number from 1 to 90')
  .default(7);
/** A file name that is one in every system, and no path. */
const documentName = z
  .string()
  .max(128)
  .regex(/^[A-Za-z0-9][A-Za-z0-9 ._-]*$/, 'must be letters, digits, spaces, dots, hyphens and "_"');
const documents = 'compliance-document';

export function complianceRoutes(deps: RouteDeps): Route[] {
  return [...reportRoutes(deps), ...documentRoutes(deps)];
}

function reportRoutes(deps: RouteDeps): Route[] {
  const verify = createVerification(deps);
  return [
    route({
      method: 'GET',
      path: '/v1/compliance/posture',
      permission: 'compliance.read',
      schema: { query: z.strictObject({ days }) },
      handler: ({ query }): Promise<PostureView> => fleetPosture(deps, query.days),
    }),
    route({
      method: 'GET',
      path: '/v1/compliance/nodes',
      permission: 'compliance.read',
      schema: { query: z.strictObject({ ...pageQuery, days }) },
      handler: ({ query }) => pageOfNodes(deps, query),
    }),
    route({
      method: 'GET',
      path: '/v1/compliance/verification',
      permission: 'compliance.read',
      handler: async (): Promise<Verdicts> => {
        const verdicts = await verify();
        if (verdicts === undefined) throw new Problem('not-found', 'nothing is published yet; try again in a second');
        return verdicts;
      },
    }),
    // A POST, because it leaves an entry: who took which evidence away.
    route({
      method: 'POST',
      path: '/v1/compliance/evidence',
      permission: 'compliance.read',
      schema: { body: z.strictObject({ days: z.int().min(1).max(90).default(30) }) },
      handler: async ({ principal, body }): Promise<EvidenceView> => {
        const checkpoint = await readPublished(deps);
        const { descriptor } = deps;
        await deps.audit.append({
          type: 'compliance.evidence',
          actor: principal,
          object: { kind: 'log', id: descriptor.log.origin },
          outcome: 'success',
          detail: { size: checkpoint.size },
        });
        const [release, verification] = await Promise.all([currentRelease(deps.store), verify()]);
        return {
          fleet: descriptor.fleet,
          generated: isoTime(deps.now()),
          ...(release === undefined ? {} : { release: { number: release.number, digest: release.digest } }),
          posture: await fleetPosture(deps, body.days),
          ...(verification === undefined ? {} : { verification }),
          checkpoint,
          documents: await Array.fromAsync(everyItem(deps.store, { pk: documents }), documentView),
        };
      },
    }),
  ];
}

function documentRoutes(deps: RouteDeps): Route[] {
  const params = z.strictObject({ name: documentName });
  return [
    route({
      method: 'GET',
      path: '/v1/compliance/documents',
      permission: 'compliance.read',
      schema: { query: z.strictObject(pageQuery) },
      // By name, which is how they are kept.
      handler: async ({ query: { limit, cursor } }): Promise<PageOf<DocumentView>> => {
        const after = positionOf('documents', cursor, (text) => text);
        const page = await deps.store.query({ pk: documents, limit, ...(after === undefined ? {} : { after }) });
        return pageOf('documents', page.items.map(documentView), page.next);
      },
    }),
    bytesRoute({
      method: 'PUT',
      path: '/v1/compliance/documents/:name',
      permission: 'compliance.docs.write',
      schema: { params, maxBytes: maxBlobBytes },
      handler: async ({ principal, body, ...input }) => {
        const { name } = input.params;
        const sha256 = await deps.blobs.put(body);
        const item = {
          pk: documents,
          sk: name,
          sha256,
          bytes: body.length,
          uploadedAt: deps.now(),
          uploadedBy: principal.id,
        };
        const outcome = await deps.audit.append(
          {
            type: 'compliance.document.add',
            actor: principal,
            object: { kind: 'document', id: name },
            outcome: 'success',
            detail: { sha256, bytes: body.length, name },
          },
          [{ kind: 'put', item, when: { kind: 'absent' } }],
        );
        // Evidence is added to, not changed.
        if (!outcome.ok)
          throw new Problem('conflict', `there is a document ${JSON.stringify(name)} already`, { reason: 'exists' });
        return documentView(item);
      },
    }),
    route({
      method: 'GET',
      path: '/v1/compliance/documents/:name',
      permission: 'compliance.read',
      produces: 'application/octet-stream',
      schema: { params },
      handler: async (input) => {
        const item = await deps.store.get({ pk: documents, sk: input.params.name });
        const bytes = item && (await deps.blobs.get(parseBlobDigest(documentView(item).sha256)));
        if (bytes === undefined) throw new Problem('not-found', 'there is no such document');
        // Somebody's file: to be kept, never to be shown as a page of ours.
        const headers = { 'content-type': 'application/octet-stream', 'content-disposition': 'attachment' };
        return new Response(new Uint8Array(bytes), { headers });
      },
    }),
  ];
}

async function pageOfNodes(
  deps: ComplianceDeps,
  query: { readonly days: number; readonly limit: number; readonly cursor?: string | undefined },
): Promise<PageOf<NodePosture>> {
  const wanted = daysUpTo(deps.now(), query.days);
  const items: NodePosture[] = [];
  const list = `posture of ${query.days} days`;
  let after: string | undefined = positionOf(list, query.cursor, parseUuidPosition);
  const first = after === undefined ? 0 : nodePartitions.indexOf(nodeKey(after).pk);
  for (const pk of nodePartitions.slice(first)) {
    do {
      const page = await deps.store.query({ pk, limit: query.limit, ...(after === undefined ? {} : { after }) });
      for (const item of page.items) {
        const node = parseNode(item);
        const held = await readPosture(deps.store, node.uuid, wanted[0] ?? '');
        items.push({ uuid: node.uuid, name: node.name, days: nodeDays(node, held, wanted) });
        if (items.length === query.limit) return pageOf(list, items, node.uuid);
      }
      after = page.next;
    } while (after !== undefined);
  }
  return { items };
}

const storedDocument = z.object({
  sk: z.string(),
  sha256: z.string(),
  bytes: z.int(),
  uploadedAt: z.number(),
  uploadedBy: z.string(),
});

function documentView(item: Item): DocumentView {
  const { sk, sha256, bytes, uploadedAt, uploadedBy } = storedDocument.parse(item);
  return { name: sk, sha256, bytes, uploaded: isoTime(uploadedAt), uploadedBy };
}
