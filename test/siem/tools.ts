/** What the tests against real receivers share: the tools that the runner installed, daemons, and the shipped queries. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/** Set by the runner. */
const tools = process.env['HOLDFAST_SIEM_TOOLS'] ?? '';
type Tool = 'npm' | 'debian' | 'collector' | 'victorialogs' | 'opensearch' | 'esql' | 'kql' | 'cef';
const has = (tool: Tool) => existsSync(join(tools, `${tool}.stamp`));
export const skipWithout = (...needed: readonly Tool[]) => (needed.every(has) ? false : 'NOT TESTED: not installed');
export const toolPath = (...parts: readonly string[]) => join(tools, ...parts);
export const shipped = (path: string) => readFileSync(new URL(`../../siem/${path}`, import.meta.url), 'utf8');

export function requireTool(name: string) {
  return createRequire(join(tools, 'npm/package.json'))(name);
}

export function scratch(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-siem-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export function freePort(): Promise<number> {
  return new Promise((done) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => done(port));
    });
  });
}

export type Daemon = {
  readonly output: () => string;
  readonly log: () => string;
  readonly stop: (signal?: NodeJS.Signals) => Promise<void>;
};

/** In the foreground, ended by its id when the test is over; resolves once it listens. */
export async function startDaemon(
  t: TestContext,
  init: { command: string; args: string[]; env?: NodeJS.ProcessEnv; port: number; cwd: string },
) {
  const { command, args, env = {}, port, cwd } = init;
  const child: ChildProcess = spawn(command, args, {
    cwd,
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  let log = '';
  child.stdout?.on('data', (chunk) => (output += chunk));
  child.stderr?.on('data', (chunk) => (log += chunk));
  const ended = new Promise<void>((done) => child.once('close', () => done()));
  const daemon: Daemon = {
    output: () => output,
    log: () => log,
    async stop(signal = 'SIGTERM') {
      child.kill(signal);
      await ended;
    },
  };
  t.after(() => daemon.stop('SIGKILL'));
  await until(
    () => child.exitCode !== null || canConnect(port),
    () => `${command}: ${log}`,
  );
  if (child.exitCode !== null) throw new Error(`${command} ended: ${log}`);
  return daemon;
}

/** Other people's programs say nothing when they are done: asked again and again, for 30 seconds. */
export async function until(condition: () => boolean | Promise<boolean>, why: () => string = () => ''): Promise<void> {
  for (let i = 0; i < 600; i += 1) {
    if (await condition()) return;
    await sleep(50);
  }
  throw new Error(`it did not happen in time. ${why()}`);
}

function canConnect(port: number): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.once('connect', () => {
      socket.destroy();
      done(true);
    });
    socket.once('error', () => done(false));
  });
}

export type Finding = { readonly finding: string; readonly seq: number | undefined; readonly detail: string };

/** What `judges/<name>.py` says of a text, with the packages that were installed for it. */
export function judge(name: 'esql' | 'kql' | 'cef', text: string, args: readonly string[] = []): string {
  const script = fileURLToPath(new URL(`judges/${name}.py`, import.meta.url));
  const env = { PATH: process.env['PATH'], PYTHONPATH: toolPath(name), PYTHONDONTWRITEBYTECODE: '1' };
  const { status, stdout, stderr } = spawnSync('python3', [script, ...args], {
    input: text,
    encoding: 'utf8',
    env,
    maxBuffer: 1 << 28,
  });
  if (status !== 0) throw new Error(`${name}: ${stderr}`);
  return stdout;
}

type DuckDbRow = Readonly<Record<string, unknown>>;

export async function openDuckDb() {
  const { DuckDBInstance } = requireTool('@duckdb/node-api');
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  return {
    run: (statement: string): Promise<unknown> => connection.run(statement),
    rows: async (query: string): Promise<readonly DuckDbRow[]> =>
      (await connection.runAndReadAll(query)).getRowObjects() as DuckDbRow[],
    close: (): void => connection.closeSync(),
  };
}

/** The shipped queries over lines as a receiver keeps them, in DuckDB. */
export async function findingsOf(t: TestContext, lines: readonly string[]): Promise<readonly Finding[]> {
  const file = join(scratch(t), 'events.ndjson');
  writeFileSync(file, lines.map((line) => `${line}\n`).join(''));
  const database = await openDuckDb();
  await database.run(`SET VARIABLE holdfast_files = '${file}'`);
  for (const statement of [...statements('sql/load.sql'), ...statements('sql/findings.sql')])
    await database.run(statement);
  const rows = await database.rows('select finding, seq, detail from holdfast_findings order by all');
  database.close();
  return rows.map(({ finding, seq, detail }) => ({
    ...{ finding: `${finding}`, detail: `${detail}` },
    seq: seq === null ? undefined : Number(seq),
  }));
}

function statements(path: string): readonly string[] {
  return shipped(path)
    .replaceAll(/^--.*$/gm, '')
    .split(/;\s*$/m)
    .filter((text) => text.trim() !== '');
}
