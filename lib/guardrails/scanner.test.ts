import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { scanner } from './scanner.ts';

type Sample = { readonly command: string; readonly rule?: string };

function corpus(name: string): Sample[] {
  const text = readFileSync(new URL(`../../test/guardrails/${name}.jsonl`, import.meta.url), 'utf8');
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}

function verdicts(name: string): Record<string, string[]> {
  const found: Record<string, string[]> = { allowed: [], unknown: [], dangerous: [] };
  for (const { command } of corpus(name)) found[scanner.scan(command).verdict]?.push(command);
  return found;
}

describe('corpora', () => {
  test('R41 plain forms: at least 99 % are dangerous, and none is allowed', () => {
    const { allowed, dangerous } = verdicts('dangerous-plain');
    assert.deepEqual(allowed, []);
    assert.ok((dangerous?.length ?? 0) >= 0.99 * corpus('dangerous-plain').length);
  });

  test('R41 evasive forms: at least 90 % are dangerous, and none is allowed', () => {
    const { allowed, dangerous } = verdicts('dangerous-evasive');
    assert.deepEqual(allowed, []);
    assert.ok((dangerous?.length ?? 0) >= 0.9 * corpus('dangerous-evasive').length);
  });

  test('R41 ordinary commands: at most 1 % are refused, dangerous or unknown', () => {
    const { dangerous, unknown } = verdicts('ordinary');
    const all = corpus('ordinary').length;
    assert.ok(all >= 3000);
    const refused = [...(dangerous ?? []), ...(unknown ?? [])];
    assert.ok(refused.length <= 0.01 * all, refused.join('\n'));
  });

  test('R41 the dangerous corpora name the rule that is found', () => {
    for (const name of ['dangerous-plain', 'dangerous-evasive']) {
      const other = corpus(name).filter(
        ({ command, rule }) => !scanner.scan(command).findings.some((finding) => finding.rule === rule),
      );
      assert.ok(other.length <= 0.03 * corpus(name).length, other.map(({ command }) => command).join('\n'));
    }
  });
});

describe('findings', () => {
  test('R42 a finding says where, also of code within code', () => {
    const [first] = scanner.scan('ls\n  rm -rf /etc').findings;
    assert.deepEqual(first?.position, { offset: 5, line: 2, column: 3 });
    const [nested] = scanner.scan('ls\nsh -c "echo; rm -rf /etc"').findings;
    assert.equal(nested?.position.line, 2);
    assert.match(first?.reason ?? '', /\/etc/);
    assert.equal(first?.excerpt, 'rm -rf /etc');
  });

  test('arguments are judged as they are, not as text for a shell', () => {
    assert.equal(scanner.scan(['rm', '-rf', '/etc']).verdict, 'dangerous');
    assert.equal(scanner.scan(['echo', '; rm -rf /etc']).verdict, 'allowed');
    assert.equal(scanner.scan(['sh', '-c', 'rm -rf /etc']).verdict, 'dangerous');
    assert.equal(scanner.scan(['echo', '$(rm -rf /etc)']).verdict, 'allowed');
  });

  test('a relative path is judged by where the command runs', () => {
    assert.equal(scanner.scan('rm -rf ssh', { cwd: '/etc' }).verdict, 'dangerous');
    assert.equal(scanner.scan('rm -rf ssh', { cwd: '/srv' }).verdict, 'allowed');
    assert.equal(scanner.scan('rm -rf *', { cwd: '/etc' }).verdict, 'dangerous');
    assert.equal(scanner.scan('rm -rf *', { cwd: '/srv/app' }).verdict, 'allowed');
  });

  test('characters that stand for the unknown are no way to hide: they lose their meaning', () => {
    for (const mark of ['\ue000', '\ue005', '\ue006', '\ue007']) {
      assert.equal(scanner.scan(`rm -rf /etc/${mark}/..`).verdict, 'dangerous');
      assert.equal(scanner.scan(`echo ok; rm${mark} -rf /; rm -rf /`).verdict, 'dangerous');
    }
  });
});

describe('bounds', () => {
  const holds = (source: string) => {
    const { verdict, findings } = scanner.scan(source);
    assert.equal(verdict === 'allowed', findings.length === 0);
    for (const { position, reason, excerpt } of findings) {
      assert.ok(position.offset >= 0 && position.offset <= source.length && position.line >= 1 && position.column >= 1);
      assert.ok(reason.length > 0 && excerpt.length <= 161);
    }
  };

  test('R42 any text at all gets a verdict', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 300 }), holds), { numRuns: 300 });
  });

  test('R42 any pieces of shell get a verdict', () => {
    const pieces = fc.constantFrom(
      'rm',
      '-rf',
      '/',
      '$x',
      '${x',
      '$(',
      ')',
      '`',
      "'",
      '"',
      '\\',
      '|',
      '&',
      ';',
      '\n',
      '<<E',
      'E',
      '{',
      '}',
      'if',
      'then',
      'fi',
      'for i in',
      'do',
      'done',
      'case',
      'esac',
      '((',
      '))',
      '[[',
      'f()',
      'f',
      'eval',
      '*',
      '?',
      '[',
      ']',
      '~',
      '$((1+',
      '<(',
      '>',
      '/dev/sda',
      ' ',
      'a=',
      '$@',
      '{a,b}',
      '!',
      '#',
      'xargs',
      'find',
      '-exec',
      'sh -c',
    );
    fc.assert(
      fc.property(
        fc.array(pieces, { maxLength: 40 }).map((list) => list.join(' ')),
        holds,
      ),
      { numRuns: 500 },
    );
    fc.assert(
      fc.property(
        fc.array(pieces, { maxLength: 40 }).map((list) => list.join('')),
        holds,
      ),
      { numRuns: 300 },
    );
  });

  test('R42 what grows without end is cut off', () => {
    const sources = [
      'x'.repeat(200_000),
      `${'('.repeat(2000)}rm${')'.repeat(2000)}`,
      `a={0..9}; ${'{a,b}'.repeat(12)}`,
      `x=aa; ${'x=$x$x; '.repeat(60)} echo $x`,
      `f() { g; g; }; ${Array.from({ length: 30 }, (_, i) => `g${i}() { g${i + 1}; g${i + 1}; }; `).join('')} g0`,
      `${'eval '.repeat(500)}ls`,
      `${'sudo '.repeat(3000)}rm -rf /`,
      `${'for i in 1 2 3 4 5 6 7 8; do '.repeat(12)} ls; ${'done; '.repeat(12)}`,
      'f() { f; }; f',
      'alias a=b b=a; a',
      'f() { f; f; }; f',
      'f() { g; g; }; g() { f; f; }; f',
      `i=0; ${'while ((i<9)); do '.repeat(12)}((i++))${'; done'.repeat(12)}`,
      `rm -rf /${'$a'.repeat(8000)}`,
      `rm -rf ${'/*'.repeat(4000)}`,
      `x=' *\t${' *\t'.repeat(4000)}'; eval "$x"`,
      `echo ${'a'.repeat(40)}! | sed -E 's/(a|a)*$/b/' | sh`,
      "find / -regex '(a|a)*(a|a)*(a|a)*/x' -delete",
      `perl -e '${'\n'.repeat(12_000)}'`,
      `sed -i '${'\n'.repeat(12_000)}' /etc/fstab`,
      `python3 -c '${'"\t'.repeat(6000)}'`,
      `python3 -c '${'("x"*99)'.repeat(1500)}'`,
      `x='${'$x=ALL'.repeat(2000)}'; eval "$x"`,
      `x=${'a'.repeat(4000)}; echo \${x##${'*a'.repeat(400)}b}`,
      `logrotate x; cat > x <<'E'\n${'/a /b '.repeat(3000)}{\nE\nlogrotate x`,
    ];
    for (const source of sources) holds(source);
    assert.equal(scanner.scan('x'.repeat(200_000)).verdict, 'unknown');
  });
});
