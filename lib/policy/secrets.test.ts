/** Secrets in policy: what is written becomes markers, misplaced ones are found with their place, and a hand-made release gains nothing. */
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the syntax of policy, not of TypeScript
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { executors } from '../../agent/executors/registry.ts';
import { manifestBytes, policyError, writeTree } from '../../test/fakes/policy.ts';
import { setUp } from '../../test/fakes/publishing.ts';
import { createMemorySecrets } from '../../test/fakes/secrets.ts';
import { sha256Hex } from '../crypto/digest.ts';
import { utf8 } from '../crypto/encoding.ts';
import { canonicalize, type Json } from '../crypto/jcs.ts';
import { checkPolicy } from './check.ts';
import { loadPolicyDirectory } from './directory.ts';
import { type CrateResource, formatCrate } from './model.ts';
import { publishRelease } from './publish.ts';

const bindings = 'bindings:\n  - match: { name: "*" }\n    crates: [app]\n';

async function load(t: Parameters<typeof writeTree>[0], crate: string) {
  const root = await writeTree(t, { 'holdfast.yaml': bindings, 'crates/app.yaml': crate });
  const directory = await loadPolicyDirectory(root, executors);
  return { directory, problems: checkPolicy(directory).filter(({ severity }) => severity === 'error') };
}
const one = (resource: string) => `crate: app\nresources:\n  - ${resource}\n`;

test('references become markers, escapes become text, and a file that holds a secret is 0600', async (t) => {
  const { directory, problems } = await load(
    t,
    [
      'crate: app',
      'vars: { p: "secret:a", q: "\\\\secret:b" }',
      'resources:',
      '  - file: { path: /etc/a, content: "secret:a" }',
      '  - file: { path: /etc/b, content: "x${secret:a}y", mode: "0640" }',
      '  - file: { path: /etc/c, content: "\\\\secret:a" }',
      '  - user: { name: u, password: "secret:a" }',
      '  - user: { name: v, password_hash: "secret:a" }',
      '  - line: { path: /etc/d, prefix: "p=", line: "p=${secret:a}" }',
    ].join('\n'),
  );
  assert.deepEqual(problems, []);
  const [crate] = directory.crates;
  assert.deepEqual(
    crate?.resources.map(({ desired }) => desired),
    [
      { path: '/etc/a', content: { $secret: { path: 'a' } }, mode: '0600' },
      { path: '/etc/b', content: { $join: ['x', { $secret: { path: 'a' } }, 'y'] }, mode: '0640' },
      { path: '/etc/c', content: { sha256: sha256Hex('secret:a'), bytes: 8 } },
      { name: 'u', password: { $secret: { path: 'a' } } },
      { name: 'v', password_hash: { $secret: { path: 'a' } } },
      { path: '/etc/d', prefix: 'p=', line: { $join: ['p=', { $secret: { path: 'a' } }] } },
    ],
  );
  assert.deepEqual(
    [...(crate?.vars ?? [])].map(([name, { value }]) => [name, value]),
    [
      ['p', { $secret: { path: 'a' } }],
      ['q', 'secret:b'],
    ],
  );
});

for (const [what, resource, code] of [
  ['in a command', 'exec: { command: "x ${secret:a}", unless: "true" }', 'misplaced_secret'],
  ['in an argument', 'exec: { command: [x, "secret:a"], unless: "true" }', 'misplaced_secret'],
  ['in a guard', 'exec: { command: x, unless: "secret:a" }', 'misplaced_secret'],
  [
    'in an environment',
    'cron: { name: x, schedule: "@daily", command: x, environment: { A: "secret:a" } }',
    'misplaced_secret',
  ],
  ['in a path', 'file: { path: "/${secret:a}", content: x }', 'misplaced_secret'],
  ['in an owner', 'file: { path: /a, content: x, owner: "secret:a" }', 'misplaced_secret'],
  ['with a mode for everybody', 'file: { path: /a, content: "secret:a", mode: "0644" }', 'misplaced_secret'],
  ['where it would name the resource', 'line: { path: /a, line: "secret:a" }', 'misplaced_secret'],
  ['in place of which there is plain text', 'user: { name: a, password: plain-text }', 'misplaced_secret'],
  ['that is none', 'file: { path: /a, content: "secret:A b" }', 'bad_secret'],
  ['that is not closed', 'file: { path: /a, content: "x ${secret:a" }', 'bad_secret'],
  ['as a forged marker', 'file: { path: /a, content: { $secret: { path: a } } }', 'bad_value'],
  ['as a forged marker in text', 'line: { path: /a, prefix: x, line: { $join: [x] } }', 'bad_value'],
] as const) {
  test(`a secret ${what} is an error at its place`, async (t) => {
    const { problems } = await load(t, one(resource));
    assert.ok(
      problems.some((problem) => problem.code === code && problem.line === 3),
      JSON.stringify(problems),
    );
  });
}

/** As a stranger with an operator's key would make it, past every check of the command. */
async function publishByHand(
  desired: { readonly [name: string]: Json },
  type = 'file',
  secrets: readonly string[] = ['a'],
) {
  const set = setUp();
  const resource = { type, id: '/etc/a', desired } as CrateResource;
  const crate = utf8(canonicalize({ v: 1, crate: 'app', resources: [resource as unknown as Json] }));
  await set.blobs.put(crate);
  const manifest = manifestBytes({
    bindings: [{ match: { name: '*' }, crates: ['app'] }],
    crates: [{ name: 'app', sha256: sha256Hex(crate), blobs: [] }],
  });
  const provider = createMemorySecrets(Object.fromEntries(secrets.map((path) => [path, 'a value'])));
  return {
    set,
    provider,
    publish: () => publishRelease({ ...set.deps, secrets: provider }, set.request(manifest)),
    manifest,
  };
}

test('the server refuses what the command would, in a release that was made by hand', async () => {
  const marker = { $secret: { path: 'a' } };
  const good = await publishByHand({ path: '/etc/a', content: marker, mode: '0600' });
  assert.equal((await good.publish()).number, 1);
  for (const [desired, type] of [
    [{ path: '/etc/a', content: marker, mode: '0644' }, 'file'],
    [{ path: marker, content: marker }, 'file'],
    [{ command: { $join: ['echo ', marker] }, unless: 'true' }, 'exec'],
    [{ command: 'x', environment: { A: marker } }, 'exec'],
    [{ path: '/etc/a', content: { $secret: { path: '../a' } } }, 'file'],
    [{ path: '/etc/a', content: { $secret: { path: 'a' }, sha256: 'x' } }, 'file'],
    [{ name: 'x', anything: marker }, 'unheard-of'],
  ] as const) {
    await assert.rejects(
      (await publishByHand(desired as never, type)).publish(),
      policyError('malformed'),
      JSON.stringify(desired),
    );
  }
});

test('a secret that does not exist, and a provider that does not answer, are each refused by their name and recorded', async () => {
  const desired = { path: '/etc/a', content: { $secret: { path: 'not/there' } } };
  const unknown = await publishByHand(desired);
  await assert.rejects(
    unknown.publish(),
    (error) => policyError('unknown_secret')(error) && /secret:not\/there/.test((error as Error).message),
  );
  assert.deepEqual(
    unknown.set.audit.of('policy.refuse').map(({ detail }) => detail),
    [{ reason: 'unknown_secret' }],
  );
  const away = await publishByHand(desired);
  away.provider.reachable = false;
  await assert.rejects(away.publish(), policyError('secrets_unavailable'));
  await assert.rejects(
    publishRelease(away.set.deps, away.set.request(away.manifest)),
    policyError('secrets_unavailable'),
  );
  // Nobody is asked where nothing is needed.
  const plain = setUp();
  await plain.blobs.put(formatCrate({ crate: 'app', resources: [] }));
  const digest = sha256Hex(formatCrate({ crate: 'app', resources: [] }));
  const manifest = manifestBytes({
    bindings: [{ match: { name: '*' }, crates: ['app'] }],
    crates: [{ name: 'app', sha256: digest, blobs: [] }],
  });
  assert.equal((await publishRelease({ ...plain.deps, secrets: away.provider }, plain.request(manifest))).number, 1);
});
