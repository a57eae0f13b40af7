/**
 * What a redacted feed shows of an entry. The hashes of the whole entry go with it, so completeness can be proven of a
 * feed whose reader must not see everything; the entry's bytes do not, since they would show it.
 */
import { createHmac } from 'node:crypto';
import type { Entry } from '../audit/entry.ts';
import type { Redaction } from './config.ts';

/** `salt` keys the pseudonyms: the same name is the same pseudonym in this feed, and in no other. */
export function redactEntry(entry: Entry, redaction: Redaction, salt: string): Entry {
  switch (redaction) {
    case 'full':
      return entry;
    case 'no-detail':
      return { ...entry, detail: {} };
    case 'pseudonymous':
      return {
        ...entry,
        detail: {},
        actor: { ...entry.actor, id: pseudonym(salt, `actor|${entry.actor.kind}|${entry.actor.id}`) },
        object: { ...entry.object, id: pseudonym(salt, `object|${entry.object.kind}|${entry.object.id}`) },
      };
    default:
      return redaction satisfies never;
  }
}

function pseudonym(salt: string, name: string): string {
  return `p-${createHmac('sha256', Buffer.from(salt, 'hex')).update(name).digest('hex').slice(0, 32)}`;
}
