import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { executors } from '../../agent/executors/registry.ts';
import { day, noon } from '../../test/fakes/policy.ts';
import { buildRelease } from './build.ts';
import { checkPolicy } from './check.ts';
import { loadPolicyDirectory } from './directory.ts';
import { parseCrate, parseManifest } from './model.ts';
import { noPrevious } from './names.ts';
import { formatProblem } from './problem.ts';

const examples = new URL('../../examples/', import.meta.url);

test('every example checks clean against the real resource types, and what is built parses on a node', async () => {
  const names = await readdir(examples);
  assert.ok(names.includes('first-policy') && names.includes('web-server'));
  for (const name of names) {
    const directory = await loadPolicyDirectory(fileURLToPath(new URL(name, examples)), executors);
    assert.deepEqual(checkPolicy(directory).map(formatProblem), []);
    const built = buildRelease({
      directory,
      fleet: 'demo',
      number: 1,
      previous: noPrevious,
      created: noon,
      expires: noon + day,
    });
    for (const { sha256 } of parseManifest(built.manifest).crates) {
      for (const { type, id, desired, template } of parseCrate(built.blobs.get(sha256) ?? new Uint8Array()).resources) {
        const executor = executors.get(type);
        // A node renders the template first.
        const rendered = template === undefined ? desired : { ...desired, content: template };
        assert.equal(executor?.id(executor.schema.parse(rendered)), id);
      }
    }
  }
});
