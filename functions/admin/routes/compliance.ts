/** The routes for auditors: posture, verdicts, evidence, documents. Never an entry of the log: counts, states and proofs alone. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { z } from 'zod';
import type { AuditLog } from '../../../lib/audit/port.ts';
import type { Verdicts } from '../../../lib/audit/verdicts.ts';
import { readPosture } from '../../../lib/compliance/posture.ts';
import { nodeKey, nodePartitions, parseNode } from '../../../lib/identity/nodes.ts';
import { currentRelease } from '../../../lib/policy/history.ts';
import { maxBlobBytes, parseBlobDigest } from '../../../lib/store/blobs.ts';
import { everyItem } from '../../../lib/store/every-item.ts';
import type { Item } from '../../../lib/store/port.ts';
import { type ComplianceDeps, createVerification } from '../compliance.ts';
import {
  createFleetPosture,
  daysUpTo,
  type NodePosture,
  nodeDays,
  nodePosture,
  type PostureView,
  postureView,
} from '../posture.ts';
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
  const fleetPosture = createFleetPosture(deps);
  return [
    route({
      method: 'GET',
      path: '/v1/compliance/posture',
      permission: 'compliance.read',
      schema: { query: z.strictObject({ days }) },
      answer: postureView,
      handler: ({ query }): Promise<PostureView> => fleetPosture(query.days),
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
          posture: await fleetPosture(body.days),
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

/** So many days of nodes make a page, whatever its limit. */
const maxNodeDays = 10_000;
/** Nodes that are read at the same time, and before others get their turn. */
const nodesAtOnce = 16;

async function pageOfNodes(
  deps: ComplianceDeps,
  query: { readonly days: number; readonly limit: number; readonly cursor?: string | undefined },
): Promise<PageOf<NodePosture>> {
  const wanted = daysUpTo(deps.now(), query.days);
  const [from = '', to = ''] = [wanted[0], wanted.at(-1)];
  const list = `posture of ${query.days} days`;
  const limit = Math.min(query.limit, Math.ceil(maxNodeDays / query.days));
  const items: NodePosture[] = [];
  let after: string | undefined = positionOf(list, query.cursor, parseUuidPosition);
  const first = after === undefined ? 0 : nodePartitions.indexOf(nodeKey(after).pk);
  for (const pk of nodePartitions.slice(first)) {
    do {
      const left = Math.min(nodesAtOnce, limit - items.length);
      const page = await deps.store.query({ pk, limit: left, ...(after === undefined ? {} : { after }) });
      const found = page.items.map(parseNode).map(async (node) => {
        // A day and nothing more: '0' is behind every text that begins with it.
        const held = await readPosture(deps.store, node.uuid, { from, to: `${to}0` });
        return { uuid: node.uuid, name: node.name, days: nodeDays(node, held, wanted) };
      });
      items.push(...(await Promise.all(found)));
      if (items.length === limit) return pageOf(list, items, items.at(-1)?.uuid);
      await nextTurn();
      after = page.next;
    } while (after !== undefined);
  }
  return pageOf(list, items, undefined);
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
