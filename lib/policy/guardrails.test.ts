import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadScanner } from '../guardrails/scanner.ts';
import type { SourceResource } from './crate-source.ts';
import { findGuarded } from './guardrails.ts';

const scanner = await loadScanner();

function exec(command: string): SourceResource {
  const place = { file: 'crates/x.yaml', line: 3, column: 5 };
  const desired = { name: 'x', command, creates: '/srv/x' };
  return {
    type: 'exec',
    id: 'x',
    desired,
    key: 'exec/x',
    crate: 'x',
    place,
    referencePlaces: new Map(),
  } as SourceResource;
}

test('R42 publish shows rule, position and reason of what is dangerous, as an error at its place', () => {
  const [problem, ...others] = findGuarded(scanner, [exec('ls\nrm -rf /etc')]);
  assert.deepEqual(others, []);
  assert.equal(problem?.severity, 'error');
  assert.equal(problem?.code, 'guardrail');
  assert.deepEqual([problem?.file, problem?.line, problem?.column], ['crates/x.yaml', 3, 5]);
  assert.match(problem?.message ?? '', /^G0101: "exec\/x" removes .*\/etc.*line 2 column 1/);
  assert.match(problem?.hint ?? '', /docs\/guardrails\.md#g0101/);
});

test('R42 what can not be judged is a warning, and what is ordinary nothing', () => {
  assert.deepEqual(
    findGuarded(scanner, [exec('eval "$CODE"'), exec('systemctl restart nginx')]).map(({ severity, message }) => [
      severity,
      message.slice(0, 5),
    ]),
    [['warning', 'G0602']],
  );
});
