import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { parse, parseAny } from './grammar.ts';
import type { Command, Item } from './syntax.ts';

/** The tree in brackets: kinds of commands, and the words of simple ones. */
function shape(text: string, dialect: 'bash' | 'posix' = 'bash'): string {
  const parsed = parse(text, dialect);
  assert.ok(parsed !== undefined, text);
  assert.equal(parsed.errorAt, undefined, `${text}: not shell at ${parsed.errorAt}`);
  const list = (items: readonly Item[]): string =>
    items.map(({ command, isBackground }) => one(command) + (isBackground ? '&' : '')).join(' ');
  const one = (command: Command): string => {
    switch (command.type) {
      case 'simple': {
        const words = command.words.map(({ start, end }) => text.slice(start, end));
        const before = command.assignments.map(({ name }) => `${name}=`);
        const redirects = command.redirects.map(({ operator, descriptor }) => descriptor + operator);
        return `<${[...before, ...words, ...command.declared.map(({ name }) => `${name}=`), ...redirects].join(' ')}>`;
      }
      case 'redirected':
        return `${one(command.body)}${command.redirects.map(({ operator }) => operator).join('')}`;
      case 'pipeline':
        return `(pipe ${command.stages.map(one).join(' ')})`;
      case 'and-or':
        return `(${one(command.first)}${command.rest.map(({ operator, command: next }) => ` ${operator} ${one(next)}`).join('')})`;
      case 'if':
        return `(if ${command.branches.map(({ condition, body }) => `${list(condition)}: ${list(body)}`).join(', ')}${command.otherwise === undefined ? '' : ` else ${list(command.otherwise)}`})`;
      case 'case':
        return `(case ${command.items.map(({ patterns, body }) => `${patterns.map(({ start, end }) => text.slice(start, end)).join('|')}: ${list(body)}`).join(', ')})`;
      case 'for':
        return `(for ${command.name} ${command.words?.map(({ start, end }) => text.slice(start, end)).join(' ') ?? '@'}: ${list(command.body)})`;
      case 'function':
        return `(function ${command.name} ${one(command.body)})`;
      case 'while':
        return `(${command.isUntil ? 'until' : 'while'} ${list(command.condition)}: ${list(command.body)})`;
      case 'subshell':
      case 'group':
        return `(${command.type} ${list(command.body)})`;
      default:
        return `(${command.type})`;
    }
  };
  return list(parsed.commands);
}

describe('commands', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['a b; c & d', '<a b> <c>& <d>'],
    ['a && b || c | d', '(<a> && <b> || (pipe <c> <d>))'],
    ['! a | b', '(pipe <a> <b>)'],
    ['if a; then b; elif c; then d; else e; fi', '(if <a>: <b>, <c>: <d> else <e>)'],
    ['for i in 1 "2 3"; do a; done', '(for i 1 "2 3": <a>)'],
    ['for i do a; done', '(for i @: <a>)'],
    ['for i; do a; done', '(for i @: <a>)'],
    ['for i in a; { b; }', '(for i a: <b>)'],
    ['until a; do b; done', '(until <a>: <b>)'],
    ['case $1 in "a b"|c) x;; (d) ;; *) y; esac', '(case "a b"|c: <x>, d: , *: <y>)'],
    ['f() { a; }', '(function f (group <a>))'],
    ['function f-x { a; }', '(function f-x (group <a>))'],
    [':(){ :|:& };:', '(function : (group (pipe <:> <:>)&)) <:>'],
    ['+() { a; }; +', '(function + (group <a>)) <+>'],
    ['x=1 y+=2 a 2>&1 >b', '<x= y= a 2>& >>'],
    ['a=(1 $(b) [3]=c) d', '<a= d>'],
    ['declare -A m=([k]=v) n', '<declare -A n m=>'],
    ['n=$((1+2)) 2>/dev/null && a', '(<n= 2>> && <a>)'],
    ['{ a; } > b 2>&1', '(group <a>)>>&'],
    ['((a = 1))', '(arithmetic)'],
    ['((a); b)', '(subshell (subshell <a>) <b>)'],
    ['[[ -n $a && ( b == c* || d =~ ^(e|f)+$ ) ]] && g', '((test) && <g>)'],
    ['time -p a | b', '(pipe <a> <b>)'],
    ['echo if then \\fi }', '<echo if then \\fi }>'],
    ['a # b\n# c\nd', '<a> <d>'],
    ['a\\\n b', '<a\\\n b>'],
    ['exec {S[1]}>&- 3<>x', '<exec {S[1]}>& 3<>>'],
    ['a @(b|c) !(d)', '<a @(b|c) !(d)>'],
    ['!(a)', '(subshell <a>)'],
    ['coproc X { a; }', '(coproc)'],
    ['diff <(a) >(b)', '<diff <(a) >(b)>'],
    [`echo "\${x:-"a b"}" \${y%"}"}`, `<echo "\${x:-"a b"}" \${y%"}"}>`],
    [`echo \${x//'}'/y} $'a\\'b'`, `<echo \${x//'}'/y} $'a\\'b'>`],
    ['select i in a; do b; done', '(for i a: <b>)'],
  ];
  for (const [source, expected] of cases) {
    test(JSON.stringify(source), () => assert.equal(shape(source), expected));
  }

  test('what only dash reads is read as dash does', () => {
    assert.equal(shape('f() a', 'posix'), '(function f <a>)');
    assert.equal(shape('((a))', 'posix'), '(subshell (subshell <a>))');
    assert.equal(shape('a &>b', 'posix'), '<a>& <>>');
    assert.equal(parseAny(`echo "\${x:-it's}"`)?.errorAt, undefined);
    assert.notEqual(parse(`echo "\${x:-it's}"`)?.errorAt, undefined);
  });
});

describe('here-documents', () => {
  const bodies = (text: string): (string | undefined)[] => {
    const parsed = parse(text);
    assert.equal(parsed?.errorAt, undefined, text);
    const found: (string | undefined)[] = [];
    const look = (command: Command): void => {
      if (command.type === 'simple')
        for (const { document } of command.redirects)
          if (document !== undefined) found.push(text.slice(document.body.start, document.body.end));
      if (command.type === 'pipeline') command.stages.forEach(look);
      if (command.type === 'and-or')
        for (const one of [command.first, ...command.rest.map((next) => next.command)]) look(one);
    };
    for (const { command } of parsed?.commands ?? []) look(command);
    return found;
  };

  test('their lines, in order, and what stands behind the delimiter on its line', () => {
    assert.deepEqual(bodies('a <<E | b\nx\nE\nc'), ['x\n']);
    assert.deepEqual(bodies('a <<E <<F && b\n1\nE\n2\nF\n'), ['1\n', '2\n']);
    assert.deepEqual(bodies("a <<-'E F'\n\tx\n\tE F\n"), ['\tx\n']);
    assert.deepEqual(bodies('a <<E\nEx\n E\nE\n'), ['Ex\n E\n']);
  });

  test('a joined line is one line, but not in a literal document', () => {
    assert.deepEqual(bodies('a <<E\nx\\\nE\nE\n'), ['x\\\nE\n']);
    assert.deepEqual(bodies('a <<E\nx\nE\\\n\nrm\n'), ['x\n']);
    assert.deepEqual(bodies("a <<'E'\nx\\\nE\n"), ['x\\\n']);
  });

  test('without an end it goes on to the end of the source', () => {
    assert.deepEqual(bodies('a <<E\nx\n'), ['x\n']);
  });
});

describe('what is no shell', () => {
  test('is told with its place, and what came before it is there', () => {
    for (const [source, at, before] of [
      ['rm a\nif (', 9, 1],
      ['echo "a', 5, 0],
      ['a; ) b', 3, 1],
      ['if a; then fi', 11, 0],
      ['f() a', 4, 0],
      ['case a in b c) d;; esac', 12, 0],
      ['a ;; b', 2, 1],
      ['a=(', 3, 0],
      ['for i in a b', 12, 0],
      ['}', 0, 0],
    ] as const) {
      const parsed = parse(source);
      assert.equal(parsed?.errorAt, at, source);
      assert.equal(parsed?.commands.length, before, source);
    }
  });

  test('what stands on the lines after it is read as well', () => {
    assert.equal(parse('fi\nrm a\ndone\nrm b')?.commands.length, 2);
  });
});

describe('bounds', () => {
  test('any text at all is read, and every place is within it', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 400 }), (text) => {
        const parsed = parseAny(text);
        if (parsed === undefined) return;
        assert.ok(parsed.errorAt === undefined || parsed.errorAt <= text.length);
        for (const { start, end } of parsed.substitutions.values()) assert.ok(start < end && end <= text.length);
      }),
      { numRuns: 500 },
    );
  });

  test('what nests without end, or could be read in many ways, is given up and not followed', () => {
    for (const piece of [
      '$((',
      '$(',
      '((',
      '( ',
      '{ ',
      `\${x:-`,
      '"$(',
      'if ',
      '<(',
      '`',
      'a=(',
      '[[ ( ',
      '$[',
      'case x in a) ',
    ])
      for (const count of [50, 5000]) parseAny(piece.repeat(count));
    assert.equal(parse('('.repeat(5000)), undefined);
    assert.equal(parse(`${'a && '.repeat(20_000)}b`)?.errorAt, undefined);
    assert.equal(parse(`${'a | '.repeat(20_000)}b`)?.errorAt, undefined);
  });
});
