/**
 * What the one-file agent takes: bytes on disk, the time to its first line, and memory while it runs and has nothing
 * to do. Built here, joined to a control plane in this process, run as its service would. Beside it, what the same Node
 * takes as one file with an empty program: no agent on it can take less.
 *
 *   node bench/agent-binary.ts
 */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { pino } from 'pino';
import { environment } from '../agent/install/units.ts';
import { openClient } from '../cli/client.ts';
import type { MintedToken } from '../functions/admin/routes/tokens.ts';
import { startStandalone } from '../functions/standalone/compose.ts';
import { generateEd25519 } from '../lib/crypto/ed25519.ts';
import { formatSshPublicKey, sshPublicKeyOf } from '../lib/crypto/ssh-key.ts';

const targets = { mebibytes: 115, startMs: 1000, idleRssMiB: 105, idleOwnMiB: 40 } as const;
const project = fileURLToPath(new URL('..', import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'holdfast-bench-'));

try {
  const program = build('agent');
  const empty = await memoryOfEmpty();
  const startMs = median(Array.from({ length: 7 }, () => timed(() => execFileSync(program, ['--version']))));
  const idle = await idleMemory(program);
  const mebibytes = statSync(program).size / 2 ** 20;
  const figures = {
    mebibytes: round(mebibytes),
    startMs: round(startMs),
    idleRssMiB: idle.rss,
    idlePssMiB: idle.pss,
    idleOwnMiB: idle.own,
    emptyRssMiB: empty.rss,
    emptyOwnMiB: empty.own,
  };
  const isGood =
    mebibytes <= targets.mebibytes &&
    startMs <= targets.startMs &&
    idle.rss <= targets.idleRssMiB &&
    idle.own <= targets.idleOwnMiB;
  process.stdout.write(`${JSON.stringify({ bench: 'agent-binary', ...figures, targets, isGood })}\n`);
  process.exitCode = isGood ? 0 : 1;
} finally {
  rmSync(directory, { recursive: true, force: true });
}

/** Copied to its place, so that it lies in the page cache as an installed one does. */
function build(name: string, ...args: string[]): string {
  const built = join(directory, 'built');
  execFileSync(process.execPath, [join(project, 'build/agent.ts'), '--out', built, ...args], { stdio: 'ignore' });
  const root = join(directory, name);
  mkdirSync(root);
  for (const file of ['holdfast-agent', 'holdfast-agent.manifest']) copyFileSync(join(built, file), join(root, file));
  chmodSync(join(root, 'holdfast-agent'), 0o755);
  return join(root, 'holdfast-agent');
}

type Memory = { readonly rss: number; readonly pss: number; readonly own: number };

/** Mebibytes: resident; that with shared pages by their share; and what is no page of a file, so nobody else's. */
function memoryOf(pid: number | undefined): Memory {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const field = (name: string) => round(Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1]) / 1024);
  return { rss: field('Rss'), pss: field('Pss'), own: field('Anonymous') };
}

async function memoryOfEmpty(): Promise<Memory> {
  const entry = join(directory, 'empty.ts');
  writeFileSync(entry, 'setInterval(() => undefined, 1_000_000);\n');
  const child = spawn(build('empty', '--entry', entry), [], { stdio: 'ignore' });
  try {
    await sleep(5_000);
    return memoryOf(child.pid);
  } finally {
    child.kill('SIGKILL');
  }
}

/** Of the service, 5 s after a check-in that the control plane has seen. */
async function idleMemory(program: string): Promise<Memory> {
  const scratch = await mkdtemp(join(tmpdir(), 'holdfast-bench-'));
  const { publicKey } = generateEd25519();
  const server = await startStandalone({
    stateDirectory: join(scratch, 'server'),
    version: '0.0.0',
    logger: pino({ level: 'silent' }),
    founding: { name: 'bench', operatorKeys: [formatSshPublicKey(sshPublicKeyOf(publicKey))], threshold: 1 },
  });
  let service: ChildProcess | undefined;
  try {
    const client = await openClient(join(scratch, 'server'));
    const { token } = await client.post<MintedToken>('/v1/tokens', {});
    const state = join(scratch, 'agent');
    await promisify(execFile)(program, ['join', '--server', server.url, '--token', token, '--state', state]);
    service = spawn(program, ['service', '--state', state], { stdio: 'ignore', env: environment });
    const end = Date.now() + 30_000;
    for (;;) {
      const { items } = await client.get<{ items: readonly { agentVersion?: string }[] }>('/v1/nodes');
      if (items[0]?.agentVersion !== undefined) break;
      if (Date.now() > end) throw new Error('the agent never checked in: nothing was measured');
      await sleep(200);
    }
    await sleep(5_000);
    client.close();
    return memoryOf(service.pid);
  } finally {
    service?.kill('SIGKILL');
    await server.close();
    await rm(scratch, { recursive: true, force: true });
  }
}

function timed(act: () => void): number {
  const began = performance.now();
  act();
  return performance.now() - began;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
