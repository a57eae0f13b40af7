/**
 * What the one-file agent takes: bytes on disk, the time to its first line, and memory while it runs and has nothing
 * to do. Built here, joined to a control plane in this process, run as its service would.
 *
 *   node bench/agent-binary.ts
 */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { pino } from 'pino';
import { openClient } from '../cli/client.ts';
import type { MintedToken } from '../functions/admin/routes/tokens.ts';
import { startStandalone } from '../functions/standalone/compose.ts';
import { generateEd25519 } from '../lib/crypto/ed25519.ts';
import { formatSshPublicKey, sshPublicKeyOf } from '../lib/crypto/ssh-key.ts';

const targets = { mebibytes: 115, startMs: 1000, idleRssMiB: 140 } as const;
const project = fileURLToPath(new URL('..', import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'holdfast-bench-'));

try {
  execFileSync(process.execPath, [join(project, 'build/agent.ts'), '--out', directory], { stdio: 'ignore' });
  const root = join(directory, 'opt/holdfast-agent');
  mkdirSync(root, { recursive: true });
  const program = join(root, 'holdfast-agent');
  for (const name of ['holdfast-agent', 'holdfast-agent.manifest'])
    copyFileSync(join(directory, name), join(root, name));
  chmodSync(program, 0o755);
  const startMs = median(Array.from({ length: 7 }, () => timed(() => execFileSync(program, ['--version']))));
  const idle = await idleRss(program);
  const mebibytes = statSync(program).size / 2 ** 20;
  const figures = { mebibytes: round(mebibytes), startMs: round(startMs), idleRssMiB: round(idle) };
  const isGood = mebibytes <= targets.mebibytes && startMs <= targets.startMs && idle <= targets.idleRssMiB;
  process.stdout.write(`${JSON.stringify({ bench: 'agent-binary', ...figures, targets, isGood })}\n`);
  process.exitCode = isGood ? 0 : 1;
} finally {
  rmSync(directory, { recursive: true, force: true });
}

/** Resident memory of the service, 5 s after a check-in that the control plane has seen. */
async function idleRss(program: string): Promise<number> {
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
    service = spawn(program, ['service', '--state', state], { stdio: 'ignore' });
    const end = Date.now() + 30_000;
    for (;;) {
      const { items } = await client.get<{ items: readonly { agentVersion?: string }[] }>('/v1/nodes');
      if (items[0]?.agentVersion !== undefined) break;
      if (Date.now() > end) throw new Error('the agent never checked in: nothing was measured');
      await sleep(200);
    }
    await sleep(5_000);
    const status = readFileSync(`/proc/${service.pid}/status`, 'utf8');
    client.close();
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024;
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
