/**
 * Policy source text: YAML 1.2 as a tree of nodes that know their place. A subset on purpose: one document a file,
 * no tags, no directives, no duplicate keys, text keys only, bounded size, depth and alias expansion.
 */
import { isAlias, isMap, isScalar, isSeq, Lexer, LineCounter, type Node, parseDocument } from 'yaml';
import { PolicyError } from './errors.ts';
import type { Place } from './problem.ts';

export const maxYamlBytes = 1024 * 1024;
/** Deeper than any crate needs, and far from what recursion can't bear. */
const maxDepth = 32;
/** After aliases are expanded: ten aliases of ten aliases of … would otherwise fill the memory ("billion laughs"). */
const maxNodes = 200_000;

export type YamlScalar = {
  readonly kind: 'scalar';
  readonly value: string | number | boolean | null;
  /** As written, for hints about quoting. */
  readonly source: string;
  readonly place: Place;
};
export type YamlList = { readonly kind: 'list'; readonly items: readonly YamlNode[]; readonly place: Place };
export type YamlEntry = { readonly key: string; readonly keyPlace: Place; readonly value: YamlNode };
export type YamlMap = { readonly kind: 'map'; readonly entries: readonly YamlEntry[]; readonly place: Place };
export type YamlNode = YamlScalar | YamlList | YamlMap;

export type YamlValue = string | number | boolean | null | readonly YamlValue[] | { readonly [key: string]: YamlValue };

/** Parses source bytes. Throws `PolicyError` `malformed`, with file, line and column, and nothing else. */
export function parseYaml(bytes: Uint8Array, file: string): YamlNode {
  if (bytes.length > maxYamlBytes) {
    throw refusal({ file, line: 1, column: 1 }, `${bytes.length} bytes of YAML, limit ${maxYamlBytes}`);
  }
  const text = decode(bytes, file);
  const lines = new LineCounter();
  const placeAt = (offset: number): Place => {
    const { line, col } = lines.linePos(offset);
    return { file, line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  screenTokens(text, file);
  // The library compares every key with every other one; `convert` does that with a set, and knows the place.
  const options = { version: '1.2', schema: 'core', uniqueKeys: false, merge: false, prettyErrors: false } as const;
  const document = parseDocument(text, { ...options, lineCounter: lines });
  const [error] = document.errors;
  if (error !== undefined) throw refusal(placeAt(error.pos[0]), error.message.replace(/\s+/g, ' ').slice(0, 300));
  if (document.contents === null) throw refusal({ file, line: 1, column: 1 }, 'the file is empty');
  return convert(document.contents, { placeAt, anchors: new Map(), count: 0 }, 0);
}

/** The plain value of a node. Keys become own properties of an object without prototype, whatever their name. */
export function yamlValue(node: YamlNode): YamlValue {
  switch (node.kind) {
    case 'scalar':
      return node.value;
    case 'list':
      return node.items.map(yamlValue);
    case 'map': {
      const value: Record<string, YamlValue> = Object.create(null);
      for (const entry of node.entries) value[entry.key] = yamlValue(entry.value);
      return value;
    }
    default:
      return node satisfies never;
  }
}

/** The node at a path below another, or the last one that exists on the way; where a schema's complaint belongs. */
export function yamlNodeAt(node: YamlNode, path: readonly PropertyKey[]): YamlNode {
  const [step, ...rest] = path;
  if (step === undefined) return node;
  const next =
    node.kind === 'map'
      ? node.entries.find((entry) => entry.key === step)?.value
      : node.kind === 'list' && typeof step === 'number'
        ? node.items[step]
        : undefined;
  return next === undefined ? node : yamlNodeAt(next, rest);
}

function decode(bytes: Uint8Array, file: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new PolicyError('malformed', 'not UTF-8 text', { cause, file, line: 1, column: 1 });
  }
}

/** Tokens that the lexer adds; they stand for no source text. After `text` comes text, whatever it looks like. */
const markers = { text: '\u001f', document: '\u0002', flowError: '\u0018' } as const;

/**
 * One pass over the tokens, before anything recursive or quadratic sees the text: brackets and `- - -` can nest a
 * level per byte. It also finds tags and directives, which the composed document shows less reliably.
 */
function screenTokens(text: string, file: string): void {
  let line = 1;
  let column = 1;
  let flowDepth = 0;
  let indicatorsInLine = 0;
  let isText = false;
  for (const token of new Lexer().lex(text)) {
    const place = { file, line, column };
    if (!isText && token === markers.text) {
      isText = true;
      continue;
    }
    if (!isText && (token === markers.document || token === markers.flowError)) continue;
    if (!isText) {
      if (token.startsWith('!')) {
        throw refusal(place, `tag ${quote(token)}: policy takes no YAML tags`, 'Write the plain value.');
      }
      if (token.startsWith('%')) throw refusal(place, 'YAML directives are not taken', 'Remove the line.');
      if (token === '[' || token === '{') flowDepth += 1;
      if (token === ']' || token === '}') flowDepth -= 1;
      if (flowDepth === 0 && (token === '-' || token === '?' || token === ':')) indicatorsInLine += 1;
      if (flowDepth > maxDepth || indicatorsInLine > maxDepth) throw tooDeep(place);
    }
    isText = false;
    const lastBreak = token.lastIndexOf('\n');
    if (lastBreak < 0) {
      column += token.length;
    } else {
      for (const character of token) if (character === '\n') line += 1;
      column = token.length - lastBreak;
      indicatorsInLine = 0;
    }
  }
}

type Walk = { readonly placeAt: (offset: number) => Place; readonly anchors: Map<string, Node>; count: number };

function convert(node: unknown, walk: Walk, depth: number): YamlNode {
  const place = walk.placeAt((node as Node | null)?.range?.[0] ?? 0);
  walk.count += 1;
  if (walk.count > maxNodes)
    throw refusal(place, `more than ${maxNodes} values, aliases counted as what they stand for`);
  // An alias inside its own anchor never ends: the depth limit stops it.
  if (depth > maxDepth) throw tooDeep(place);
  if (isAlias(node)) {
    const target = walk.anchors.get(node.source);
    if (target === undefined) throw refusal(place, `alias *${node.source} has no anchor before it`);
    return convert(target, walk, depth + 1);
  }
  if (isScalar(node)) {
    if (node.anchor !== undefined) walk.anchors.set(node.anchor, node);
    return { kind: 'scalar', value: scalarValue(node.value, place), source: node.source ?? '', place };
  }
  if (isSeq(node)) {
    if (node.anchor !== undefined) walk.anchors.set(node.anchor, node);
    return { kind: 'list', items: node.items.map((item) => convert(item, walk, depth + 1)), place };
  }
  if (isMap(node)) {
    if (node.anchor !== undefined) walk.anchors.set(node.anchor, node);
    const seen = new Set<string>();
    const entries = node.items.map((pair) => convertPair(pair, walk, depth, seen));
    return { kind: 'map', entries, place };
  }
  if (node === null || node === undefined) return { kind: 'scalar', value: null, source: '', place };
  throw refusal(place, 'a kind of YAML node that policy does not take');
}

function convertPair(pair: { key: unknown; value: unknown }, walk: Walk, depth: number, seen: Set<string>): YamlEntry {
  const keyPlace = walk.placeAt((pair.key as Node | null)?.range?.[0] ?? 0);
  if (!isScalar(pair.key) || typeof pair.key.value !== 'string') {
    throw refusal(keyPlace, 'a key that is not text', 'Put the key in quotes.');
  }
  const key = pair.key.value;
  if (pair.key.anchor !== undefined) throw refusal(keyPlace, 'an anchor on a key');
  if (seen.has(key)) throw refusal(keyPlace, `duplicate key ${quote(key)}`, 'Keep one of them.');
  seen.add(key);
  // A key without any value has no node of its own.
  if (pair.value === null || pair.value === undefined) {
    return { key, keyPlace, value: { kind: 'scalar', value: null, source: '', place: keyPlace } };
  }
  return { key, keyPlace, value: convert(pair.value, walk, depth + 1) };
}

function scalarValue(value: unknown, place: Place): YamlScalar['value'] {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'number') return value;
  throw refusal(place, 'a kind of value that policy does not take');
}

function tooDeep(place: Place): PolicyError {
  return refusal(place, `nested deeper than ${maxDepth} levels`);
}

function refusal(place: Place, message: string, hint?: string): PolicyError {
  return new PolicyError('malformed', message, { ...place, ...(hint === undefined ? {} : { hint }) });
}

/** Shortened and escaped, so that source text can't write to a terminal of its own accord. */
export function quote(text: string): string {
  const short = text.length > 80 ? `${text.slice(0, 80)}…` : text;
  return JSON.stringify(short).replace(/[\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}
