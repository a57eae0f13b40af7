import assert from 'node:assert/strict';
import { test } from 'node:test';
import { suggest, suggestionHint } from './suggest.ts';

test('a slip of the fingers finds the word that was meant', () => {
  const known = ['content', 'source', 'path', 'mode'];
  assert.equal(suggest('contnet', known), 'content');
  assert.equal(suggest('sorce', known), 'source');
  assert.equal(suggest('Path', known), 'path');
  assert.equal(suggest('mod', known), 'mode');
});

test('a word that is far from all gets the list instead', () => {
  assert.equal(suggest('zebra', ['content', 'path']), undefined);
  assert.equal(suggest('x'.repeat(1000), ['x'.repeat(999)]), undefined);
  assert.equal(suggestionHint('zebra', ['path', 'content']), 'Known here: content, path.');
  assert.equal(suggestionHint('zebra', []), 'There are none.');
});
