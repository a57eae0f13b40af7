import assert from 'node:assert/strict';
import { test } from 'node:test';
import { counted, ended, folded, pasted, printedByAwk, queried, sorted } from './line-tools.ts';
import { edited } from './sed.ts';
import { cut, translate } from './text-tools.ts';

test('sed: its commands, addresses and both kinds of expressions', () => {
  const cases: readonly (readonly [readonly string[], string, string | undefined])[] = [
    [['s/x/r/'], 'xx\n', 'rx\n'],
    [['s/x/r/g;s#/a#/b#'], 'x/a\n', 'r/b\n'],
    [['-e', 's/a/b/', '-e', 's/b/c/'], 'a\n', 'c\n'],
    [['s/\\(.\\)./\\1/g'], 'r.m.\n', 'rm\n'],
    [['-E', 's/(a)(b)/\\2\\1/'], 'ab\n', 'ba\n'],
    [['-n', 's/^#: //p'], '#: a\nb\n', 'a\n'],
    [['y/abc/rmf/'], 'abx\n', 'rmx\n'],
    [['2d'], 'a\nb\nc\n', 'a\nc\n'],
    [['/b/,$d'], 'a\nb\nc\n', 'a\n'],
    [['$!d'], 'a\nb\n', 'b\n'],
    [['s/.*/\\U&/'], 'rm\n', 'RM\n'],
    [['1!G;h;$!d'], 'a\n', undefined],
    [['s/a/b/e'], 'a\n', undefined],
    [['s/\\(a*\\)*$/b/'], 'aaaa\n', undefined],
  ];
  for (const [args, text, result] of cases) assert.equal(edited(args, text), result, args.join(' '));
});

test('lines are ordered, joined, cut and made up', () => {
  assert.equal(sorted(['-n'], '10\n9\n'), '9\n10\n');
  assert.equal(sorted(['-ru'], 'a\nb\na\n'), 'b\na\n');
  assert.equal(ended('head', ['-n1'], 'a\nb\n'), 'a\n');
  assert.equal(ended('tail', ['-n', '+2'], 'a\nb\nc\n'), 'b\nc\n');
  assert.equal(ended('head', ['-c', '2'], 'abc'), 'ab');
  assert.equal(pasted(['-sd', ' '], 'rm\n-rf\n/\n'), 'rm -rf /\n');
  assert.equal(folded(['-w1'], 'ab\n'), 'a\nb\n');
  assert.equal(counted(['1', '2', '5']), '1\n3\n5\n');
  assert.equal(counted(['-f', 'x%g', '2']), 'x1\nx2\n');
  assert.equal(queried(['-r', '"cm0="|@base64d']), 'rm\n');
  assert.equal(cut('rotten', ['-c1,3']), 'rt');
  assert.equal(cut('a:b:c', ['-d:', '-f2-']), 'b:c');
  assert.equal(translate('QL', ['A-Za-z', 'N-ZA-Mn-za-m']), 'DY');
  assert.equal(printedByAwk(['{print "rm " $2}'], 'a b\nc d\n'), 'rm b\nrm d\n');
  assert.equal(printedByAwk(['BEGIN{print substr("remove",1,1) "m"}'], ''), 'rm\n');
  assert.equal(printedByAwk(['{if ($1) print}'], 'a\n'), undefined);
});
