/** Shell source that is made up: most of it is what shells accept, and some has a piece too many. */

import { seededRandom } from '../sim/scheduler.ts';

const words = [
  'a',
  'echo b',
  'x=1',
  '"$x"',
  '$(y)',
  'rm -f z',
  ': > q',
  'a=(1 2)',
  `\${x:-"y"}`,
  "'s t'",
  '`a \\`b\\``',
  '$((1+2))',
  'a\\ b',
  '{c,d}',
  '*.e',
  '~/f',
  '[g]h',
];
const strays = [
  ...words,
  '$(',
  '`',
  "'",
  '"',
  '\\',
  '|',
  '&&',
  ';',
  ';;',
  '\n',
  '<<E\n',
  '\nE\n',
  '{',
  '}',
  'if',
  'then',
  'fi',
  'do',
  'done',
  'esac',
  '((',
  '))',
  '[[',
  ']]',
  '(',
  ')',
  '>',
  '<<<',
  '2>',
  '!',
  '#',
  '\\\n',
];

export function generate(seed: number): string {
  const next = seededRandom(seed);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(next() * list.length)] as T;
  const command = (depth: number): string => {
    if (depth <= 0) return pick(words);
    const inner = () => command(depth - 1);
    const end = pick(['; ', '\n', ' & ']);
    const forms: readonly (() => string)[] = [
      () => `if ${inner()}${end}then ${inner()}${end}fi`,
      () => `if ${inner()}; then :; elif ${inner()}; then :; else ${inner()}; fi`,
      () => `for i in a b${pick([';', '\n'])} do ${inner()}${end}done`,
      () => `for i ${pick([';', '\n', ''])} do ${inner()}${end}done`,
      () => `while ${inner()}${end}do ${inner()}${end}done`,
      () => `case $x in ${pick(['', '('])}a|"b c") ${inner()} ;; *) ${inner()} ;; esac`,
      () => `{ ${inner()}; }${pick(['', ' > out', ' 2>&1'])}`,
      () => `(${inner()})`,
      () => `f() { ${inner()}; }`,
      () => `${inner()} | ${inner()}`,
      () => `${inner()} && ${inner()}`,
      () => `! ${inner()}`,
      () => `echo "$(${inner()})" \`a\``,
      () => `echo "\${x:-$(${inner()})}"`,
      () => `cat <<E\n${inner()}\nE\n`,
      () => `cat <<'E' | ${inner()}\nfoo ' $( \nE\n`,
      () => '[[ -n $x && ( a == b* || c =~ ^(d|e)+$ ) ]]',
      () => '(( x > 1 ))',
      () => `time ${inner()}`,
      () => `function f { ${inner()}; }`,
      () => `diff <(${inner()}) <(${inner()})`,
      () => `n=$((x)) 2>/dev/null && ${inner()}`,
      () => `a=( "x" $(${inner()}) )`,
      () => `${inner()} # a comment ' "`,
      () => `${inner()}\n${inner()}`,
      () => 'for ((i=0;i<3;i++)); do a; done',
      () => 'echo $((echo a); (echo b))',
      () => 'declare -a x=(1 2) y=3',
      () => `echo \${x//"}"/y}`,
      () => '((a); (b))',
    ];
    return pick(forms)();
  };
  const text = command(1 + Math.floor(next() * 3));
  if (next() >= 0.2) return text;
  const at = Math.floor(next() * text.length);
  return text.slice(0, at) + pick(strays) + text.slice(at);
}
