/**
 * The shell grammar: source into a tree of plain objects. The parser is tree-sitter's, compiled to WebAssembly; its
 * memory is given back before this returns, so a tree may be kept.
 */
import { createRequire } from 'node:module';
import { getRawAsset, isSea } from 'node:sea';
import { Language, Parser, type TreeCursor } from 'web-tree-sitter';
import { programFile } from '../../crypto/program.ts';

export type Syntax = {
  readonly type: string;
  /** The role in the parent, such as `body`. */
  readonly field: string | undefined;
  readonly start: number;
  readonly end: number;
  readonly children: readonly Syntax[];
};

/** `errorAt`: where the first thing stands that is not shell. Undefined tree: too large or too deep. */
export type Parsed = { readonly root: Syntax; readonly errorAt: number | undefined } | undefined;

export type Grammar = { parse(source: string): Parsed };

const maxNodes = 60_000;
const maxDepth = 250;
/** The parser reports progress each some hundred steps: a bound on its work that doesn't depend on the clock. */
const maxProgressReports = 20_000;

/** Loads the WebAssembly modules, once for each process. */
export async function loadGrammar(): Promise<Grammar> {
  const language = isSea() ? await loadEmbedded() : await loadInstalled();
  return { parse: (source) => parse(language, source) };
}

async function loadInstalled(): Promise<Language> {
  const { resolve } = createRequire(import.meta.url);
  const [parser, bash] = [
    programFile('grammar/web-tree-sitter.wasm', () => resolve('web-tree-sitter/web-tree-sitter.wasm')),
    programFile('grammar/tree-sitter-bash.wasm', () => resolve('@vscode/tree-sitter-wasm/wasm/tree-sitter-bash.wasm')),
  ];
  await Parser.init({ wasmBinary: parser });
  return Language.load(bash);
}

/** In a one-file program both modules are in the file itself, under the names that build/one-file.ts gives them. */
async function loadEmbedded(): Promise<Language> {
  await Parser.init({ wasmBinary: new Uint8Array(getRawAsset('tree-sitter.wasm')) });
  return Language.load(new Uint8Array(getRawAsset('tree-sitter-bash.wasm')));
}

function parse(language: Language, source: string): Parsed {
  const parser = new Parser();
  try {
    parser.setLanguage(language);
    let reports = 0;
    const tree = parser.parse(source, null, {
      progressCallback: () => {
        reports += 1;
        return reports > maxProgressReports;
      },
    });
    if (tree === null) return undefined;
    const cursor = tree.walk();
    try {
      return copy(cursor);
    } finally {
      cursor.delete();
      tree.delete();
    }
  } finally {
    parser.delete();
  }
}

type Open = { readonly node: Syntax; readonly children: Syntax[] };

/** Without recursion: how deep a tree is, its source decides. */
function copy(cursor: TreeCursor): Parsed {
  let errorAt: number | undefined;
  let count = 0;
  const open: Open[] = [];
  for (;;) {
    const node = nodeAt(cursor);
    count += 1;
    if (count > maxNodes || open.length > maxDepth) return undefined;
    if (node.type === 'ERROR' || cursor.nodeIsMissing) errorAt ??= node.start;
    open.at(-1)?.children.push(node);
    open.push({ node, children: node.children as Syntax[] });
    if (cursor.gotoFirstChild()) continue;
    for (;;) {
      const done = open.pop();
      if (done === undefined || open.length === 0) return { root: done?.node ?? node, errorAt };
      if (cursor.gotoNextSibling()) break;
      cursor.gotoParent();
    }
  }
}

function nodeAt(cursor: TreeCursor): Syntax {
  return {
    type: cursor.nodeType,
    field: cursor.currentFieldName ?? undefined,
    start: cursor.startIndex,
    end: cursor.endIndex,
    children: [],
  };
}
