/** The routes of the audit log: entries, and the published files that an export consists of. Each read leaves an entry of its own. */
import { z } from 'zod';
import type { Principal } from '../../../lib/access/principal.ts';
import type { Entry } from '../../../lib/audit/entry.ts';
import { type ListedEntry, listEntries } from '../../../lib/audit/list.ts';
import type { AuditLog } from '../../../lib/audit/port.ts';
import { formatProof, proveEntry } from '../../../lib/audit/proof.ts';
import type { LogSource } from '../../../lib/audit/publication.ts';
import { tileWidth } from '../../../lib/audit/tiles.ts';
import { parseVerifierKey } from '../../../lib/crypto/note.ts';
import type { FleetDescriptor } from '../../../lib/identity/descriptor.ts';
import type { Store } from '../../../lib/store/port.ts';
import { Problem } from '../problem.ts';
import { type Route, route } from '../route.ts';
import { count, json, pageSchema, role, sha256, time, type View } from '../view.ts';
import { type PageOf, pageQuery } from './page.ts';
import { readPublished } from './published.ts';

type AuditRouteDeps = {
  readonly store: Store;
  readonly audit: AuditLog;
  readonly publication: LogSource;
  readonly descriptor: FleetDescriptor;
};

export const checkpointView = z
  .strictObject({ size: count, note: z.string() })
  .meta({ id: 'Checkpoint', description: 'A signed note (C2SP tlog-checkpoint), and the size that it is for.' });
/** The newest checkpoint: a signed note (C2SP tlog-checkpoint), and the size that it is for. */
export type CheckpointView = View<typeof checkpointView>;

const entryView = z
  .strictObject({
    index: count,
    /** SHA-256 of the entry's bytes. */
    body: sha256,
    /** C(index). */
    chain: sha256,
    entry: z.strictObject({
      v: z.literal(1),
      log: z.string(),
      lane: z.string(),
      n: count,
      prev: sha256,
      seen: z.strictObject({ size: count, root: sha256 }),
      ts: time,
      op: z.strictObject({
        id: z.string(),
        code: z.string(),
        type: z.string(),
        phase: z.enum(['done', 'intent', 'outcome']),
      }),
      actor: z.strictObject({ id: z.string(), kind: z.string(), role: role.optional(), auth: z.string() }),
      object: z.strictObject({ kind: z.string(), id: z.string() }),
      outcome: z.enum(['success', 'failure', 'denied', 'pending', 'unknown']),
      detail: z.record(z.string(), json),
    }),
  })
  .meta({
    id: 'AuditEntry',
    description: 'Where an entry stands, what it says, and the hashes that it is checked by.',
  });
/** An entry as the API shows it: where it stands, what it says, and the hashes by which both can be checked. */
export type EntryView = Omit<View<typeof entryView>, 'entry'> & { readonly entry: Entry };

const entriesQuery = z.strictObject({
  ...pageQuery,
  /** An index. */
  cursor: z
    .string()
    .regex(/^(0|[1-9][0-9]{0,15})$/, 'not one that this list gave')
    .transform(Number)
    .optional(),
  order: z.enum(['newest', 'oldest']).default('newest'),
  type: z.string().max(64).optional(),
  actor: z.string().max(253).optional(),
  /** `kind` or `kind/id`. */
  object: z.string().max(300).optional(),
});

const proofParams = z.strictObject({
  index: z
    .string()
    .regex(/^(0|[1-9][0-9]{0,14})$/, 'an index is a decimal number')
    .transform(Number),
});

/** C2SP tlog-tiles: `tile/<L>/<N>[.p/<W>]` and `tile/entries/<N>[.p/<W>]`, N in groups of three digits. */
const tilePattern = /^tile\/(entries|[0-9]|[1-5][0-9]|6[0-3])\/((?:x[0-9]{3}\/)*[0-9]{3})(?:\.p\/([1-9][0-9]{0,2}))?$/;

export function auditRoutes(deps: AuditRouteDeps): Route[] {
  return [
    route({
      method: 'GET',
      path: '/v1/audit/entries',
      permission: 'audit.read',
      schema: { query: entriesQuery },
      answer: pageSchema(entryView),
      handler: ({ principal, query }) => pageOfEntries(deps, principal, query),
    }),
    route({
      method: 'GET',
      path: '/v1/audit/entries/:index/proof',
      permission: 'audit.read',
      produces: 'text/plain',
      schema: { params: proofParams },
      handler: ({ principal, params }) => proofOf(deps, principal, params.index),
    }),
    route({
      method: 'GET',
      path: '/v1/audit/checkpoint',
      permission: 'audit.read',
      answer: checkpointView,
      handler: (): Promise<CheckpointView> => readPublished(deps),
    }),
    // A POST, because it leaves an entry: the export of the whole log up to the checkpoint that it answers with.
    route({
      method: 'POST',
      path: '/v1/audit/export',
      permission: 'audit.read',
      schema: { body: z.strictObject({}) },
      answer: checkpointView,
      handler: async ({ principal }): Promise<CheckpointView> => {
        const published = await readPublished(deps);
        if (published.size === 0) throw new Problem('not-found', 'nothing is published yet; try again in a second');
        await deps.audit.append({
          type: 'audit.export',
          actor: principal,
          object: { kind: 'log', id: deps.descriptor.log.origin },
          outcome: 'success',
          detail: { size: published.size },
        });
        return published;
      },
    }),
    route({
      method: 'GET',
      path: '/v1/audit/:path{tile/.+}',
      permission: 'audit.read',
      produces: 'application/octet-stream',
      schema: { params: z.strictObject({ path: z.string().max(100).regex(tilePattern, 'not the path of a tile') }) },
      handler: async ({ principal, params }) => {
        const bytes = await deps.publication.read(params.path);
        if (bytes === undefined) throw new Problem('not-found', `${params.path} is not published`);
        const bundle = bundleOf(params.path);
        if (bundle !== undefined) await recordRead(deps, principal, bundle.from, bundle.count);
        return new Response(new Uint8Array(bytes), { headers: { 'content-type': 'application/octet-stream' } });
      },
    }),
  ];
}

async function pageOfEntries(
  deps: AuditRouteDeps,
  principal: Principal,
  { order, limit, cursor, type, actor, object }: z.output<typeof entriesQuery>,
): Promise<PageOf<EntryView>> {
  const { origin } = deps.descriptor.log;
  const { entries, next } = await listEntries(
    { store: deps.store, origin },
    {
      order,
      limit,
      ...(cursor === undefined ? {} : { from: cursor }),
      ...(type === undefined ? {} : { type }),
      ...(actor === undefined ? {} : { actor }),
      ...(object === undefined ? {} : { object: parseObject(object) }),
    },
  );
  const lowest = entries.reduce((least, { index }) => Math.min(least, index), Number.MAX_SAFE_INTEGER);
  await recordRead(deps, principal, entries.length === 0 ? 0 : lowest, entries.length);
  return { items: entries.map(viewOf), ...(next === undefined ? {} : { next: String(next) }) };
}

/** One entry with its proof (C2SP tlog-proof), which holds the entry: reading it is recorded as any other read. */
async function proofOf(deps: AuditRouteDeps, principal: Principal, index: number): Promise<Response> {
  const { origin, key } = deps.descriptor.log;
  const source = deps.publication;
  const proof = await proveEntry({ source, origin, verifiers: [parseVerifierKey(key)] }, index);
  await recordRead(deps, principal, index, 1);
  return new Response(formatProof(proof), { headers: { 'content-type': 'text/plain; charset=utf-8' } });
}

function viewOf({ index, body, chain, entry }: ListedEntry): EntryView {
  return { index, body, chain, entry };
}

function parseObject(text: string): { readonly kind: string; readonly id?: string } {
  const at = text.indexOf('/');
  return at < 0 ? { kind: text } : { kind: text.slice(0, at), id: text.slice(at + 1) };
}

/** Which entries a bundle holds; tiles of hashes hold none. */
function bundleOf(path: string): { readonly from: number; readonly count: number } | undefined {
  const [, level, index = '', width] = tilePattern.exec(path) ?? [];
  if (level !== 'entries') return undefined;
  return {
    from: Number(index.replaceAll(/[x/]/g, '')) * tileWidth,
    count: width === undefined ? tileWidth : Number(width),
  };
}

/** Before anything is shown: what can't be recorded is not read. */
async function recordRead(deps: AuditRouteDeps, actor: Principal, from: number, count: number): Promise<void> {
  await deps.audit.append({
    type: 'audit.read',
    actor,
    object: { kind: 'log', id: deps.descriptor.log.origin },
    outcome: 'success',
    detail: { from, count },
  });
}
