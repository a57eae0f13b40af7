import assert from 'node:assert/strict';
import { test } from 'node:test';
import { arithmetic } from './arithmetic.ts';

test('expressions come to what a shell makes of them', () => {
  const cases: readonly (readonly [string, number | undefined])[] = [
    ['1+2*3', 7],
    ['(1+2)*3', 9],
    ['2**3**2', 512],
    ['-7/2', -3],
    ['-7%3', -1],
    ['16#ff + 010 + 0x10', 279],
    ['1 << 4 | 1', 17],
    ['5 > 3 && 2 != 2', 0],
    ['!0 ? 4 : 5', 4],
    ['~0', -1],
    ['1, 2', 2],
    ['', 0],
    ['1 +', undefined],
    ['1/0', undefined],
    ['a', undefined],
    ['2 3', undefined],
    ['(1', undefined],
    [`${'('.repeat(600)}1`, undefined],
  ];
  for (const [expression, value] of cases) assert.equal(arithmetic(expression), value, expression);
});

test('variables are read and assigned', () => {
  const values = new Map([
    ['x', '2'],
    ['y', 'x+1'],
    ['loop', 'loop'],
  ]);
  const scope = {
    get: (name: string, index: string | undefined) => values.get(index === undefined ? name : `${name}[${index}]`),
    set: (name: string, _index: string | undefined, value: number | undefined) => values.set(name, `${value}`),
  };
  assert.equal(arithmetic('y * 2', scope), 6);
  assert.equal(arithmetic('x++ + ++x', scope), 6);
  assert.equal(values.get('x'), '4');
  assert.equal(arithmetic('x -= 1, x', scope), 3);
  assert.equal(arithmetic('loop', scope), undefined);
});
