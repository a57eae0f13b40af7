/** Guards the property suite itself: a resource type that is registered and not in it does not get through. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { executors } from './registry.ts';

/** What git makes of an index and of objects differs from run to run, so its properties have tests of their own. */
const withTestsOfTheirOwn = new Map([
  [
    'git',
    [
      'R17 a branch, a tag',
      'R17 killed before any of its steps',
      'R17 a check writes nothing',
      'nothing of a repository is run',
    ],
  ],
]);

for (const name of executors.keys()) {
  test(`R17 the type ${name} is in the property suite`, async () => {
    const source = await readFile(new URL(`${name.replaceAll('_', '-')}.test.ts`, import.meta.url), 'utf8');
    const titles = withTestsOfTheirOwn.get(name);
    if (titles === undefined) {
      assert.match(source, /^executorConformance\(\{/m);
      assert.match(source, new RegExp(`^ {2}type: '${name}',`, 'm'));
    } else for (const title of titles) assert.ok(source.includes(`test('${title}`), title);
  });
}
