/**
 * R50: the server's tables and blobs in an attacker's hands. The gateway is the real one and serves what the attacker
 * wrote; the agent is the real one, and nothing that its operators did not sign gets onto the machine.
 */
import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { RunView } from '../../functions/admin/routes/runs.ts';
import { sha256Hex } from '../../lib/crypto/digest.ts';
import { generateEd25519 } from '../../lib/crypto/ed25519.ts';
import { fromUtf8, utf8 } from '../../lib/crypto/encoding.ts';
import { canonicalize, type Json } from '../../lib/crypto/jcs.ts';
import { parseSshPrivateKey, sshPublicKeyOf } from '../../lib/crypto/ssh-key.ts';
import { signSshSignature } from '../../lib/crypto/sshsig.ts';
import type { PolicyErrorCode } from '../../lib/policy/errors.ts';
import { openSqliteStore } from '../../lib/store/sqlite.ts';
import { converge, startFleet, type TestFleet } from './fleet.ts';

const motd = (root: string, text: string) =>
  `  - file:\n      path: ${join(root, 'motd')}\n      content: ${JSON.stringify(text)}\n      mode: "0640"\n`;

type Stored = { readonly manifest: Uint8Array; readonly signatures: readonly string[] };
type Attack = (fleet: TestFleet, stored: { readonly first: Stored; readonly second: Stored }) => Promise<Stored>;

const changed = (manifest: Uint8Array, change: (manifest: { [name: string]: Json }) => void): Uint8Array => {
  const parsed = JSON.parse(fromUtf8(manifest)) as { [name: string]: Json };
  change(parsed);
  return utf8(canonicalize(parsed));
};

async function operatorSigns(fleet: TestFleet, message: Uint8Array): Promise<string> {
  const { privateKey, publicKey } = parseSshPrivateKey(await readFile(fleet.keyFile, 'utf8'));
  return signSshSignature({ message, namespace: 'holdfast-release', privateKey, publicKey });
}

function strangerSigns(message: Uint8Array): string {
  const { privateKey, publicKey } = generateEd25519();
  return signSshSignature({ message, namespace: 'holdfast-release', privateKey, publicKey: sshPublicKeyOf(publicKey) });
}

/** What the attacker offers as release 3, and the agent's own reason for refusing it. */
const attacks: { readonly [name: string]: readonly [PolicyErrorCode, Attack] } = {
  'an altered manifest': [
    'bad_signature',
    async (_fleet, { second }) => ({
      manifest: changed(second.manifest, (manifest) => {
        manifest['number'] = 3;
        manifest['bindings'] = [];
      }),
      signatures: second.signatures,
    }),
  ],
  'the release before': ['rollback', async (_fleet, { first }) => first],
  'no signature': ['unsigned', async (_fleet, { second }) => ({ manifest: second.manifest, signatures: [] })],
  'the signature of a stranger': [
    'unknown_signer',
    async (_fleet, { second }) => {
      const manifest = changed(second.manifest, (next) => {
        next['number'] = 3;
      });
      return { manifest, signatures: [strangerSigns(manifest)] };
    },
  ],
  'a signature for another purpose': [
    'wrong_namespace',
    async (fleet, { second }) => {
      const manifest = changed(second.manifest, (next) => {
        next['number'] = 3;
        next['bindings'] = [];
      });
      const { privateKey, publicKey } = parseSshPrivateKey(await readFile(fleet.keyFile, 'utf8'));
      return {
        manifest,
        signatures: [signSshSignature({ message: manifest, namespace: 'git', privateKey, publicKey })],
      };
    },
  ],
  'other bytes under the number that is held': [
    'equivocation',
    async (fleet, { second }) => {
      const manifest = changed(second.manifest, (next) => {
        next['bindings'] = [];
      });
      return { manifest, signatures: [await operatorSigns(fleet, manifest)] };
    },
  ],
  'a release that has expired': [
    'expired',
    async (fleet, { second }) => {
      const manifest = changed(second.manifest, (next) => {
        next['number'] = 3;
        next['previous'] = sha256Hex(second.manifest);
        next['created'] = '2020-01-01T00:00:00.000Z';
        next['expires'] = '2020-02-01T00:00:00.000Z';
      });
      return { manifest, signatures: [await operatorSigns(fleet, manifest)] };
    },
  ],
  'a release of another fleet': [
    'wrong_fleet',
    async (fleet, { second }) => {
      const manifest = changed(second.manifest, (next) => {
        next['fleet'] = 'other';
        next['number'] = 3;
      });
      return { manifest, signatures: [await operatorSigns(fleet, manifest)] };
    },
  ],
};

/** Writes to the server's database as whoever owns the disk would. */
async function overwrite(fleet: TestFleet, offered: Stored): Promise<void> {
  const digest = sha256Hex(offered.manifest);
  const store = openSqliteStore(fleet.server.paths.store);
  try {
    const held = await store.get({ pk: 'release', sk: '0000000002' });
    assert.ok(held);
    const outcome = await store.transact([
      { kind: 'put', item: { ...held, sk: '0000000003', number: 3, digest, ...offered } },
      { kind: 'put', item: { pk: 'release', sk: 'current', number: 3, digest } },
    ]);
    assert.ok(outcome.ok);
  } finally {
    await store.close();
  }
}

async function stored(fleet: TestFleet, sk: string): Promise<Stored> {
  const store = openSqliteStore(fleet.server.paths.store);
  try {
    const item = await store.get({ pk: 'release', sk });
    assert.ok(item);
    return { manifest: item['manifest'] as Uint8Array, signatures: item['signatures'] as string[] };
  } finally {
    await store.close();
  }
}

async function twoReleases(t: TestContext) {
  const fleet = await startFleet(t);
  await fleet.publish(motd(fleet.root, 'one\n'));
  const node = await fleet.join('web-1');
  await converge(node.agent);
  await fleet.publish(motd(fleet.root, 'two\n'));
  await converge(node.agent);
  const path = join(fleet.root, 'motd');
  assert.equal(await readFile(path, 'utf8'), 'two\n');
  return { fleet, node, path };
}

test('R50 whatever the control plane offers, only what the operators signed next is followed', async (t) => {
  const { fleet, node, path } = await twoReleases(t);
  const releases = { first: await stored(fleet, '0000000001'), second: await stored(fleet, '0000000002') };

  for (const [name, [reason, attack]] of Object.entries(attacks)) {
    await t.test(name, async (t) => {
      await overwrite(fleet, await attack(fleet, releases));
      // The gateway hears of the new release through the change feed.
      await t.waitFor(
        async () => {
          const { once, results } = await converge(node.agent);
          assert.deepEqual([once.release, ...Object.values(results)], ['refused', 'unchanged']);
          const { items } = await fleet.client.get<{ items: RunView[] }>(`/v1/nodes/${node.uuid}/runs`);
          const refusal = items.find((run) => run.error?.startsWith('a release was refused'));
          assert.ok(refusal?.error?.startsWith(`a release was refused: ${reason}:`), refusal?.error);
        },
        { timeout: 20_000, interval: 50 },
      );
      assert.equal(await readFile(path, 'utf8'), 'two\n');
    });
  }
});

test('R50 swapped trust root and altered blobs: a joined agent keeps the root it pinned', async (t) => {
  const { fleet, node, path } = await twoReleases(t);
  // A server that now names the attacker as the operator, to everybody who asks.
  const descriptor = JSON.parse(await readFile(fleet.server.paths.fleet, 'utf8'));
  const second = await stored(fleet, '0000000002');
  const manifest = changed(second.manifest, (next) => {
    next['number'] = 3;
    next['previous'] = sha256Hex(second.manifest);
  });
  await writeFile(fleet.server.paths.fleet, canonicalize({ ...descriptor, operators: { threshold: 1, keys: [] } }));
  await overwrite(fleet, { manifest, signatures: [strangerSigns(manifest)] });
  for (const entry of await readdir(fleet.server.paths.blobs, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) await writeFile(join(entry.parentPath, entry.name), 'owned\n');
  }
  await t.waitFor(
    async () => {
      const { once, results } = await converge(node.agent);
      assert.equal(once.release, 'refused');
      assert.deepEqual(Object.values(results), ['unchanged']);
    },
    { timeout: 20_000, interval: 50 },
  );
  assert.equal(await readFile(path, 'utf8'), 'two\n');
});

test('R50 a blob that was altered in the store never reaches the machine', async (t) => {
  const { fleet, node, path } = await twoReleases(t);
  await fleet.publish(motd(fleet.root, 'three\n'));
  for (const entry of await readdir(fleet.server.paths.blobs, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) await writeFile(join(entry.parentPath, entry.name), 'owned\n');
  }
  const { once } = await converge(node.agent);
  assert.equal(once.release, 'refused');
  assert.equal(await readFile(path, 'utf8'), 'two\n');
});
