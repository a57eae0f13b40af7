/** R35–R36 by the real thing: a library that is preloaded, a debugger that attaches. One entry each, and the service goes on. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { EntryView } from '../../functions/admin/routes/audit.ts';
import { generateEd25519 } from '../../lib/crypto/ed25519.ts';
import { formatSshPublicKey, sshPublicKeyOf } from '../../lib/crypto/ssh-key.ts';
import { startFleet } from '../e2e/fleet.ts';
import { ownBuild } from './build.ts';

const cli = fileURLToPath(new URL('../../cli/holdfast.mjs', import.meta.url));
/** Servers look each minute. */
const withinMs = 100_000;

const missing = (tool: string) =>
  spawnSync(tool, ['--version']).error === undefined ? false : `NOT TESTED: ${tool} is not installed`;

/** A library that runs code of its own in whatever loads it; `code` is C. */
function compile(t: TestContext, code: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-preload-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const [source, library] = [join(directory, 'other.c'), join(directory, 'other.so')];
  const text = `#include <stdlib.h>\n__attribute__((constructor)) static void here(void) { ${code} }\n`;
  writeFileSync(source, text);
  const { status, stderr } = spawnSync('cc', ['-shared', '-fPIC', '-o', library, source], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  return library;
}

/** `holdfast` on that state directory, as local-admin; beside this process, which may be the server. */
function holdfast(state: string, ...args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [cli, '--state', state, ...args], { encoding: 'utf8' }, (error, stdout, stderr) =>
      error ? reject(new Error(stderr)) : resolve(stdout),
    );
  });
}

/** What the log holds about findings: whom each is about, its kind, and what was found. */
async function findingsIn(state: string): Promise<readonly (readonly unknown[])[]> {
  const listed = JSON.parse(await holdfast(state, 'audit', 'list', '--type', 'process.finding', '--json'));
  return (listed as readonly EntryView[]).map(({ entry }) => [
    entry.object.kind,
    entry.detail['kind'],
    entry.detail['what'],
  ]);
}

async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + withinMs;
  while (!(await isSo())) {
    if (Date.now() > end) throw new Error(`never came: ${what}`);
    await sleep(200);
  }
}

/** A control plane in a process of its own, started through its gate. */
async function startServer(t: TestContext, env: NodeJS.ProcessEnv = {}) {
  const { base, build } = await ownBuild(t);
  const key = join(base, 'key.pub');
  writeFileSync(key, formatSshPublicKey(sshPublicKeyOf(generateEd25519().publicKey)));
  const state = join(base, 'state');
  const args = ['--disable-sigusr1', join(build, 'server/holdfast.mjs'), 'up', '--state', state, '--operator-key', key];
  const child = start(t, args, env);
  const answers = async () => {
    const { nodes } = JSON.parse(await holdfast(state, 'status', '--json')) as { nodes: { active: number } };
    assert.equal(nodes.active, 0);
    assert.equal(child.exitCode, null);
  };
  await until('the server', () =>
    answers().then(
      () => true,
      () => child.exitCode !== null,
    ),
  );
  return { state, child, answers };
}

/** A control plane in this process, and an agent of it in another, started through its gate. */
async function startAgent(t: TestContext, env: NodeJS.ProcessEnv = {}) {
  const fleet = await startFleet(t);
  const { build } = await ownBuild(t);
  const { state: nodeState } = await fleet.join('node');
  const loader = join(build, 'agent/holdfast-agent.mjs');
  const child = start(t, ['--disable-sigusr1', loader, 'run', '--state', nodeState], env);
  const path = join(fleet.root, 'motd');
  let round = 0;
  /** It checks in, which is when it looks, and converges. */
  const converges = async () => {
    round += 1;
    await fleet.publish(`  - file: { path: ${path}, content: "${round}\\n" }\n`);
    await until('the release', () => read(path) === `${round}\n`);
    assert.equal(child.exitCode, null);
  };
  await converges();
  return { state: fleet.state, child, converges };
}

function start(t: TestContext, args: readonly string[], env: NodeJS.ProcessEnv): ChildProcess {
  const { PATH } = process.env;
  const child = spawn(process.execPath, args, { env: { PATH, ...env }, stdio: 'ignore' });
  t.after(() => child.kill('SIGKILL'));
  return child;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** Attaches by ptrace. Undefined when the system does not allow it here; a skipped test says so. */
async function attach(t: TestContext, tool: 'gdb' | 'strace', { pid }: ChildProcess) {
  const args = {
    strace: ['-qq', '-e', 'trace=none', '-o', '/dev/null', '-p', String(pid)],
    // Whatever signal comes is the process's own; it runs on.
    gdb: ['-nx', '-q', '-batch', '-iex', 'set debuginfod enabled off', '-p', String(pid)].concat(
      ['handle all nostop noprint pass', 'continue'].flatMap((command) => ['-ex', command]),
    ),
  }[tool];
  const debuggerProcess = spawn(tool, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  debuggerProcess.stderr.on('data', (chunk: Buffer) => {
    said += chunk;
  });
  const gone = new Promise<void>((resolve) => debuggerProcess.once('close', () => resolve()));
  t.after(() => debuggerProcess.kill('SIGKILL'));
  const tracer = () => Number(/^TracerPid:\s+(\d+)$/m.exec(read(`/proc/${pid}/status`) ?? '')?.[1] ?? 0);
  await until('the debugger', () => tracer() === debuggerProcess.pid || debuggerProcess.exitCode !== null);
  if (tracer() === 0) {
    t.skip(`NOT TESTED: ${tool} may not attach here: ${said.trim().split('\n')[0]}`);
    return undefined;
  }
  return async () => {
    debuggerProcess.kill('SIGTERM');
    await gone;
    await until('the debugger to be gone', () => tracer() === 0);
  };
}

describe('R35 R36 a preloaded library', { skip: missing('cc') }, () => {
  it('in the server is one entry, and the server answers', async (t: TestContext) => {
    const library = compile(t, '');
    const { state, answers } = await startServer(t, { LD_PRELOAD: library });
    await until('the entry', async () => (await findingsIn(state)).length > 0);
    assert.deepEqual(await findingsIn(state), [['server', 'preload', `LD_PRELOAD=${library}`]]);
    await answers();
  });

  it('that hides its variable is found by its code', async (t: TestContext) => {
    const library = compile(t, 'unsetenv("LD_PRELOAD");');
    const { state, answers } = await startServer(t, { LD_PRELOAD: library });
    await until('the entry', async () => (await findingsIn(state)).length > 0);
    assert.deepEqual(await findingsIn(state), [['server', 'mapping', library]]);
    await answers();
  });

  it('in the agent is one entry however often it looks, and the agent converges', async (t: TestContext) => {
    const library = compile(t, '');
    const { state, converges } = await startAgent(t, { LD_PRELOAD: library });
    for (let time = 0; time < 3; time += 1) await converges();
    await until('the entry', async () => (await findingsIn(state)).length > 0);
    assert.deepEqual(await findingsIn(state), [['node', 'preload', `LD_PRELOAD=${library}`]]);
  });
});

describe('R35 R36 a debugger that attaches', () => {
  it('to the server, by gdb, is one entry, and the server answers', {
    skip: missing('gdb'),
  }, async (t: TestContext) => {
    const { state, child, answers } = await startServer(t);
    const detach = await attach(t, 'gdb', child);
    if (detach === undefined) return;
    await answers();
    await until('the entry', async () => (await findingsIn(state)).length > 0);
    assert.deepEqual(await findingsIn(state), [['server', 'tracer', 'gdb']]);
    await detach();
    await answers();
    assert.equal((await findingsIn(state)).length, 1);
  });

  it('to the agent, by strace, is one entry each time that it comes, and the agent converges', {
    skip: missing('strace'),
  }, async (t: TestContext) => {
    const { state, child, converges } = await startAgent(t);
    assert.deepEqual(await findingsIn(state), []);
    for (let time = 1; time <= 2; time += 1) {
      const detach = await attach(t, 'strace', child);
      if (detach === undefined) return;
      for (let look = 0; look < 3; look += 1) await converges();
      await until('the entry', async () => (await findingsIn(state)).length >= time);
      assert.deepEqual(
        await findingsIn(state),
        Array.from({ length: time }, () => ['node', 'tracer', 'strace']),
      );
      await detach();
      await converges();
    }
  });
});
