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
  nodePosture,
  type PostureView,
  postureView,
} from '../compliance.ts';
import { Problem } from '../problem.ts';
import { bytesRoute, type Route, route } from '../route.ts';
import { count, pageSchema, releaseRef, sha256, time, type View } from '../view.ts';
import { checkpointView } from './audit.ts';
import { parseUuidPosition } from './nodes.ts';
import { isoTime, type PageOf, pageOf, pageQuery, positionOf } from './page.ts';
import { readPublished } from './published.ts';

const documentView = z
  .strictObject({ name: z.string(), sha256, bytes: count, uploaded: time, uploadedBy: z.string() })
  .meta({ id: 'ComplianceDocument' });
export type DocumentView = View<typeof documentView>;

const verdict = z.strictObject({
  verdict: z.enum(['pass', 'fail', 'not_checked']),
  reason: z.string(),
  /** The first entry that is known to be bad. */
  index: count.optional(),
});
const verdictsView = z
  .strictObject({
    ...{ integrity: verdict, completeness: verdict, freshness: verdict, anchoring: verdict, witnessing: verdict },
    size: count.optional(),
    root: sha256.optional(),
    chain: sha256.optional(),
  })
  .meta({ id: 'Verdicts', description: 'What this server finds in its own published log, one verdict a question.' });

const evidenceView = z
  .strictObject({
    fleet: z.string(),
    generated: time,
    release: releaseRef.optional(),
    posture: postureView,
    /** What this server finds in its own published log; an auditor verifies the checkpoint with other tools. */
    verification: verdictsView.optional(),
    /** The newest signed checkpoint: a note that fixes every entry, and shows none. */
    checkpoint: checkpointView,
    documents: z.array(documentView),
  })
  .meta({ id: 'Evidence' });
export type EvidenceView = View<typeof evidenceView>;

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
      answer: postureView,
      handler: ({ query }): Promise<PostureView> => fleetPosture(deps, query.days),
    }),
    route({
      method: 'GET',
      path: '/v1/compliance/nodes',
      permission: 'compliance.read',
      schema: { query: z.strictObject({ ...pageQuery, days }) },
      answer: pageSchema(nodePosture),
      handler: ({ query }) => pageOfNodes(deps, query),
    }),
    route({
      method: 'GET',
      path: '/v1/compliance/verification',
      permission: 'compliance.read',
      answer: verdictsView,
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
      answer: evidenceView,
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
          documents: await Array.fromAsync(everyItem(deps.store, { pk: documents }), documentViewOf),
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
      answer: pageSchema(documentView),
      // By name, which is how they are kept.
      handler: async ({ query: { limit, cursor } }): Promise<PageOf<DocumentView>> => {
        const after = positionOf('documents', cursor, (text) => text);
        const page = await deps.store.query({ pk: documents, limit, ...(after === undefined ? {} : { after }) });
        return pageOf('documents', page.items.map(documentViewOf), page.next);
      },
    }),
    bytesRoute({
      method: 'PUT',
      path: '/v1/compliance/documents/:name',
      permission: 'compliance.docs.write',
      schema: { params, maxBytes: maxBlobBytes },
      answer: documentView,
      handler: async ({ principal, body, ...input }) => {
        const { name } = input.params;
        const digest = await deps.blobs.put(body);
        const item = {
          pk: documents,
          sk: name,
          sha256: digest,
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
            detail: { sha256: digest, bytes: body.length, name },
          },
          [{ kind: 'put', item, when: { kind: 'absent' } }],
        );
        // Evidence is added to, not changed.
        if (!outcome.ok)
          throw new Problem('conflict', `there is a document ${JSON.stringify(name)} already`, { reason: 'exists' });
        return documentViewOf(item);
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
        const bytes = item && (await deps.blobs.get(parseBlobDigest(documentViewOf(item).sha256)));
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

function documentViewOf(item: Item): DocumentView {
  const { sk, sha256: digest, bytes, uploadedAt, uploadedBy } = storedDocument.parse(item);
  return { name: sk, sha256: digest, bytes, uploaded: isoTime(uploadedAt), uploadedBy };
}
