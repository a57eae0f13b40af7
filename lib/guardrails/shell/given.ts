/**
 * What code of another language is given beside itself: arguments, the environment and its input. Where it asks for one
 * that is known, the value takes the place of the question. Attacker-controlled.
 */
import type { Call } from './call.ts';
import { hole, plain, withoutGlobs, withoutRuns } from './marks.ts';
import { valuesOf } from './variables.ts';

const maxValue = 4000;
const maxCode = 12 * 1024;

type Given = { readonly args: readonly string[]; readonly stdin: string; readonly variable: (name: string) => string };

/** For each language: how it asks. A pattern with a group asks for the one of that number or name. */
type Language = {
  /** What the first argument is counted as. */
  readonly first: number;
  readonly argument: readonly RegExp[];
  readonly all: readonly RegExp[];
  readonly variable: readonly RegExp[];
  readonly line: readonly RegExp[];
  readonly text: readonly RegExp[];
};

const quotedName = String.raw`["']([A-Za-z_]\w*)["']`;
const environment = (before: string, after: string) =>
  new RegExp(`${before}\\s*${quotedName}[^()\\]]{0,20}${after}`, 'g');

const python: Language = {
  first: 1,
  argument: [/\b(?:sys\.)?argv\s*\[\s*(-?\d+)\s*\]/g, /\b(?:sys\.)?argv\.pop\(\s*(\d+)\s*\)/g],
  all: [/\*?\b(?:sys\.)?argv\s*\[\s*1\s*:\s*\]/g],
  variable: [
    environment(String.raw`\b(?:os\.)?environb?\s*\[`, String.raw`\]`),
    environment(String.raw`\b(?:os\.)?(?:environ\.(?:get|pop)|getenv)\s*\(`, String.raw`\)`),
  ],
  line: [/\b(?:raw_)?input\(\s*\)/g, /\bsys\.stdin\.readline\(\s*\)/g],
  text: [/\bsys\.stdin(?:\.buffer)?\.read\(\s*\)/g, /\bopen\(\s*(?:0|["']\/dev\/stdin["'])\s*\)\.read\(\s*\)/g],
};
const perl: Language = {
  first: 0,
  argument: [
    /\$ARGV\s*\[\s*(-?\d+)\s*\]/g,
    /(?<![\w$@%&>:])shift(?:\s*\(?\s*@ARGV\s*\)?|\s*\(\s*\))?(?![\w(]|\s*[@$(])()/g,
  ],
  all: [/@ARGV\b/g],
  variable: [/\$ENV\s*\{\s*["']?([A-Za-z_]\w*)["']?\s*\}/g],
  line: [/<(?:STDIN)?>/g],
  text: [],
};
const ruby: Language = {
  first: 0,
  argument: [/\bARGV\s*\[\s*(-?\d+)\s*\]/g, /\bARGV\.(?:first|shift)\b(?:\(\s*\))?()/g],
  all: [/\*?(?:\bARGV\b|\$\*)(?:\.join\(\s*["'] ["']\s*\))?/g],
  variable: [
    environment(String.raw`\bENV\s*\[`, String.raw`\]`),
    environment(String.raw`\bENV\.fetch\s*\(`, String.raw`\)`),
  ],
  line: [/(?<![\w.])(?:(?:\$stdin|STDIN|ARGF)\.)?gets\b(?:\(\s*\))?/g],
  text: [/(?:\$stdin|\bSTDIN|\bARGF)\.read\b(?:\(\s*\))?/g],
};
const node: Language = {
  first: 1,
  argument: [/\bprocess\.argv\s*\[\s*(\d+)\s*\]/g, /\bprocess\.argv\.at\(\s*(-?\d+)\s*\)/g],
  all: [/(?:\.\.\.)?\bprocess\.argv\.slice\(\s*[12]\s*\)(?:\.join\(\s*["'] ["']\s*\))?/g],
  variable: [/\bprocess\.env\.([A-Za-z_]\w*)/g, environment(String.raw`\bprocess\.env\s*\[`, String.raw`\]`)],
  line: [],
  text: [
    /\b(?:require\(\s*["'](?:node:)?fs["']\s*\)|fs)\.readFileSync\(\s*(?:0|["']\/dev\/stdin["'])[^()]{0,20}\)(?:\.toString\(\s*\))?/g,
  ],
};
const php: Language = {
  first: 1,
  argument: [/\$argv\s*\[\s*(\d+)\s*\]/g, /\$_SERVER\s*\[\s*["']argv["']\s*\]\s*\[\s*(\d+)\s*\]/g],
  all: [],
  variable: [
    environment(String.raw`\$_(?:ENV|SERVER)\s*\[`, String.raw`\]`),
    environment(String.raw`\bgetenv\s*\(`, String.raw`\)`),
  ],
  line: [/\bfgets\(\s*STDIN\s*\)/g, /\breadline\(\s*\)/g],
  text: [/\b(?:stream_get_contents\(\s*STDIN\s*\)|file_get_contents\(\s*["']php:\/\/stdin["']\s*\))/g],
};
const lua: Language = {
  first: 1,
  argument: [/(?<![\w.])arg\s*\[\s*(\d+)\s*\]/g],
  all: [],
  variable: [environment(String.raw`\bos\.getenv\s*\(?`, String.raw`\)?`)],
  line: [/\bio\.read\(\s*(?:["']\*?l["'])?\s*\)/g],
  text: [/\bio\.read\(\s*["']\*?a(?:ll)?["']\s*\)/g],
};
const awk: Language = {
  first: 1,
  argument: [/\bARGV\s*\[\s*(\d+)\s*\]/g],
  all: [],
  variable: [environment(String.raw`\bENVIRON\s*\[`, String.raw`\]`)],
  line: [],
  text: [],
};

const languages: Readonly<Record<string, Language>> = {
  python,
  pypy: python,
  perl,
  ruby,
  irb: ruby,
  node,
  nodejs: node,
  bun: node,
  php,
  lua,
  luajit: lua,
  awk,
  gawk: awk,
  mawk: awk,
  nawk: awk,
};

/** Perl and Ruby: what works on the topic when it is given nothing, and where the topic comes from the arguments. */
const implied =
  /\b(unlink|rmdir|rmtree|remove_tree|system|exec|eval)\b(?=\s*(?:[;}]|$|(?:for|foreach|if|unless|while)\b))/g;
const topicOfArguments = /\b(?:for|foreach|map|grep)\b[^;@]{0,80}@ARGV/;

/** The code with what it is given. Arguments are those behind it; `isLoop`: it is run for each line, as by `-n`. */
export function withGiven(call: Call, program: string, code: string, args: readonly string[], isLoop = false): string {
  const language = languages[program];
  if (language === undefined || code.length > maxCode) return code;
  const { frame } = call;
  const given: Given = {
    args: args.map((arg) => withoutGlobs(plain(arg))),
    stdin: plain(frame.stdin),
    variable: (name) => plain(call.environment?.get(name) ?? valuesOf(frame, name, true)[0] ?? hole),
  };
  if (!/^(?:perl|ruby|irb)$/.test(program)) return substituted(code, language, given);
  const text = code.replace(implied, '$1 $_');
  const topic = topicOfArguments.test(text) ? given.args[0] : isLoop ? firstLine(given.stdin) : undefined;
  const known = topic === undefined ? language : { ...language, line: [...language.line, /\$_\b(?!\s*=)/g] };
  return substituted(text, known, topic === undefined ? given : { ...given, stdin: topic });
}

function firstLine(text: string): string | undefined {
  return text === '' || text.includes(hole) ? undefined : text.split('\n')[0];
}

function substituted(code: string, language: Language, { args, stdin, variable }: Given): string {
  let text = withoutRuns(code);
  const replace = (pattern: RegExp, by: (key: string) => string | readonly string[] | undefined) => {
    const strings = stringsOf(text);
    text = text.replace(pattern, (whole: string, ...rest: unknown[]) => {
      const key = typeof rest[0] === 'string' ? rest[0] : '';
      const at = rest.find((one) => typeof one === 'number') ?? 0;
      const value = by(key);
      const values = value === undefined ? [hole] : typeof value === 'string' ? [value] : value;
      if (values.some((one) => one.includes(hole) || one.length > maxValue)) return whole;
      const inside = strings.find(({ start, end }) => start < at && at < end);
      if (inside === undefined) return values.map(literal).join(', ');
      return inside.quote === "'" ? whole : `${inner}${literal(values.join(' ')).slice(1, -1)}${inner}`;
    });
    // In the midst of a string it stands in brackets, or by itself.
    text = text.replace(
      /[#$]?\{\s*\ue012([^\ue012]*)\ue012\s*\}|\ue012([^\ue012]*)\ue012/g,
      (_, one, other) => one ?? other,
    );
  };
  for (const pattern of language.argument)
    replace(pattern, (key) =>
      args.at(key.startsWith('-') ? Number(key) : key === '' ? 0 : Math.max(Number(key) - language.first, -1)),
    );
  if (args.length > 0 && args.length <= 64) for (const pattern of language.all) replace(pattern, () => args);
  for (const pattern of language.variable) replace(pattern, variable);
  if (stdin === '' || stdin.includes(hole)) return text;
  for (const pattern of language.line) replace(pattern, () => stdin.split('\n')[0]);
  for (const pattern of language.text) replace(pattern, () => stdin);
  return text;
}

const inner = '\ue012';

type Span = { readonly start: number; readonly end: number; readonly quote: string };

function stringsOf(code: string): Span[] {
  return [...code.matchAll(/"(?:[^"\\]|\\[\s\S])*"|'(?:[^'\\]|\\[\s\S])*'|`(?:[^`\\]|\\[\s\S])*`/g)].map(
    ({ index, 0: text }) => ({ start: index, end: index + text.length - 1, quote: text[0] ?? '' }),
  );
}

/** As all of these languages would read it. */
export function literal(value: string): string {
  return `"${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`;
}
