/**
 * The fast road from an entry's text to an entry: what is canonical has one order of members and one way to write each,
 * so a text of the usual shape is read by two patterns, and only `detail` is parsed. Whatever doesn't match (escapes,
 * text beyond ASCII, anything unusual or wrong) is left to the parser; what matches, the parser accepts with the same
 * result. That is a test.
 */
import { canonicalize, type Json } from '../crypto/jcs.ts';
import type { Entry } from './entry.ts';

/** Printable ASCII that JSON writes as it is. */
const text = (max: number) => `"([\\x20\\x21\\x23-\\x5b\\x5d-\\x7e]{1,${max}})"`;
/** Below 10^15, so always a safe integer. */
const index = '(0|[1-9][0-9]{0,14})';
const hash = '"([0-9a-f]{64})"';
const kinds = 'user|api-token|local-admin|node|system|unauthenticated';

const head = new RegExp(
  `\\{"actor":\\{"auth":${text(64)},"id":${text(512)},"kind":"(${kinds})"(?:,"role":"(admin|viewer|compliance)")?\\},"detail":`,
  'y',
);
const tail = new RegExp(
  `,"lane":"([a-z][a-z0-9.-]{0,63})","log":"([\\x21\\x23-\\x5b\\x5d-\\x7e]{1,256})","n":${index},` +
    `"object":\\{"id":${text(512)},"kind":${text(64)}\\},` +
    `"op":\\{"code":"(HF[0-9]{4})","id":"([0-9a-f]{16})","phase":"done","type":${text(64)}\\},` +
    `"outcome":"(success|failure|denied)","prev":${hash},"seen":\\{"root":${hash},"size":${index}\\},` +
    `"ts":"([0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\\.[0-9]{3}Z)","v":1\\}$`,
  'y',
);

/** The entry, or undefined when it takes the parser to tell. `assertDetail` is the profile's check of what is parsed here. */
export function scanEntry(line: string, assertDetail: (detail: Json) => void): Entry | undefined {
  head.lastIndex = 0;
  const h = head.exec(line);
  if (h === null) return undefined;
  const begin = head.lastIndex;
  // The last one: nothing that the tail's pattern takes holds an unescaped quote.
  const end = line.lastIndexOf(',"lane":"');
  if (end < begin) return undefined;
  tail.lastIndex = end;
  const t = tail.exec(line);
  if (t === null) return undefined;
  const detail = readDetail(line.slice(begin, end), assertDetail);
  if (detail === undefined) return undefined;
  const [, auth = '', id = '', kind, role] = h;
  const [, lane = '', log = '', n, objectId = '', objectKind = '', code = '', operation = '', type = ''] = t;
  const [, , , , , , , , , outcome, prev = '', root = '', size, ts = ''] = t;
  const actor = role === undefined ? { auth, id, kind } : { auth, id, kind, role };
  return {
    actor: actor as Entry['actor'],
    detail,
    lane,
    log,
    n: Number(n),
    object: { id: objectId, kind: objectKind },
    op: { code, id: operation, phase: 'done', type },
    outcome: outcome as Entry['outcome'],
    prev,
    seen: { root, size: Number(size) },
    ts,
    v: 1,
  };
}

function readDetail(part: string, assertDetail: (detail: Json) => void): Entry['detail'] | undefined {
  if (part === '{}') return {};
  try {
    const detail = JSON.parse(part);
    if (typeof detail !== 'object' || detail === null || Array.isArray(detail)) return undefined;
    assertDetail(detail);
    return canonicalize(detail) === part ? detail : undefined;
  } catch {
    return undefined; // The parser says what is wrong.
  }
}
