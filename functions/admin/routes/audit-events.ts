/**
 * The pull feed: sealed entries after a sequence, with their hashes, for collectors that fetch rather than are sent to.
 * It can wait for the next one. Every answer that shows entries leaves an entry itself, so one that waits does not end
 * for what its own reading left.
 */
import { z } from 'zod';
import type { Principal } from '../../../lib/access/principal.ts';
import { readCheckpoint } from '../../../lib/audit/head.ts';
import type { AuditLog } from '../../../lib/audit/port.ts';
import { formatFeedRecord } from '../../../lib/audit/source-feed.ts';
import { utf8 } from '../../../lib/crypto/encoding.ts';
import type { FleetDescriptor } from '../../../lib/identity/descriptor.ts';
import {
  createSealedReader,
  type SealedEntry,
  type SealedHead,
  type SealedReader,
} from '../../../lib/siem/sealed-reader.ts';
import { type Store, StoreError } from '../../../lib/store/port.ts';
import { Problem } from '../problem.ts';
import { type Route, route } from '../route.ts';
import { count, sha256, type View } from '../view.ts';
import { checkpointView } from './audit.ts';

type EventRouteDeps = {
  readonly store: Store;
  readonly audit: AuditLog;
  readonly now: () => number;
  readonly descriptor: FleetDescriptor;
};

const pulledPage = z
  .strictObject({
    log: z.string(),
    items: z.array(
      z.strictObject({
        /** `<log>:<seq>` */
        id: z.string(),
        seq: count,
        body: sha256,
        chain: sha256,
        previous: sha256,
        /** The entry's exact text: SHA-256 of its UTF-8 bytes is `body`. */
        raw: z.string(),
      }),
    ),
    /** The `after` of the following request: the sequence of the newest item, or what was asked for. */
    after: count.optional(),
    /** How many entries are sealed, and C(size − 1). */
    head: z.strictObject({ size: count, chain: sha256 }),
    checkpoint: checkpointView.optional(),
  })
  .meta({
    id: 'PulledEntries',
    description: 'Sealed entries with their exact text; `after` goes into the next request.',
  });
/** Entries as they are pulled. `raw` is the exact text of one: SHA-256 of its UTF-8 bytes is `body`. */
export type PulledPage = View<typeof pulledPage>;

const maxWaitSeconds = 30;
const maxPolls = 100;
const number = (max: number) =>
  z
    .string()
    .regex(/^(0|[1-9][0-9]{0,14})$/, 'must be a number')
    .transform(Number)
    .refine((value) => value <= max, `must be at most ${max}`);

const query = z.strictObject({
  /** The newest sequence that the collector has; from the first entry when absent. */
  after: number(Number.MAX_SAFE_INTEGER).optional(),
  limit: number(1000)
    .refine((limit) => limit > 0, 'must be at least 1')
    .default(500),
  /** Seconds to wait for an entry when there is none. */
  wait: number(maxWaitSeconds).default(0),
  /** `ndjson`: lines as `holdfast audit verify` reads them from a file. */
  format: z.enum(['json', 'ndjson']).default('json'),
});

export function auditEventRoutes(deps: EventRouteDeps): Route[] {
  const { origin } = deps.descriptor.log;
  const reader = createSealedReader({ store: deps.store, origin });
  let polls = 0;
  return [
    route({
      method: 'GET',
      path: '/v1/audit/events',
      permission: 'audit.read',
      schema: { query },
      answer: pulledPage,
      produces: 'application/x-ndjson',
      handler: async ({ principal, query: { after, limit, wait, format }, signal, stillAllowed }) => {
        const from = after === undefined ? 0 : after + 1;
        let head = await reader.head();
        if (from > head.size) throw new Problem('not-found', `the log has ${head.size} sealed entries`);
        if (wait > 0) {
          if (polls >= maxPolls) throw new StoreError('unavailable', 'too many collectors wait');
          polls += 1;
          try {
            head = await nextNews({ ...deps, reader }, { from, waitMs: wait * 1000, principal, signal });
          } finally {
            polls -= 1;
          }
          // Before anything is shown: a credential that ended since sees nothing.
          if (!(await stillAllowed())) throw new Problem('unauthenticated', 'log in again');
        }
        const entries = from < head.size ? await take(reader, from, limit, head) : [];
        // Before anything is shown: what can't be recorded is not read.
        if (entries.length > 0) await record(deps, principal, from, entries.length);
        const checkpoint = await readCheckpoint(deps.store);
        const page: PulledPage = {
          log: origin,
          items: entries.map((entry) => pulled(origin, entry)),
          ...(from + entries.length > 0 && { after: from + entries.length - 1 }),
          head,
          ...(checkpoint && { checkpoint: { size: checkpoint.size, note: checkpoint.note } }),
        };
        if (format === 'json') return page;
        // A file of these lines is verified against the newest checkpoint in it, so none goes ahead of its entries.
        const isReached = checkpoint !== undefined && checkpoint.size <= from + entries.length;
        return ndjson(entries, isReached ? checkpoint.note : undefined);
      },
    }),
  ];
}

/** The head once there is an entry that says something new, or when the time is over. */
async function nextNews(
  { store, reader, now }: EventRouteDeps & { readonly reader: SealedReader },
  asked: {
    readonly from: number;
    readonly waitMs: number;
    readonly principal: Principal;
    readonly signal: AbortSignal;
  },
): Promise<SealedHead> {
  const until = now() + asked.waitMs;
  let looked = asked.from;
  let position = await store.feed.now();
  for (;;) {
    const head = await reader.head();
    while (looked < head.size) {
      for (const { seq, entry } of await reader.read(looked, head)) {
        const isOwnEcho = entry.op.type === 'audit.read' && entry.actor.id === asked.principal.id;
        if (!isOwnEcho && entry.op.type !== 'log.checkpoint') return head;
        looked = seq + 1;
      }
    }
    const waitMs = until - now();
    if (waitMs <= 0 || asked.signal.aborted) return head;
    const read = await store.feed.read(position, { limit: 1000, waitMs, signal: asked.signal });
    position = read.position;
    if (read.changes.length === 0) return reader.head();
  }
}

async function take(reader: SealedReader, from: number, limit: number, head: SealedHead): Promise<SealedEntry[]> {
  const entries: SealedEntry[] = [];
  while (entries.length < limit && from + entries.length < head.size) {
    const rest = limit - entries.length;
    entries.push(...(await reader.read(from + entries.length, head)).slice(0, rest));
  }
  return entries;
}

function pulled(origin: string, { seq, body, chain, previous, raw }: SealedEntry): PulledPage['items'][number] {
  return { id: `${origin}:${seq}`, seq, body, chain, previous, raw: Buffer.from(raw).toString('utf8') };
}

function ndjson(entries: readonly SealedEntry[], note: string | undefined): Response {
  const lines = entries.map(({ seq, raw, chain }) => formatFeedRecord({ index: seq, bytes: raw, chain }));
  if (note !== undefined) lines.push(`${JSON.stringify({ checkpoint: note })}\n`);
  return new Response(utf8(lines.join('')) as Uint8Array<ArrayBuffer>, {
    headers: { 'content-type': 'application/x-ndjson' },
  });
}

async function record({ audit, descriptor }: EventRouteDeps, actor: Principal, from: number, count: number) {
  const object = { kind: 'log', id: descriptor.log.origin };
  await audit.append({ type: 'audit.read', actor, object, outcome: 'success', detail: { from, count } });
}
