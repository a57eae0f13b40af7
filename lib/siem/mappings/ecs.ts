/**
 * Elastic Common Schema 9.4. What it has no field for is under `holdfast`; the entry's own bytes are `event.original`,
 * their SHA-256 is `event.hash`.
 */
import type { Entry } from '../../audit/entry.ts';
import type { FeedEvent } from '../event.ts';
import type { Document } from './ocsf.ts';
import { type Context, levelOf, messageOf, placeOf, rawText, timeOf } from './place.ts';
import { mappingOf } from './table.ts';

export function toEcs(event: FeedEvent, context: Context): Document {
  const raw = rawText(event);
  const mapping = event.kind === 'entry' ? mappingOf(event.entry.op.type) : undefined;
  return {
    '@timestamp': timeOf(event),
    ecs: { version: '9.4.0' },
    message: event.kind === 'entry' ? mapping?.message : messageOf(event),
    event: {
      id: event.id,
      kind: event.kind === 'heartbeat' ? 'metric' : 'event',
      module: 'holdfast',
      dataset: 'holdfast.audit',
      severity: levelOf(event, mapping?.level ?? 1),
      ...('seq' in event && { sequence: event.seq, hash: event.body }),
      ...(mapping !== undefined && { category: mapping.ecs.category, type: mapping.ecs.type }),
      ...(event.kind === 'entry' && operation(event.entry)),
      ...(raw !== undefined && { original: raw }),
    },
    observer: { vendor: 'Holdfast', product: 'Holdfast', type: 'control-plane' },
    ...(event.kind === 'entry' && people(event.entry)),
    holdfast: { ...placeOf(event, context), ...(event.kind === 'entry' && rest(event.entry)) },
  };
}

function operation({ op, outcome, detail }: Entry): Document {
  const { reason } = detail;
  return {
    action: op.type,
    code: op.code,
    outcome: outcome === 'success' ? 'success' : outcome === 'failure' || outcome === 'denied' ? 'failure' : 'unknown',
    ...(typeof reason === 'string' && { reason }),
  };
}

function people({ actor, object, detail }: Entry): Document {
  const hostname = object.kind === 'node' && typeof detail['hostname'] === 'string' ? detail['hostname'] : undefined;
  const isUser = object.kind === 'user';
  return {
    user: {
      id: actor.id,
      name: actor.id,
      ...(actor.role !== undefined && { roles: [actor.role] }),
      ...(isUser && { target: { id: object.id, name: object.id } }),
    },
    ...(object.kind === 'node' && { host: { id: object.id, ...(hostname !== undefined && { hostname }) } }),
    related: {
      user: isUser && object.id !== actor.id ? [actor.id, object.id] : [actor.id],
      ...(object.kind === 'node' && { hosts: hostname === undefined ? [object.id] : [object.id, hostname] }),
    },
  };
}

function rest({ op, actor, object, outcome, lane, n, detail }: Entry): Document {
  return { operation: op.type, phase: op.phase, outcome, actor, object, lane, n, detail };
}
