import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { grantOf, type Permission, permissions } from './permissions.ts';
import { localAdmin, type Role } from './principal.ts';

/** The table once more, in another shape, so that a slip in either shows. */
const expected: Record<Role, { all: Permission[]; own: Permission[] }> = {
  admin: { all: permissions.filter((permission) => permission !== 'self.read'), own: ['self.read'] },
  viewer: {
    all: ['fleet.read', 'config.read', 'secrets.list', 'audit.read', 'compliance.read', 'siem.read'],
    own: ['tokens.write', 'self.read'],
  },
  compliance: { all: ['compliance.read', 'compliance.docs.write'], own: ['tokens.write', 'self.read'] },
};

test('R24 every role × permission is as the table says', () => {
  for (const role of ['admin', 'viewer', 'compliance'] as const) {
    for (const permission of permissions) {
      const want = expected[role].all.includes(permission)
        ? 'all'
        : expected[role].own.includes(permission)
          ? 'own'
          : 'none';
      assert.equal(grantOf({ role }, permission), want, `${role} ${permission}`);
    }
  }
});

test('R26 compliance is denied the raw audit log', () => {
  assert.equal(grantOf({ role: 'compliance' }, 'audit.read'), 'none');
});

test('R24 an unknown role is granted nothing', () => {
  for (const role of ['root', '', 'Admin', '__proto__', 'constructor', 'toString']) {
    for (const permission of permissions) assert.equal(grantOf({ role: role as Role }, permission), 'none', role);
  }
});

test('R27 local-admin has the role admin and a reserved name', () => {
  assert.deepEqual(localAdmin, { id: 'local-admin', kind: 'local-admin', role: 'admin', auth: 'local-admin' });
});

test('the table in the documentation is this one', async () => {
  const page = await readFile(new URL('../../docs/access.md', import.meta.url), 'utf8');
  const rows = [...page.matchAll(/^\| `([a-z.]+)` \| ?(all|own|) ?\| ?(all|own|) ?\| ?(all|own|) ?\|$/gm)];
  assert.deepEqual(
    rows.map(([, permission]) => permission),
    [...permissions],
  );
  for (const [, permission, ...cells] of rows) {
    const granted = (['admin', 'viewer', 'compliance'] as const).map((role) =>
      grantOf({ role }, permission as Permission).replace('none', ''),
    );
    assert.deepEqual(cells, granted, permission);
  }
});
