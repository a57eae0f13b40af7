/** The server as a process: it survives being killed, and ends with 0 when told to stop, through npm too. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openDirectorySource } from '../../lib/audit/source-directory.ts';
import { isSound } from '../../lib/audit/verdicts.ts';
import { verifyLog } from '../../lib/audit/verify.ts';
import { generateEd25519 } from '../../lib/crypto/ed25519.ts';
import { parseVerifierKey } from '../../lib/crypto/note.ts';
import { formatSshPublicKey, sshPublicKeyOf } from '../../lib/crypto/ssh-key.ts';
import { parseDescriptor } from '../../lib/identity/descriptor.ts';

const project = fileURLToPath(new URL('../..', import.meta.url));
const cli = join(project, 'cli', 'holdfast.mjs');

async function scratch(t: TestContext): Promise<{ state: string; key: string }> {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-process-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const key = join(directory, 'operator.pub');
  await writeFile(key, formatSshPublicKey(sshPublicKeyOf(generateEd25519().publicKey)));
  return { state: join(directory, 'state'), key };
}

/** Resolves with what was printed once it matches; rejects when the process ends before. */
function printed(child: ChildProcess, pattern: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const take = (chunk: Buffer) => {
      text += chunk;
      if (pattern.test(text)) resolve(text);
    };
    child.stdout?.on('data', take);
    child.stderr?.on('data', take);
    child.on('exit', (code) => reject(new Error(`ended with ${code}: ${text}`)));
  });
}

const ended = (child: ChildProcess) => new Promise<number | null>((resolve) => child.once('close', resolve));

function up(t: TestContext, args: readonly string[]): ChildProcess {
  const child = spawn(process.execPath, [cli, 'up', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  t.after(() => child.kill('SIGKILL'));
  return child;
}

test('killed at once, the server goes on at the next start, and stops with 0 when it is told to', async (t) => {
  const { state, key } = await scratch(t);
  const first = up(t, ['--state', state, '--operator-key', key]);
  const [url] = (await printed(first, /gateway/)).match(/https:\S+/) ?? [];
  const killed = ended(first);
  first.kill('SIGKILL');
  await killed;

  const second = up(t, ['--state', state]);
  const text = await printed(second, /gateway/);
  assert.ok(url !== undefined && text.includes(url), 'the same address as before');
  const status = spawnSync(process.execPath, [cli, 'status', '--state', state, '--json'], { encoding: 'utf8' });
  assert.equal(status.status, 0, status.stderr);
  assert.equal(JSON.parse(status.stdout).url, url);
  const stopped = ended(second);
  second.kill('SIGINT');
  second.kill('SIGINT');
  assert.equal(await stopped, 0);

  const { log } = parseDescriptor(await readFile(join(state, 'fleet.json')));
  const source = openDirectorySource(join(state, 'log'));
  const verdicts = await verifyLog({ source, verifiers: [parseVerifierKey(log.key)], now: Date.now });
  assert.ok(isSound(verdicts), JSON.stringify(verdicts));
});

test('npm start ends with 0 on Ctrl-C, which a terminal sends to the whole group', async (t) => {
  if (process.platform === 'win32') return t.skip('there are no process groups on Windows');
  if (spawnSync('npm', ['--version']).error) return t.skip('npm is not installed');
  const { state } = await scratch(t);
  const child = spawn('npm', ['start', '--', '--no-demo', '--state', state], {
    cwd: project,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const { pid } = child;
  assert.ok(pid !== undefined);
  const stopped = ended(child);
  t.after(() => child.exitCode === null && process.kill(-pid, 'SIGKILL'));
  await printed(child, /Ctrl-C stops it/);
  process.kill(-pid, 'SIGINT');
  assert.equal(await stopped, 0);
  return undefined;
});
