import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { wireFiles, wireFolder } from '../../../test/siem/golden.ts';

test('what each kind sends of a batch is what is in its golden file', async () => {
  const expected = await wireFiles();
  const hint = 'run `node test/siem/golden.ts`, then read what changed';
  assert.deepEqual(readdirSync(wireFolder).sort(), [...expected.keys()].sort(), hint);
  for (const [name, text] of expected) assert.equal(readFileSync(`${wireFolder}${name}`, 'utf8'), text, hint);
});
