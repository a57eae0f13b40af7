import assert from 'node:assert/strict';
import { test } from 'node:test';
import { closingStack } from './closing.ts';

test('steps run in reverse, once, and one that fails or never ends keeps none of the others', async () => {
  const ran: string[] = [];
  const closing = closingStack(5);
  closing.add(() => ran.push('first'));
  closing.add(() => new Promise(() => undefined));
  closing.add(() => {
    throw new Error('broken');
  });
  closing.add(async () => ran.push('last'));
  await assert.rejects(closing.run(), /broken/);
  await assert.rejects(closing.run(), /broken/);
  assert.deepEqual(ran, ['last', 'first']);
});
