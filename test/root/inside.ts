/**
 * Inside the throw-away root: the policy is applied, everything in it is changed by hand, and it is restored; each time
 * the machine's own tools are asked what came of it. Started by run.mjs alone.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { executors } from '../../agent/executors/registry.ts';
import { protectTrees, systemTrees } from '../../agent/guard.ts';
import { type Declared, run } from '../conformance/executor-fixture.ts';
import { applyExample } from './example.ts';
import { tryPathTricks } from './path-tricks.ts';
import { drifts, policy, prepare, proofs } from './policy.ts';

function sh(script: string): string {
  return execFileSync('/bin/sh', ['-ec', script], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

async function apply(what: string, declared: readonly Declared[], dryRun = false): Promise<Map<string, string>> {
  const started = process.cpuUsage();
  const outcomes = await run(declared, { guard: protectTrees(systemTrees), dryRun });
  const { user, system } = process.cpuUsage(started);
  const counts = Map.groupBy(outcomes, ({ result }) => result);
  const summary = [...counts].map(([result, list]) => `${list.length} ${result}`).join(', ');
  console.log(`${what}: ${summary} (${Math.round((user + system) / 1000)} ms of CPU)`);
  const bad = outcomes.filter(({ result }) => result === 'failed' || result === 'blocked');
  assert.deepEqual(bad, [], what);
  return new Map(outcomes.map(({ resource, result }) => [resource, result]));
}

function prove(when: string): void {
  for (const [script, wanted] of proofs) {
    assert.match(sh(script), wanted, `${when}: ${script}`);
  }
  console.log(`${when}: ${proofs.length} questions to the machine's own tools are answered as they should be`);
}

assert.equal(process.getuid?.(), 0);
mkdirSync('/srv/demo', { recursive: true, mode: 0o755 });
prepare(sh);
const declared = policy(sh);

const types = new Set(declared.map(({ type }) => type));
const missing = [...executors.keys()].filter((type) => !types.has(type));
assert.deepEqual(missing, [], 'the policy has a resource of every type');

await apply('a dry run', declared, true);
const first = await apply('applied', declared);
prove('after the first run');
const again = await apply('applied again', declared);
assert.deepEqual(
  [...again].filter(([, result]) => result !== 'unchanged'),
  [],
  'nothing is left to do',
);

for (const [resource, script] of Object.entries(drifts)) {
  assert.ok(first.has(`test/${resource}`), `the drift of ${resource} is about a resource of the policy`);
  sh(script);
}
const undrifted = declared.filter(({ type }) => !Object.keys(drifts).some((key) => key.startsWith(`${type}/`)));
assert.deepEqual(
  undrifted.map(({ type }) => type),
  [],
  'every type was changed by hand',
);
console.log(`changed by hand: ${Object.keys(drifts).length} resources`);

const seen = await apply('a dry run', declared, true);
const restored = await apply('restored', declared);
for (const resource of Object.keys(drifts)) {
  assert.notEqual(seen.get(`test/${resource}`), 'unchanged', `the drift of ${resource} was seen by the dry run`);
  assert.notEqual(restored.get(`test/${resource}`), 'unchanged', `the drift of ${resource} was restored`);
}
prove('after the restoration');
const last = await apply('applied again', declared);
assert.deepEqual(
  [...last].filter(([, result]) => result !== 'unchanged'),
  [],
  'nothing is left to do',
);
console.log(`OK: ${declared.length} resources of ${types.size} types`);
await applyExample(sh);
await tryPathTricks(sh);
