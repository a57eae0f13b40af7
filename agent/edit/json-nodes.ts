/** A JSON text as nodes that know where they stand in it: what `JSON.parse` doesn't tell. RFC 8259. */

export type JsonNode =
  | { readonly kind: 'object'; readonly start: number; readonly end: number; readonly members: readonly JsonMember[] }
  | { readonly kind: 'array'; readonly start: number; readonly end: number; readonly items: readonly JsonNode[] }
  | { readonly kind: 'scalar'; readonly start: number; readonly end: number };

/** `start` is where its key begins. */
export type JsonMember = { readonly key: string; readonly start: number; readonly value: JsonNode };

const maxDepth = 200;

const space = /[ \t\n\r]*/y;
const string = /"(?:[^"\\\p{Cc}]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/uy;
const scalar = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null/y;

/** Throws `SyntaxError` for what is no JSON, is nested too deep, or has a key twice. */
export function parseJsonText(text: string): JsonNode {
  // The judge is the parser that others use; the nodes only add places.
  try {
    JSON.parse(text);
  } catch (error) {
    // Its own message quotes the text, which may hold what nobody should read in a report.
    throw new SyntaxError('it is no JSON', { cause: error });
  }
  let at = 0;

  const skip = () => {
    space.lastIndex = at;
    at += space.exec(text)?.[0].length ?? 0;
  };
  const take = (pattern: RegExp): string => {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0];
    if (found === undefined) {
      throw new SyntaxError(`no JSON at character ${at}`);
    }
    at += found.length;
    return found;
  };

  const value = (depth: number): JsonNode => {
    if (depth > maxDepth) {
      throw new SyntaxError('nested too deep');
    }
    const start = at;
    switch (text[at]) {
      case '{':
        return { kind: 'object', start, members: list('}', () => member(depth)), end: at };
      case '[':
        return { kind: 'array', start, items: list(']', () => value(depth + 1)), end: at };
      case '"':
        take(string);
        return { kind: 'scalar', start, end: at };
      default:
        take(scalar);
        return { kind: 'scalar', start, end: at };
    }
  };

  const list = <T>(close: string, item: () => T): T[] => {
    const items: T[] = [];
    at += 1;
    skip();
    while (text[at] !== close) {
      items.push(item());
      skip();
      if (text[at] === ',') {
        at += 1;
        skip();
      }
    }
    at += 1;
    return items;
  };

  const member = (depth: number): JsonMember => {
    const start = at;
    const key: string = JSON.parse(take(string));
    skip();
    at += 1;
    skip();
    return { key, start, value: value(depth + 1) };
  };

  skip();
  const root = value(0);
  refuseTwins(root);
  return root;
}

function refuseTwins(node: JsonNode): void {
  if (node.kind === 'array') {
    node.items.forEach(refuseTwins);
  } else if (node.kind === 'object') {
    const keys = new Set(node.members.map(({ key }) => key));
    if (keys.size !== node.members.length) {
      throw new SyntaxError('an object has a key twice');
    }
    for (const { value } of node.members) {
      refuseTwins(value);
    }
  }
}
