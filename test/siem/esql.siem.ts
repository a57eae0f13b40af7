/** R32: the shipped ES|QL, parsed by Elasticsearch's own grammar. Nothing here runs it. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { judge, shipped, skipWithout } from './tools.ts';

const skip = skipWithout('esql');
const problems = (text: string) => JSON.parse(judge('esql', text)) as readonly string[];

test('R32 the grammar has nothing to say of the shipped searches, and much of wrong ones', { skip }, () => {
  const files = readdirSync(new URL('../../siem/elastic/', import.meta.url)).filter((name) => name.endsWith('.esql'));
  assert.equal(files.length, 5);
  for (const file of files) {
    const text = shipped(`elastic/${file}`);
    assert.deepEqual(problems(text), [], file);
    assert.notDeepEqual(problems(text.replace('| WHERE', '| WERE')), [], file);
    // A name that the language has for itself.
    assert.notDeepEqual(problems(`${text}\n| EVAL first = 1`), [], file);
  }
});
