/** Incidents of what servers and agents write and where: paths that lead out, files open for a moment, redirects. */
import assert from 'node:assert/strict';
import { readdirSync, statSync } from 'node:fs';
import { chmod, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join as joinPath } from 'node:path';
import { after, before, test } from 'node:test';
import { executors } from '../../agent/executors/registry.ts';
import { protectTrees } from '../../agent/guard.ts';
import { join } from '../../agent/join.ts';
import { confine } from '../../agent/platform/archive-members.ts';
import { protectByRules } from '../../agent/rules-guard.ts';
import { PolicyError } from '../../lib/policy/errors.ts';
import { parseManifest } from '../../lib/policy/model.ts';
import { parseBlobDigest } from '../../lib/store/blobs.ts';
import { content, run, snapshot, withDirectory } from '../conformance/executor-fixture.ts';
import { newDirectory, openFleet, startServer } from '../fakes/identity-server.ts';
import { manifestBytes } from '../fakes/policy.ts';
import { type Edge, startEdge } from './edge.ts';

const stop: (() => unknown)[] = [];
let edge: Edge;

before(async () => {
  edge = await startEdge({ after: (step) => stop.push(step) });
});
after(async () => {
  for (const step of stop) await step();
});

/** What a path from elsewhere is tried with. */
const escapes = [
  '../../etc/passwd',
  '..',
  'a/../../etc/passwd',
  '/etc/passwd',
  '....//....//etc/passwd',
  '..\\..\\etc\\passwd',
  'C:\\Windows\\win.ini',
  '%2e%2e%2fetc%2fpasswd',
  'a\0b',
  'a\nb',
  `a/${'x'.repeat(300)}`,
  'x/'.repeat(2500),
];

test('incident 30: the server takes no path from the wire: blobs, nodes and crates go by names of one form', async () => {
  for (const way of escapes) {
    assert.throws(() => parseBlobDigest(way));
    const encoded = encodeURIComponent(way);
    for (const path of [`/v1/blobs/${encoded}`, `/v1/nodes/${encoded}`, `/v1/nodes/${encoded}/runs`]) {
      const { status, text } = await edge.call('GET', path, { token: edge.localAdmin });
      assert.ok(status === 400 || status === 404 || status === 414, `${status} ${path}`);
      assert.doesNotMatch(text, /root:|daemon:/);
    }
    const crates = [{ name: way, sha256: 'a'.repeat(64), blobs: [] }];
    const bytes = () => parseManifest(manifestBytes({ crates }));
    assert.throws(bytes, (error) => error instanceof PolicyError || error instanceof TypeError, way);
  }
  // As written, without anybody's normalization on the way.
  for (const path of ['/v1/blobs/../../etc/passwd', '/../etc/passwd', '/v1/%2e%2e/%2e%2e/etc/passwd']) {
    const { status, text } = await edge.call('GET', path, { token: edge.localAdmin });
    assert.ok(status === 400 || status === 404, `${status} ${path}`);
    assert.doesNotMatch(text, /root:|daemon:/);
  }
});

test('incident 30: no member of an archive and no path of a resource leads out on a node', () => {
  const leading = escapes.filter((one) => !/^\.\.\.\.|^%/.test(one));
  for (const way of leading) assert.throws(() => confine(way, 0), { name: 'HostError' }, way);
  const pathed = [...executors.values()].filter(
    ({ schema }) => 'shape' in schema && 'path' in (schema.shape as object),
  );
  assert.ok(pathed.length >= 8, 'the types that have a path');
  for (const { name, schema } of pathed) {
    for (const way of [...escapes, '/srv/../etc/x', '/srv/./x', '//etc/x', '/srv/x/', '/srv/\0x', '/']) {
      if (way === '/etc/passwd') continue;
      const parsed = schema.safeParse({
        path: way,
        content: 'x',
        source: 'x',
        line: 'x',
        target: 'x',
        state: 'present',
      });
      assert.ok(
        !parsed.success && parsed.error.issues.some(({ path: [field] }) => field === 'path'),
        `${name} takes ${JSON.stringify(way)}`,
      );
    }
  }
});

test('incident 30: chains of symlinks, case and other names of a protected tree reach nothing on a node', async () => {
  await withDirectory(async (tree) => {
    await mkdir(joinPath(tree, 'state'), { mode: 0o700 });
    await mkdir(joinPath(tree, 'srv'), { mode: 0o700 });
    await symlink('../state', joinPath(tree, 'srv', 'one'));
    await symlink('one', joinPath(tree, 'srv', 'two'));
    await symlink(joinPath(tree, 'srv', 'two'), joinPath(tree, 'srv', 'three'));
    const guard = protectTrees([joinPath(tree, 'state')]);
    const before = await snapshot(tree);
    for (const way of ['state', 'srv/one', 'srv/two', 'srv/three']) {
      const path = joinPath(tree, way, 'node.json');
      const [outcome] = await run([{ type: 'file', desired: { path, content: content('x') } }], { guard });
      assert.equal(outcome?.result, 'blocked', way);
    }
    assert.deepEqual(await snapshot(tree), before);
    const rules = protectByRules();
    for (const path of [
      '/proc/self/root/etc/shadow',
      '/proc/1/root/etc/shadow',
      '/ETC/shadow',
      '/usr/lib/../../etc/shadow',
    ])
      assert.match((await rules({ type: 'file', desired: { path }, paths: [path] })) ?? '', /^G0106/, path);
  });
});

test('incident 31: under umask 0 no file of a run is open to others at any step, nor in a directory that is', async () => {
  await withDirectory(async (tree) => {
    const modes: string[] = [];
    const look = () => {
      for (const name of readdirSync(tree))
        modes.push(`${name} ${(statSync(joinPath(tree, name)).mode & 0o777).toString(8)}`);
    };
    const umask = process.umask(0);
    try {
      const declared = [
        { type: 'file', desired: { path: joinPath(tree, 'sudoers'), content: content('x'), mode: '0440' } },
        { type: 'line', desired: { path: joinPath(tree, 'lines'), line: 'x' } },
        { type: 'json', desired: { path: joinPath(tree, 'json'), pointer: '/a', value: 1 } },
        { type: 'directory', desired: { path: joinPath(tree, 'directory'), mode: '0750' } },
      ];
      const outcomes = await run(declared, { step: look });
      assert.deepEqual(
        outcomes.map(({ result }) => result),
        declared.map(() => 'created'),
      );
      look();
    } finally {
      process.umask(umask);
    }
    assert.ok(modes.length > 4);
    assert.deepEqual(
      modes.filter((one) => /[2367]$/.test(one)),
      [],
      'what others may write at any moment',
    );
  });
  await withDirectory(async (tree) => {
    await mkdir(joinPath(tree, 'shared'), { mode: 0o700 });
    await writeFile(joinPath(tree, 'shared', 'kept'), 'kept');
    await chmod(joinPath(tree, 'shared'), 0o777);
    const path = joinPath(tree, 'shared', 'kept');
    const [outcome] = await run([{ type: 'file', desired: { path, content: content('x') } }]);
    assert.match(`${outcome?.result} ${outcome?.reason}`, /^failed anybody can write to the directory/);
    assert.equal(await readFile(path, 'utf8'), 'kept');
  });
});

test('incident 32: a redirect to another host gets neither the token nor a request', async (t) => {
  const fleet = await openFleet();
  const elsewhere = await startServer(t, fleet);
  for (const status of [301, 302, 303, 307, 308]) {
    const intercept = async () => new Response(null, { status, headers: { location: `${elsewhere.url}/v1/fleet` } });
    const server = await startServer(t, fleet, { intercept });
    const options = {
      server: server.url,
      token: await fleet.token(),
      stateDir: await newDirectory(t),
      hostname: 'web',
      version: '0.1.0',
      now: () => fleet.clock.now,
    };
    await assert.rejects(join(options), { code: 'unreachable' });
  }
  assert.deepEqual(elsewhere.requests, []);
});
