import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AuditError } from '../../lib/audit/port.ts';
import { StoreError } from '../../lib/store/port.ts';
import { toProblem } from '../admin/problem.ts';
import { asStandaloneError, StandaloneError } from './errors.ts';

const inLog = (cause: StoreError) => new AuditError('unavailable', 'the audit log can’t be written to', { cause });

test('a full or closed disk is told as that, at the start and to callers; anything else stays what it is', () => {
  for (const [code, expected, words] of [
    ['full', 'disk_full', /full/],
    ['read_only', 'state_unusable', /written/],
  ] as const) {
    const store = new StoreError(code, 'no');
    for (const error of [store, inLog(store)]) {
      const told = asStandaloneError(error);
      assert(told instanceof StandaloneError);
      assert.equal(told.code, expected);
      assert.match(told.message, words);
      assert.notEqual(told.hint, '');
      const problem = toProblem(error);
      assert.deepEqual([problem.problem, problem.reason], ['unavailable', code]);
      assert.match(problem.message, /disk/);
    }
  }
  for (const other of [new Error('x'), inLog(new StoreError('conflict', 'no')), 'text']) {
    assert.equal(asStandaloneError(other), other);
  }
  const own = new StandaloneError('locked', 'x', { hint: 'y', cause: new StoreError('full', 'no') });
  assert.equal(asStandaloneError(own), own);
  assert.equal(toProblem(inLog(new StoreError('conflict', 'no'))).reason, 'audit_unavailable');
});
