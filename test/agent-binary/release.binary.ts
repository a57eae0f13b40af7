/** The one file as `npm run release` makes it, beside the one of `npm run build:agent`: neither takes what the other's keys sign. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { EntryView } from '../../functions/admin/routes/audit.ts';
import { formatKeys, parseKeys } from '../../lib/artifacts/keys.ts';
import { verifyManifest } from '../../lib/artifacts/verify.ts';
import { generateEd25519, privateKeyToPem } from '../../lib/crypto/ed25519.ts';
import { formatVerifierKey } from '../../lib/crypto/note.ts';
import { startFleet } from '../e2e/fleet.ts';
import { type BuiltAgent, cache, project } from './builds.ts';
import { holdfast, installAt, ringOf, until } from './machine.ts';

const expected = { kind: 'agent', name: 'holdfast-agent', platform: 'linux-x64' } as const;

/** Two of two keys sign, and that of the list before; made the first time that it is asked for. */
function release(): { readonly out: string; readonly before: string; readonly build: BuiltAgent } {
  const directory = join(cache, 'release');
  const before = join(directory, 'keys-before');
  const out = join(directory, 'out');
  if (mkdirSync(directory, { recursive: true }) !== undefined) {
    const pairs = ['a', 'b', 'before'].map((name) => ({ name: `release-${name}`, ...generateEd25519() }));
    const [a = '', b = '', old = ''] = pairs.map(({ name, publicKey }) => formatVerifierKey(name, publicKey));
    writeFileSync(join(directory, 'keys'), formatKeys({ number: 2, threshold: 2, keys: [a, b] }));
    writeFileSync(before, formatKeys({ number: 1, threshold: 1, keys: [old] }));
    const args = pairs.flatMap(({ name, privateKey }) => {
      const path = join(directory, name);
      writeFileSync(path, privateKeyToPem(privateKey), { mode: 0o600 });
      return ['--key', path];
    });
    const lists = ['--keys', join(directory, 'keys'), '--previous-keys', before];
    run('build/release.ts', ...lists, ...args, '--out', out, '--version', '1.1.0');
  }
  return {
    out,
    before,
    build: agentIn(join(out, 'holdfast-agent-one-file-linux-x64'), join(out, 'artifact-keys'), '1.1.0'),
  };
}

/** With the key that the checkout's own builds are signed with. */
function development(version: string): BuiltAgent {
  const out = join(cache, `development-${version}`);
  if (mkdirSync(out, { recursive: true }) !== undefined) run('build/agent.ts', '--out', out, '--version', version);
  return agentIn(out, join(out, 'artifact-keys'), version);
}

function agentIn(directory: string, keys: string, version: string): BuiltAgent {
  const program = join(directory, 'holdfast-agent');
  return { program, manifest: `${program}.manifest`, keys, version };
}

function run(script: string, ...args: string[]): void {
  const { status, stderr } = spawnSync(process.execPath, [join(project, script), ...args], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${script} failed: ${stderr}`);
}

test('R33 R37 a release holds the one file of this platform, with the release’s keys in it and their signatures beside it', (t) => {
  const { out, before, build } = release();
  const keys = readFileSync(build.keys, 'utf8');
  const note = readFileSync(build.manifest);
  assert.equal(verifyManifest(note, parseKeys(keys), expected, Date.now()).version, '1.1.0');
  // Agents of the list before take it too; and from it on, the new list.
  assert.equal(verifyManifest(note, parseKeys(readFileSync(before, 'utf8')), expected, Date.now()).version, '1.1.0');
  assert.equal(parseKeys(keys).number, 2);
  assert.ok(
    readFileSync(build.program).includes(keys.split('\n')[3] ?? ''),
    'the first key of the list is compiled in',
  );
  const sums = readFileSync(join(out, 'SHA256SUMS'), 'utf8');
  for (const name of ['holdfast-agent-one-file-linux-x64-1.1.0.tar.gz', 'holdfast-agent_1.1.0_amd64.deb'])
    assert.ok(sums.includes(name), name);
  const checked = spawnSync('sha256sum', ['-c', '--quiet', 'SHA256SUMS'], { cwd: out, encoding: 'utf8' });
  assert.equal(checked.status, 0, checked.stdout);
  assert.equal(start(t, build.program, note).stdout, '1.1.0\n');
  // One signature of two is too few, and the development key is none of them.
  const [text, signatures = ''] = note.toString('utf8').split('\n\n');
  const one = `${text}\n\n${signatures.split('\n')[0]}\n`;
  assert.match(start(t, build.program, one).stderr, /^HOLDFAST_GATE_TOO_FEW_SIGNERS:/);
  const own = development('1.2.0');
  assert.match(start(t, build.program, readFileSync(own.manifest)).stderr, /^HOLDFAST_GATE_WRONG_KEY:/);
  assert.match(start(t, own.program, note).stderr, /^HOLDFAST_GATE_WRONG_KEY:/);
});

test('R37 an agent of the development key refuses an update that the release signed', (t) =>
  refuses(t, { runs: development('1.0.0'), offered: release().build }));

test('R37 an agent of the release refuses an update that the development key signed', (t) =>
  refuses(t, { runs: release().build, offered: development('1.2.0') }));

/** The control plane trusts the keys of what it offers; the node has its own, compiled in. */
async function refuses(t: TestContext, { runs, offered }: { runs: BuiltAgent; offered: BuiltAgent }): Promise<void> {
  const fleet = await startFleet(t);
  const machine = installAt(t, fleet.directory, runs);
  const { token } = await fleet.token();
  const joined = await machine.run('join', '--server', fleet.server.url, '--token', token, '--state', machine.state);
  assert.equal(joined.status, 0, joined.stderr);
  await holdfast(fleet, 'artifact', 'trust', offered.keys);
  await assert.rejects(
    holdfast(fleet, 'artifact', 'publish', runs.program, '--manifest', runs.manifest),
    /wrong_key|signed by/,
  );
  await holdfast(fleet, 'artifact', 'publish', offered.program, '--manifest', offered.manifest);
  await holdfast(fleet, 'artifact', 'rollout', offered.version, '--ring', 'all');
  const service = machine.start();
  await until('the refusal', machine, async () => (await ringOf(fleet, 'all'))?.failed === 1);
  let said: unknown[] = [];
  await until('its entry', machine, async () => {
    const listed = JSON.parse(await holdfast(fleet, 'audit', 'list', '--type', 'node.update', '--json')) as EntryView[];
    said = listed.map(({ entry }) => [entry.outcome, entry.detail['result'], entry.detail['reason']]);
    return said.length > 0;
  });
  assert.deepEqual(said, [['failure', 'refused', 'wrong_key']]);
  assert.equal(machine.updateState(), undefined, 'nothing was staged');
  assert.equal(service.exitCode, null);
  await machine.stop();
}

function start(t: TestContext, program: string, note: string | Uint8Array) {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-binary-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  copyFileSync(program, join(directory, 'holdfast-agent'));
  writeFileSync(join(directory, 'holdfast-agent.manifest'), note);
  const options = { encoding: 'utf8', env: { PATH: '/nonexistent' } } as const;
  return spawnSync(join(directory, 'holdfast-agent'), ['--version'], options);
}
