import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Crate, CrateResource } from './model.ts';
import { planRelease, type ReleaseContent } from './plan.ts';
import { type ReportedNode, statePlan } from './plan-state.ts';

const note = (id: string, more: Partial<CrateResource> = {}, desired = {}): CrateResource => ({
  type: 'note',
  id,
  desired: { name: id, ...desired },
  ...more,
});
const content = (resources: readonly CrateResource[], vars = {}, given = {}): ReleaseContent => {
  const crate: Crate = { crate: 'a', resources, vars };
  return {
    manifest: { bindings: [{ match: { name: '*' }, crates: ['a'], vars: given }] },
    crates: new Map([['a', crate]]),
  };
};
const nodes = ['deb', 'new', 'rhel'].map((name, i) => ({ uuid: `u${i}`, name, labels: {} }));
const run = (results: readonly (readonly [string, string])[]): NonNullable<ReportedNode['run']> => ({
  started: '2030-01-01T00:00:00.000Z',
  release: 1,
  results: results.map(([id, result]) => ({ resource: `a/note/${id}`, result, reason: 'because' })),
});
const reported: ReadonlyMap<string, ReportedNode> = new Map<string, ReportedNode>([
  [
    'u0',
    {
      facts: { os: { family: 'debian' } },
      run: run([
        ['same', 'failed'],
        ['changes', 'unchanged'],
        ['gone', 'failed'],
      ]),
    },
  ],
  ['u2', { facts: { os: { family: 'rhel' } }, run: run([['same', 'unchanged']]) }],
]);

function plan(
  current: ReleaseContent,
  next: ReleaseContent,
  protectedBy: (resource: CrateResource) => readonly string[] = () => [],
) {
  return statePlan({ plan: planRelease({ current, next, nodes }), next, nodes, reported, protectedBy });
}

test('changes carry what the last run said; what a node leaves out by its facts is told', () => {
  const when = 'facts.os.family == "debian"';
  const current = content([note('same'), note('changes'), note('gone')]);
  const next = content([note('same'), note('changes', {}, { text: 2 }), note('added', { when })]);
  const { nodes: stated, blastRadius } = plan(current, next);
  assert.deepEqual(
    stated.map(({ name, changes }) => [
      name,
      changes.map(({ key, reported: was, leftOut }) => [key, was?.result, leftOut]),
    ]),
    [
      [
        'deb',
        [
          ['note/changes', 'unchanged', undefined],
          ['note/added', undefined, undefined],
          ['note/gone', 'failed', undefined],
        ],
      ],
      [
        'new',
        [
          ['note/changes', undefined, undefined],
          ['note/added', undefined, undefined],
          ['note/gone', undefined, undefined],
        ],
      ],
      [
        'rhel',
        [
          ['note/changes', undefined, undefined],
          ['note/added', undefined, `not when ${when}`],
          ['note/gone', undefined, undefined],
        ],
      ],
    ],
  );
  assert.deepEqual(stated[0]?.trouble, [{ resource: 'a/note/same', result: 'failed', reason: 'because' }]);
  assert.equal(blastRadius.leftOut, 1);
  assert.equal(blastRadius.unreported, 1);
});

test('a node that changes nothing is shown when it is in trouble, and only then', () => {
  const same = () => content([note('same')]);
  const { nodes: stated, blastRadius } = plan(same(), same());
  assert.deepEqual(
    stated.map(({ name }) => name),
    ['deb'],
  );
  assert.equal(blastRadius.nodesChanged, 0);
});

test('removals and what is protected are counted, each resource once', () => {
  const next = content([note('gone', {}, { state: 'absent' }), note('sshd')]);
  const { blastRadius } = plan(content([]), next, ({ id }) => (id === 'sshd' ? ['G0300: reach'] : []));
  assert.equal(blastRadius.removals, 3);
  assert.deepEqual(blastRadius.protected, ['a/note/sshd: G0300: reach']);
});

test('a var that a binding changes is a change of what could use it, on the nodes that get it', () => {
  const template = { sha256: 'a'.repeat(64), bytes: 1 };
  const resources = [note('plain'), note('uses', { template })];
  const { nodes: stated } = plan(content(resources, { n: 1, m: 1 }), content(resources, { n: 1, m: 1 }, { n: 2 }));
  assert.deepEqual(
    stated[1]?.changes.map(({ key, fields }) => [key, fields]),
    [['note/uses', [{ field: 'vars.n', before: '1', after: '2' }]]],
  );
});

test('what a node found drifted when it was asked is shown; in an ordinary run it was put right', () => {
  const same = content([note('same'), note('other')]);
  const reportedWith = (isLive: boolean) =>
    new Map([
      [
        'u0',
        {
          run: {
            ...run([
              ['same', 'updated'],
              ['other', 'unchanged'],
            ]),
            isLive,
          },
        },
      ],
    ]);
  const state = (isLive: boolean) =>
    statePlan({
      plan: planRelease({ current: same, next: same, nodes }),
      next: same,
      nodes,
      reported: reportedWith(isLive),
      protectedBy: () => [],
    }).nodes.flatMap(({ trouble }) => trouble);
  assert.deepEqual(state(true), [{ resource: 'a/note/same', result: 'updated', reason: 'because' }]);
  assert.deepEqual(state(false), []);
});
