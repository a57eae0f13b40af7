/**
 * OCSF 1.8 (schema.ocsf.io). What the schema has no place for is in `unmapped.holdfast`; events that are no entries are of
 * the base class. The entry's own bytes are `raw_data`, their SHA-256 is `raw_data_hash`.
 */
import type { Entry } from '../../audit/entry.ts';
import type { EntryEvent, FeedEvent } from '../event.ts';
import { type Context, levelOf, messageOf, placeOf, rawText, timeOf } from './place.ts';
import { type Mapping, mappingOf, ocsfClasses } from './table.ts';

export type Document = { readonly [name: string]: unknown };

const severities = ['Unknown', 'Informational', 'Low', 'Medium', 'High'];

export function toOcsf(event: FeedEvent, context: Context): Document {
  const level = event.kind === 'entry' ? mappingOf(event.entry.op.type).level : 1;
  const severity = levelOf(event, level);
  return {
    ...(event.kind === 'entry' ? entryFields(event) : baseFields(event)),
    time: Date.parse(timeOf(event)),
    severity_id: severity,
    severity: severities[severity],
    metadata: metadata(event, context.log),
    ...raw(event),
    unmapped: { holdfast: placeOf(event, context), ...(event.kind === 'entry' && unmapped(event.entry)) },
  };
}

function metadata(event: FeedEvent, log: string): Document {
  return {
    version: '1.8.0',
    product: { name: 'Holdfast', vendor_name: 'Holdfast' },
    uid: event.id,
    log_name: log,
    ...('seq' in event && { sequence: event.seq }),
    ...(event.kind === 'entry' && { event_code: event.entry.op.code, correlation_uid: event.entry.op.id }),
  };
}

function raw(event: FeedEvent): Document {
  const text = rawText(event);
  const hash = 'body' in event && { raw_data_hash: { algorithm_id: 3, algorithm: 'SHA-256', value: event.body } };
  return { ...(text !== undefined && { raw_data: text }), ...hash };
}

function unmapped({ op, actor, object, lane, n, detail }: Entry): Document {
  return { operation: op.type, phase: op.phase, actor, object, lane, n, detail };
}

function baseFields(event: Exclude<FeedEvent, EntryEvent>): Document {
  return {
    class_uid: 0,
    class_name: 'Base Event',
    category_uid: 0,
    category_name: 'Uncategorized',
    activity_id: 99,
    activity_name: event.kind,
    type_uid: 99,
    message: messageOf(event),
  };
}

function entryFields({ entry }: EntryEvent): Document {
  const mapping = mappingOf(entry.op.type);
  const { class: uid, activity, name } = mapping.ocsf;
  const { name: className, category, categoryName } = ocsfClasses[uid];
  return {
    class_uid: uid,
    class_name: className,
    category_uid: category,
    category_name: categoryName,
    activity_id: activity,
    activity_name: name,
    type_uid: uid * 100 + activity,
    type_name: `${className}: ${name}`,
    message: mapping.message,
    ...status(entry),
    ...classFields(mapping, entry),
  };
}

function status({ outcome, detail }: Entry): Document {
  const id = outcome === 'success' ? 1 : outcome === 'denied' || outcome === 'failure' ? 2 : 99;
  const name = id === 1 ? 'Success' : id === 2 ? 'Failure' : outcome;
  const { reason } = detail;
  return {
    status_id: id,
    status: name,
    status_code: outcome,
    ...(typeof reason === 'string' && { status_detail: reason }),
  };
}

function classFields({ ocsf }: Mapping, entry: Entry): Document {
  const { object, detail, op } = entry;
  switch (ocsf.class) {
    case 3001:
      return { actor: actor(entry), user: { uid: object.id, name: object.id } };
    case 3002:
      return {
        actor: actor(entry),
        user: { uid: object.id, name: object.id },
        service: { name: 'Holdfast' },
        auth_protocol_id: 99,
        auth_protocol: typeof detail['method'] === 'string' ? detail['method'] : entry.actor.auth,
      };
    case 3004:
      return { actor: actor(entry), entity: { uid: object.id, name: object.id, type_id: 99, type: object.kind } };
    case 3005:
      return {
        actor: actor(entry),
        user: { uid: object.id, name: object.id },
        privileges: typeof detail['role'] === 'string' ? [detail['role']] : [],
      };
    case 6002:
      return {
        app: { name: 'Holdfast', ...(typeof detail['version'] === 'string' && { version: detail['version'] }) },
      };
    case 6003: {
      const called = detail['route'] ?? detail['method'];
      return {
        actor: actor(entry),
        api: { operation: typeof called === 'string' ? called : op.type, service: { name: 'Holdfast' } },
        // The log keeps who asked, by proof; addresses prove nothing and are not in it.
        src_endpoint: { uid: entry.actor.id, name: entry.actor.kind },
      };
    }
    default:
      return ocsf.class satisfies never;
  }
}

function actor({ actor }: Entry): Document {
  const isAdmin = actor.role === 'admin' || actor.kind === 'local-admin';
  const [type_id, type] = actor.kind === 'system' ? [3, 'System'] : isAdmin ? [2, 'Admin'] : userType(actor.kind);
  const groups = actor.role === undefined ? {} : { groups: [{ name: actor.role, type: 'role' }] };
  return { user: { uid: actor.id, name: actor.id, type_id, type, ...groups } };
}

function userType(kind: string): readonly [number, string] {
  return kind === 'user' || kind === 'api-token' ? [1, 'User'] : [99, kind];
}
