/** Incidents of checks that never ran, and of builds that anybody could change. */
import assert from 'node:assert/strict';
import { copyFileSync, cpSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openAgent } from '../../agent/compose.ts';
import { runOnce } from '../../agent/run-once.ts';
import { firstDifference } from '../../build/compare.ts';
import { filesOf, signByAll } from '../../build/manifest.ts';
import { startStandalone } from '../../functions/standalone/compose.ts';
import { verifyProgram } from '../../gate/verify.ts';
import { formatKeys } from '../../lib/artifacts/keys.ts';
import { type ArtifactManifest, formatManifest } from '../../lib/artifacts/manifest.ts';
import { parseVersion } from '../../lib/artifacts/version.ts';
import { generateEd25519 } from '../../lib/crypto/ed25519.ts';
import { formatSshPublicKey, sshPublicKeyOf } from '../../lib/crypto/ssh-key.ts';
import { quiet, startFleet } from '../e2e/fleet.ts';
import { createArtifactSigner } from '../fakes/artifacts.ts';

/** Copies of private directories are private. */
process.umask(0o077);

/** What is done to each file in turn; `swapped` is the same file of another, perfectly good installation. */
const mutations = ['removed', 'cut', 'swapped'] as const;

function mutate(how: (typeof mutations)[number], file: string, other: string): void {
  if (how === 'removed') rmSync(file);
  else if (how === 'cut') truncateSync(file, readFileSync(file).length >> 1);
  else copyFileSync(other, file);
}

function scratch(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-trust-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

async function founded(state: string): Promise<void> {
  const operatorKeys = [formatSshPublicKey(sshPublicKeyOf(generateEd25519().publicKey))];
  const founding = { name: 'test', operatorKeys, threshold: 1 };
  const server = await startStandalone({ stateDirectory: state, version: '0.0.0', logger: quiet, founding });
  await server.close();
}

test('incident 46: Salt #55523: a server with any of its trust inputs removed, cut or swapped does not start', async (t) => {
  const base = scratch(t);
  const [own, other] = [join(base, 'own'), join(base, 'other')];
  await founded(own);
  await founded(other);
  const copy = join(base, 'copy');
  const inputs = ['fleet.json', 'keys/master.key', 'keys/fleet-ca.key', 'keys/audit-log.key'];
  const start = async () => {
    // With what founding needs, so that nothing is refused for the lack of it.
    const operatorKeys = [formatSshPublicKey(sshPublicKeyOf(generateEd25519().publicKey))];
    const founding = { name: 'test', operatorKeys, threshold: 1 };
    const server = await startStandalone({ stateDirectory: copy, version: '0.0.0', logger: quiet, founding });
    await server.close();
  };
  cpSync(own, copy, { recursive: true });
  await start();
  for (const input of inputs) {
    for (const how of mutations) {
      rmSync(copy, { recursive: true });
      cpSync(own, copy, { recursive: true });
      mutate(how, join(copy, input), join(other, input));
      await assert.rejects(start(), `${input} ${how}`);
    }
  }
});

test('incident 46: Salt #55523: an agent with any of its trust inputs removed, cut or swapped does not run policy from the wire', async (t) => {
  const [own, other] = [await startFleet(t), await startFleet(t)];
  const crate = (fleet: typeof own) => `  - file: { path: ${JSON.stringify(join(fleet.root, 'a'))}, content: x }\n`;
  await own.publish(crate(own));
  const [node, stranger] = [await own.join('node'), await other.join('node')];
  const base = scratch(t);
  const copy = join(base, 'copy');
  const run = async () => {
    const agent = await openAgent({ stateDirectory: copy, agentVersion: '0.0.0', logger: quiet });
    const { isOnline, release } = await runOnce(agent, {
      dryRun: true,
      stop: new AbortController().signal,
      onOutcome: () => undefined,
    });
    assert.ok(isOnline && release !== 'refused', 'refused');
  };
  cpSync(node.state, copy, { recursive: true });
  await run();
  // Its TLS key and certificate are not among them: whatever they are, the identity key gets new ones from the service.
  const inputs = ['fleet.json', 'identity.pem'];
  for (const input of inputs) {
    for (const how of mutations) {
      rmSync(copy, { recursive: true });
      cpSync(node.state, copy, { recursive: true });
      mutate(how, join(copy, input), join(stranger.state, input));
      await assert.rejects(run(), `${input} ${how}`);
    }
  }
  // The operators' keys alone: everything else in the descriptor stays.
  const [mine, theirs] = [node.state, stranger.state].map((state) =>
    JSON.parse(readFileSync(join(state, 'fleet.json'), 'utf8')),
  );
  rmSync(copy, { recursive: true });
  cpSync(node.state, copy, { recursive: true });
  writeFileSync(join(copy, 'fleet.json'), JSON.stringify({ ...mine, operators: theirs.operators }));
  await assert.rejects(run(), 'the operators of another fleet');
});

test('incident 47: Teleport CVE-2021-41394: a build that was changed after it was signed is not loaded, a rebuild that differs is named', async (t) => {
  const directory = scratch(t);
  const signer = createArtifactSigner('release-a');
  const keys = formatKeys({ number: 1, threshold: 1, keys: [signer.key] });
  const config = {
    kind: 'server',
    name: 'holdfast-server',
    keys,
    program: 'programs/a.mjs',
    ownProcess: true,
  } as const;
  writeFileSync(join(directory, 'a.mjs'), 'export {};');
  const manifest: ArtifactManifest = {
    ...{ kind: 'server', name: 'holdfast-server', version: parseVersion('1.0.0'), platform: 'any' },
    notAfter: Date.parse('2099-01-01T00:00:00Z'),
    files: filesOf(directory),
  };
  writeFileSync(join(directory, 'manifest.note'), await signByAll(formatManifest(manifest), [signer]));
  assert.equal(verifyProgram(config, directory, Date.now(), []).version, '1.0.0');
  writeFileSync(join(directory, 'a.mjs'), 'evil();   ');
  assert.throws(() => verifyProgram(config, directory, Date.now(), []), { code: 'file_altered', file: 'a.mjs' });
  assert.equal(firstDifference(manifest, manifest), undefined);
  assert.equal(
    firstDifference(manifest, { ...manifest, files: filesOf(directory).filter(({ path }) => path === 'a.mjs') }),
    'a.mjs',
  );
});
