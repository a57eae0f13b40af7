import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fromUtf8 } from '../lib/crypto/encoding.ts';
import type { CrateResource, Manifest } from '../lib/policy/model.ts';
import { verifyRelease } from '../lib/policy/verify.ts';
import { createAgentFleet, facts, node } from '../test/fakes/agent.ts';
import { createOperator, policyError } from '../test/fakes/policy.ts';
import { prepareResources } from './resources.ts';

type Change = Parameters<ReturnType<typeof createAgentFleet>['publish']>;

async function prepare(
  make: (put: (text: string) => { sha256: string; bytes: number }) => CrateResource[],
  ...rest: Change extends [unknown, ...infer R] ? R : never
) {
  const fleet = createAgentFleet();
  const { manifest, signatures } = fleet.publish(
    make((text) => fleet.put(Buffer.from(text))),
    ...rest,
  );
  const release = verifyRelease({ manifest, signatures, trust: fleet.trust, now: fleet.now() });
  let asked = 0;
  const prepared = await prepareResources(release, {
    node,
    blob: fleet.download,
    facts: async () => {
      asked += 1;
      return facts;
    },
  });
  return { ...prepared, asked };
}

const file = (path: string, more: Partial<CrateResource>): CrateResource => ({
  type: 'file',
  id: path,
  desired: { path },
  ...more,
});
const note = (when: string, more: Partial<CrateResource> = {}): CrateResource => ({
  type: 'exec',
  id: when,
  desired: { name: when },
  when,
  ...more,
});

describe('resources of a release, on a node', () => {
  test('R17 a condition holds, doesn’t, or fails with its reason; it is never taken for held', async () => {
    const { resources } = await prepare(
      () => [
        note('facts.os.family == "debian" && node.labels.role == "web"'),
        note('facts.os.family == "rhel"'),
        note('facts.memory.bytes > 1'),
        note('vars.workers'),
        note('nonsense('),
        note('item.n == 2', { item: { n: 2 } }),
      ],
      {},
      { vars: { workers: 4 } },
    );
    assert.deepEqual(
      resources.map(({ decided }) => decided && `${decided.result}: ${decided.reason}`),
      [
        undefined,
        'skipped: not when facts.os.family == "rhel"',
        'failed: when: No such key: memory',
        'failed: when: gives a value other than true or false',
        'failed: when: Unexpected token: EOF',
        undefined,
      ],
    );
  });

  test('a template is rendered with vars, facts and the node; the bytes are what the file is compared with', async () => {
    const change: Partial<Manifest> = {
      vars: { workers: 6, port: 1 },
      bindings: [
        { match: { name: '*' }, crates: ['base'], vars: { workers: 8 } },
        { match: { labels: { role: 'db' } }, crates: [], vars: { workers: 16 } },
      ],
    };
    const { resources, blob } = await prepare(
      (put) => [
        file('/etc/a', {
          template: put('w={{ vars.workers }} c={{ facts.cpu.count }} n={{ node.name }} i={{ item }}\n'),
          item: 'x',
        }),
      ],
      change,
      { vars: { workers: 2 } },
    );
    const [resource] = resources;
    assert.ok(resource);
    const { content } = resource.desired as { content: { sha256: string; bytes: number } };
    const bytes = await blob(content.sha256);
    assert.equal(fromUtf8(bytes), 'w=8 c=4 n=web-1 i=x\n');
    assert.equal(bytes.length, content.bytes);
  });

  test('a template that can’t be rendered fails its resource, with the place, and gives no content', async () => {
    const { resources } = await prepare((put) => [file('/etc/a', { template: put('ok\n{{ facts.memory.bytes }}') })]);
    assert.deepEqual(resources[0]?.decided, {
      result: 'failed',
      reason: 'template, line 2, column 4: undefined variable: facts.memory',
    });
    assert.deepEqual(resources[0]?.desired, { path: '/etc/a' });
  });

  test('a template of what is not meant for this node is not rendered', async () => {
    const { resources } = await prepare((put) => [
      file('/etc/a', { template: put('{{ facts.nope }}'), when: 'false' }),
    ]);
    assert.equal(resources[0]?.decided?.result, 'skipped');
  });

  test('a var without a value of its type fails what could depend on it, and nothing else', async () => {
    const { resources } = await prepare(
      () => [note('vars.n == 1'), { type: 'exec', id: 'plain', desired: { name: 'plain' } }],
      { vars: { n: 'text' } },
      { vars: { n: 1 }, inputs: { domain: 'text' } },
    );
    assert.match(
      resources[0]?.decided?.reason ?? '',
      /no value of the right type for these vars of crate base: n, domain/,
    );
    assert.equal(resources[1]?.decided, undefined);
  });

  test('facts are not collected for a release that does not ask for them', async () => {
    const plain = await prepare(() => [{ type: 'exec', id: 'a', desired: { name: 'a' } }]);
    assert.equal(plain.asked, 0);
  });

  test('an altered crate name is refused', async () => {
    const fleet = createAgentFleet();
    const { manifest, signatures } = fleet.publish([]);
    const release = verifyRelease({ manifest, signatures, trust: fleet.trust, now: fleet.now() });
    const [crate] = release.manifest.crates;
    const renamed = {
      ...release,
      manifest: {
        ...release.manifest,
        bindings: [{ match: { name: '*' }, crates: ['other'] }],
        crates: [{ ...crate, name: 'other' } as NonNullable<typeof crate>],
      },
    };
    const deps = { node, blob: fleet.download, facts: async () => facts };
    await assert.rejects(prepareResources(renamed, deps), policyError('malformed'));
  });
});

test('R42 what is accepted reaches the guard only in a release that two operators signed', async () => {
  const fleet = createAgentFleet();
  const second = createOperator();
  const trust = { ...fleet.trust, operators: { threshold: 1, keys: [fleet.operator.line, second.line] } };
  const accepts = { G0602: 'settings of the vendor' };
  const { manifest, signatures } = fleet.publish([{ type: 'exec', id: 'x', desired: {}, accepts }]);
  const acceptedWith = async (signed: readonly string[]) => {
    const release = verifyRelease({ manifest, signatures: signed, trust, now: fleet.now() });
    const { resources } = await prepareResources(release, { node, blob: fleet.download, facts: async () => facts });
    return resources[0]?.accepted;
  };
  assert.equal(await acceptedWith(signatures), undefined);
  assert.deepEqual(await acceptedWith([...signatures, second.sign(manifest)]), ['G0602']);
});
