import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { assumptions, costTable, fleets, monthlyCost } from '../bench/cost.ts';
import { profiles } from './profiles.ts';
import { profileNames, resourcesOf, synthesize } from './testing.ts';

const docs = join(import.meta.dirname, '../docs');
const page = readFileSync(join(docs, 'aws.md'), 'utf8');

test('R55 the costs in the documentation are those of the formula', () => {
  assert(page.includes(costTable()), `docs/aws.md should have:\n${costTable()}`);
});

test('R55 goals: 100 nodes for 50 dollars, 10,000 for 200, 100,000 for 800; each node costs less in a larger fleet of the same profile', () => {
  assert(monthlyCost({ nodes: 100, intervalS: 60, profile: 'small' }).total <= 50);
  assert(monthlyCost({ nodes: 10_000, intervalS: 60, profile: 'small' }).total <= 200);
  assert(monthlyCost({ nodes: 100_000, intervalS: 60, profile: 'standard' }).total <= 800);
  const standard = fleets.filter(({ profile }) => profile === 'standard');
  const each = standard.map((fleet) => monthlyCost(fleet).total / fleet.nodes);
  assert.deepEqual(
    each,
    each.toSorted((a, b) => b - a),
  );
});

test('R55 the formula pays for every alarm and for no more tasks than the deployment starts', () => {
  for (const profile of profileNames)
    assert.equal(resourcesOf(synthesize({ profile }), 'AWS::CloudWatch::Alarm').length, assumptions.alarms);
  for (const fleet of fleets) assert(monthlyCost(fleet).tasks <= profiles[fleet.profile].gateway.maxTasks);
});

test('a longer interval never costs more', () => {
  for (const fleet of fleets) {
    assert(monthlyCost({ ...fleet, intervalS: 300 }).total <= monthlyCost(fleet).total);
  }
});

test('every runbook is some alarm’s, and every link leads somewhere', () => {
  const pages = readdirSync(join(docs, 'runbooks')).sort();
  const named = profileNames
    .flatMap((profile) => resourcesOf(synthesize({ profile }), 'AWS::CloudWatch::Alarm'))
    .map(({ properties }) => /([a-z-]+\.md)$/.exec(properties['AlarmDescription'])?.[1]);
  assert.deepEqual([...new Set(named)].sort(), pages);
  for (const file of ['aws.md', ...pages.map((name) => `runbooks/${name}`)]) {
    const path = join(docs, file);
    for (const [, target = ''] of readFileSync(path, 'utf8').matchAll(/\]\(([^)#]+)\)/g)) {
      assert(
        readdirSync(join(path, '..', target, '..')).includes(target.split('/').filter(Boolean).at(-1) ?? ''),
        `${file}: ${target}`,
      );
    }
  }
});

test('the page says plainly that nothing was run in a real account', () => {
  assert.match(page, /\*\*Nothing here was ever run in a real account\.\*\*/);
});
