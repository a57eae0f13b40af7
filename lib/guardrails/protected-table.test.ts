import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { normalizePath } from './paths.ts';
import { protectedPaths } from './protected-paths.ts';
import { isInAgentTree, type Related, relatedTo } from './protected-table.ts';
import { star } from './shell/marks.ts';

/** What `relatedTo` means, said by comparing with each protected path. */
function comparedWithAll(path: string): readonly Related[] {
  const isIn = (one: string, other: string) => other === '/' || one.startsWith(`${other}/`);
  return protectedPaths.flatMap((entry): Related[] => {
    const its = entry.path.toLowerCase();
    if (path === its) return [{ entry, relation: 'same' }];
    if (isIn(path, its)) return [{ entry, relation: 'inside' }];
    return isIn(its, path) ? [{ entry, relation: 'above' }] : [];
  });
}

const names = [...new Set(protectedPaths.flatMap(({ path }) => path.toLowerCase().split('/').slice(1)))];

describe('the table of protected paths', () => {
  test('R40 finds for each protected path, its parents and what could be in it just what comparing finds', () => {
    for (const { path } of protectedPaths) {
      const lower = path.toLowerCase();
      const parent = lower.slice(0, lower.lastIndexOf('/')) || '/';
      for (const one of [lower, parent, normalizePath(`${lower}/x`), `${lower}x`]) {
        assert.deepEqual(relatedTo(one).map(plainly), comparedWithAll(one).map(plainly), one);
      }
    }
  });

  test('R40 finds for any path just what comparing finds', () => {
    const component = fc.oneof(fc.constantFrom(...names), fc.stringMatching(/^[a-z0-9._-]{1,8}$/));
    fc.assert(
      fc.property(fc.array(component, { maxLength: 6 }), (components) => {
        const path = normalizePath(`/${components.join('/')}`);
        assert.deepEqual(relatedTo(path).map(plainly), comparedWithAll(path).map(plainly));
      }),
      { numRuns: 2000 },
    );
  });

  test('R40 a glob has to do with all that it could match', () => {
    const found = relatedTo(`/et${star}/shadow`);
    assert.ok(found.some(({ entry, relation }) => entry.path === '/etc/shadow' && relation === 'same'));
    assert.ok(!found.some(({ entry }) => entry.path === '/etc/passwd'));
  });

  test("R40 the agent's own trees hold all that is in them, and nothing beside", () => {
    for (const path of ['/var/lib/holdfast', '/var/lib/holdfast/a/b', '/lib/holdfast-agent/x']) {
      assert.ok(isInAgentTree(path), path);
    }
    for (const path of ['/', '/var/lib', '/var/lib/holdfasts', '/srv/var/lib/holdfast']) {
      assert.ok(!isInAgentTree(path), path);
    }
  });
});

function plainly({ entry, relation }: Related): string {
  return `${entry.path} ${relation}`;
}
