import assert from 'node:assert/strict';
import { test } from 'node:test';
import { scanner } from '../guardrails/scanner.ts';
import type { SourceResource } from './crate-source.ts';
import { findGuarded } from './guardrails.ts';

function exec(command: string, accepts: { readonly [rule: string]: string } = {}): SourceResource {
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
    accepted: new Map(Object.entries(accepts).map(([rule, reason]) => [rule, { reason, place }])),
  };
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

const briefly = (resources: readonly SourceResource[]) =>
  findGuarded(scanner, resources).map(({ severity, message }) => `${severity} ${message.slice(0, 28)}`);

test('R42 what can not be judged is refused until the crate accepts it with a reason; what is ordinary is nothing', () => {
  assert.deepEqual(briefly([exec('eval "$CODE"'), exec('systemctl restart nginx')]), [
    'error G0602: "exec/x" the code tha',
  ]);
  assert.deepEqual(briefly([exec('eval "$CODE"', { G0602: 'settings of the vendor' })]), [
    'warning accepted: G0602: "exec/x" th',
  ]);
});

test('R42 what is dangerous can not be accepted, nor what is not unknown at all', () => {
  assert.deepEqual(briefly([exec('rm -rf /etc', { G0101: 'it has to go away' })]), [
    'error G0101: "exec/x" removes a tr',
    'error "exec/x" accepts G0101, by w',
  ]);
  assert.deepEqual(briefly([exec('true', { G0602: 'nothing to accept' })]), ['error "exec/x" accepts G0602, by w']);
});

test('R40 a path that leads to something protected by the policy’s own symlinks and bind mounts is refused', () => {
  const place = { file: 'crates/x.yaml', line: 3, column: 5 };
  const one = (type: string, desired: SourceResource['desired']): SourceResource => ({
    ...exec('true'),
    type,
    id: String(desired['path']),
    key: `${type}/${desired['path']}`,
    desired,
    place,
  });
  const links = [
    one('symlink', { path: '/srv/a', target: '/etc' }),
    one('symlink', { path: '/srv/b', target: 'a' }),
    one('mount', { path: '/srv/c', source: '/etc', fstype: 'none', options: 'rw,bind' }),
  ];
  for (const path of ['/srv/a/shadow', '/srv/b/shadow', '/srv/c/shadow', '/srv/b/../c/sudoers']) {
    const [problem] = briefly([...links, one('file', { path })]);
    assert.match(problem ?? '', /^error G0106/, path);
  }
  assert.deepEqual(
    briefly([...links, one('file', { path: '/srv/a/motd' }), one('file', { path: '/srv/ab/shadow' })]),
    [],
  );
});
