/** The one file: reproducible, deaf to NODE_OPTIONS, and the whole loop on a machine without Node. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { sha256Hex } from '../../lib/crypto/digest.ts';
import { startFleet } from '../e2e/fleet.ts';
import { agentBuild, cache, project } from './builds.ts';
import { installAt } from './machine.ts';

test('R34 two builds on different paths give the same digest', () => {
  const first = agentBuild('1.0.0');
  const elsewhere = join(cache, 'a/rather/longer/path/than/the/first');
  execFileSync('mkdir', ['-p', elsewhere]);
  // Links, not copies: the bytes are the same, the path is not.
  for (const part of ['agent', 'build', 'gate', 'lib', 'node_modules', 'package.json', 'tsconfig.json']) {
    execFileSync('cp', ['-al', join(project, part), elsewhere]);
  }
  const second = agentBuild('1.0.0', 'good', { from: elsewhere, out: join(elsewhere, 'out') });
  assert.equal(sha256Hex(readFileSync(second.program)), sha256Hex(readFileSync(first.program)));
  rmSync(elsewhere, { recursive: true });
});

test('neither NODE_OPTIONS nor Node’s own flags get into it, and it holds no path of the machine that built it', (t) => {
  const { program } = agentBuild('1.0.0');
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-binary-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const injected = join(directory, 'injected.cjs');
  writeFileSync(injected, `require('node:fs').writeFileSync(${JSON.stringify(join(directory, 'was-here'))}, '');`);
  const env = { PATH: '/nonexistent', NODE_OPTIONS: `--require ${injected}` };
  assert.equal(spawnSync(program, ['--version'], { encoding: 'utf8', env }).stdout, '1.0.0\n');
  spawnSync(program, ['--require', injected, '--version'], { encoding: 'utf8', env: {} });
  assert.throws(() => statSync(join(directory, 'was-here')));
  assert.equal(readFileSync(program).includes(project), false);
});

test('R33 R34 altered, cut off, without its manifest, with another’s: 78, and nothing is made or opened', (t) => {
  const build = agentBuild('1.0.0');
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-binary-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const good = readFileSync(build.program);
  const note = readFileSync(build.manifest, 'utf8');
  const program = join(directory, 'holdfast-agent');
  const state = join(directory, 'state');
  const run = (bytes: Uint8Array, manifest: string | undefined) => {
    rmSync(program, { force: true });
    rmSync(`${program}.manifest`, { force: true });
    writeFileSync(program, bytes, { mode: 0o755 });
    if (manifest !== undefined) writeFileSync(`${program}.manifest`, manifest);
    const args = ['run', '--once', '--state', state];
    const { status, stderr } = spawnSync(program, args, { encoding: 'utf8', env: { PATH: '/nonexistent' } });
    return { status, code: /^HOLDFAST_GATE_([A-Z_]+):/.exec(stderr)?.[1] };
  };
  const flipped = (at: number) => {
    const bytes = Buffer.from(good);
    bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
    return bytes;
  };
  // A text of Node that nothing of ours needs, a rule of the guardrails, the last byte of all.
  const places = [good.indexOf('Welcome to Node.js'), good.lastIndexOf('Recursive removal'), good.length - 1];
  for (const at of places) {
    assert.ok(at > 0);
    assert.deepEqual(run(flipped(at), note), { status: 78, code: 'FILE_ALTERED' }, `byte ${at}`);
  }
  assert.deepEqual(run(Buffer.concat([good, Buffer.from('x')]), note), { status: 78, code: 'FILE_ALTERED' });
  assert.deepEqual(run(good, undefined), { status: 78, code: 'MISSING' });
  assert.deepEqual(run(good, ''), { status: 78, code: 'MALFORMED' });
  assert.deepEqual(run(good, note.replace('linux-x64', 'linux-x65')), { status: 78, code: 'ALTERED' });
  const other = readFileSync(agentBuild('1.1.0').manifest, 'utf8');
  assert.deepEqual(run(good, other), { status: 78, code: 'WRONG_ARTIFACT' });
  const { status } = run(good, note);
  assert.equal(status, 78, 'not joined: the gate is passed, and the agent itself says so');
  assert.equal(run(good, note).code, undefined);
  assert.throws(() => statSync(state));
});

test('joins, converges, repairs drift and reports, without Node on the machine', async (t) => {
  const fleet = await startFleet(t);
  const machine = installAt(t, fleet.directory, agentBuild('1.0.0'));
  const path = join(fleet.root, 'motd');
  // The exec resource has its command read, by what is inside the file.
  await fleet.publish(
    `  - file: { path: ${path}, content: "held fast\\n", mode: "0644" }\n` +
      `  - exec: { command: "echo done > ${fleet.root}/done", creates: ${fleet.root}/done }\n`,
  );
  const { token } = await fleet.token();
  const joined = await machine.run('join', '--server', fleet.server.url, '--token', token, '--state', machine.state);
  assert.equal(joined.status, 0, joined.stderr);
  const first = await machine.run('run', '--once', '--state', machine.state);
  assert.equal(first.status, 0, first.stdout + first.stderr);
  assert.equal(readFileSync(path, 'utf8'), 'held fast\n');
  assert.equal(readFileSync(join(fleet.root, 'done'), 'utf8'), 'done\n');
  writeFileSync(path, 'edited\n');
  const second = await machine.run('run', '--once', '--state', machine.state);
  assert.equal(second.status, 0, second.stderr);
  assert.equal(readFileSync(path, 'utf8'), 'held fast\n');
  const { items } = await fleet.client.get<{ items: readonly { agentVersion?: string }[] }>('/v1/nodes');
  assert.deepEqual(
    items.map(({ agentVersion }) => agentVersion),
    ['1.0.0'],
  );
  const status = await machine.run('status', '--json', '--state', machine.state);
  assert.equal(JSON.parse(status.stdout).release.number, 1);
});
