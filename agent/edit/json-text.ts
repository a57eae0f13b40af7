/**
 * JSON, edited as text: a value is put at a pointer (RFC 6901) or taken away, and every other byte stays as it is.
 * What is put in is indented as the text around it is. Strict JSON (RFC 8259) only: what a parser would refuse, or
 * a key that an object has twice, is refused here too.
 */
import { type JsonNode, parseJsonText } from './json-nodes.ts';

export type JsonValue = null | boolean | number | string | readonly JsonValue[] | { readonly [key: string]: JsonValue };

/** The text with `value` at the pointer. Objects that are missing on the way are made. Throws `SyntaxError`. */
export function setJson(text: string, pointer: readonly string[], value: JsonValue): string {
  const source = text.trim() === '' ? '{}\n' : text;
  const indent = indentOf(source);
  let node = parseJsonText(source);
  for (const [depth, token] of pointer.entries()) {
    const child = childOf(node, token, pointer.slice(0, depth));
    if (child === undefined) {
      const made = pointer.slice(depth + 1).reduceRight<JsonValue>((inner, name) => ({ [name]: inner }), value);
      return insert(source, node, token, made, indent, depth + 1);
    }
    node = child;
  }
  if (isSame(node, value, source)) {
    return text;
  }
  return splice(source, node.start, node.end, format(value, indent, pointer.length));
}

/** The text without what is at the pointer; the same text when there is nothing. Throws `SyntaxError`. */
export function removeJson(text: string, pointer: readonly string[]): string {
  const last = pointer.at(-1);
  if (last === undefined || text.trim() === '') {
    return text;
  }
  let node: JsonNode | undefined = parseJsonText(text);
  for (const [depth, token] of pointer.slice(0, -1).entries()) {
    node = childOf(node, token, pointer.slice(0, depth));
    if (node === undefined) {
      return text;
    }
  }
  const members = membersOf(node);
  const index = members.findIndex(({ name }) => name === last);
  const member = members[index];
  if (member === undefined) {
    return text;
  }
  const next = members[index + 1];
  const previous = members[index - 1];
  if (next !== undefined) {
    return splice(text, member.start, next.start, '');
  }
  // The last one takes the comma before it along; the only one leaves nothing between the brackets.
  return previous === undefined
    ? splice(text, node.start + 1, node.end - 1, '')
    : splice(text, previous.end, member.end, '');
}

/** RFC 6901, sections 3 and 4. The whole document is the empty pointer. Undefined when it is no pointer. */
export function parsePointer(pointer: string): readonly string[] | undefined {
  if (pointer === '') {
    return [];
  }
  if (!pointer.startsWith('/') || /~(?![01])/.test(pointer)) {
    return undefined;
  }
  return pointer
    .slice(1)
    .split('/')
    .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'));
}

type Member = { readonly name: string; readonly start: number; readonly end: number; readonly value: JsonNode };

function membersOf(node: JsonNode): readonly Member[] {
  if (node.kind === 'object') {
    return node.members.map(({ key, start, value }) => ({ name: key, start, end: value.end, value }));
  }
  if (node.kind === 'array') {
    return node.items.map((value, index) => ({ name: String(index), start: value.start, end: value.end, value }));
  }
  return [];
}

/** Throws for a step into something that has no members, and for a place in an array that would leave a gap. */
function childOf(node: JsonNode, token: string, path: readonly string[]): JsonNode | undefined {
  const where = JSON.stringify(path.map((one) => `/${one}`).join(''));
  if (node.kind === 'scalar') {
    throw new SyntaxError(`the value at ${where} is neither an object nor an array`);
  }
  const member = membersOf(node).find(({ name }) => name === token);
  if (member === undefined && node.kind === 'array' && token !== String(node.items.length)) {
    throw new SyntaxError(`the array at ${where} has ${node.items.length} items: ${JSON.stringify(token)} is no place`);
  }
  return member?.value;
}

function insert(text: string, node: JsonNode, token: string, value: JsonValue, indent: string, depth: number): string {
  const name = node.kind === 'object' ? `${JSON.stringify(token)}:${indent === '' ? '' : ' '}` : '';
  const entry = `${name}${format(value, indent, depth)}`;
  const members = membersOf(node);
  const last = members.at(-1);
  if (last === undefined) {
    const inner = indent === '' ? entry : `\n${indent.repeat(depth)}${entry}\n${indent.repeat(depth - 1)}`;
    return splice(text, node.start + 1, node.end - 1, inner);
  }
  // As its neighbour is set apart from what is before it.
  const before = members.at(-2)?.end;
  const gap = text.slice(before === undefined ? node.start + 1 : before, last.start).replace(/^\s*,/, '');
  return splice(text, last.end, last.end, `,${/^\s*$/.test(gap) ? gap : ' '}${entry}`);
}

function format(value: JsonValue, indent: string, depth: number): string {
  const [first = '', ...rest] = JSON.stringify(value, undefined, indent).split('\n');
  return [first, ...rest.map((line) => `${indent.repeat(depth)}${line}`)].join('\n');
}

/** The white space before the first member that begins a line. None for a text in one line. */
function indentOf(text: string): string {
  const indent = /[{[]\r?\n([ \t]+)\S/.exec(text)?.[1];
  return indent ?? (text.trim().includes('\n') || /^[{[]\s*[}\]]$/.test(text.trim()) ? '  ' : '');
}

/** Compared as values: the order of keys and the spelling of numbers make no difference. */
function isSame(node: JsonNode, value: JsonValue, text: string): boolean {
  return canonical(JSON.parse(text.slice(node.start, node.end))) === canonical(value);
}

function canonical(value: JsonValue): string {
  if (Array.isArray(value)) {
    return `[${value.map(canonical).join(',')}]`;
  }
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1));
    return `{${entries.map(([key, member]) => `${JSON.stringify(key)}:${canonical(member)}`).join(',')}}`;
  }
  return JSON.stringify(value);
}

function splice(text: string, start: number, end: number, inner: string): string {
  return `${text.slice(0, start)}${inner}${text.slice(end)}`;
}
