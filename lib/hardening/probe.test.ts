/** R35 each finding, provoked for real in a process of its own; and a process with nobody in it finds nothing. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { copyFileSync, linkSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Finding } from './finding.ts';

const linux = process.platform === 'linux' ? false : 'proc(5) is of Linux';
const probe = fileURLToPath(new URL('./probe.ts', import.meta.url));

/** Looks once for each line on its standard input. */
const script = `
  const { createProbe } = await import(${JSON.stringify(probe)});
  const [native, directory] = process.argv.slice(1);
  if (native) process.dlopen({ exports: {} }, native);
  const files = new Map([['a.mjs', Buffer.from('export {};')]]);
  const program = directory && { directory, files, removed: [], mapped: [] };
  const look = createProbe(program || undefined);
  process.stdout.write('ready\\n');
  process.stdin.on('data', () => process.stdout.write(JSON.stringify(look()) + '\\n'));
`;

async function findings(
  t: TestContext,
  {
    node = process.execPath,
    options = [],
    env = {},
    args = [],
    before = () => undefined,
  }: {
    readonly node?: string;
    readonly options?: readonly string[];
    readonly env?: NodeJS.ProcessEnv;
    readonly args?: readonly string[];
    readonly before?: () => unknown;
  },
): Promise<readonly Finding[]> {
  const { PATH } = process.env;
  const child = spawn(node, [...options, '--input-type=module', '-e', script, ...args], {
    env: { PATH, ...env },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  t.after(() => child.kill('SIGKILL'));
  const lines: string[] = [];
  let wake = () => undefined as unknown;
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    lines.push(...text.split('\n').filter((line) => line !== ''));
    wake();
  });
  const line = async (index: number) => {
    while (lines[index] === undefined) await new Promise((resolve) => (wake = () => resolve(undefined)));
    return lines[index];
  };
  await line(0);
  await before();
  child.stdin.write('look\n');
  return JSON.parse(await line(1)) as Finding[];
}

function scratch(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-probe-'));
  t.after(() => rmSync(directory, { recursive: true }));
  return directory;
}

describe('R35 a look at this process', { skip: linux }, () => {
  it('finds nothing where nobody is', async (t: TestContext) => {
    const directory = scratch(t);
    writeFileSync(join(directory, 'a.mjs'), 'export {};');
    assert.deepEqual(await findings(t, { args: ['', directory] }), []);
  });

  it("finds Node's own debugger, by its port and by the option", async (t: TestContext) => {
    assert.deepEqual(await findings(t, { options: ['--inspect=127.0.0.1:0'] }), [
      { kind: 'inspector', what: 'listens' },
      { kind: 'options', what: '--inspect' },
    ]);
  });

  it('finds NODE_OPTIONS, LD_PRELOAD and LD_AUDIT', async (t: TestContext) => {
    assert.deepEqual(await findings(t, { env: { NODE_OPTIONS: '--no-warnings' } }), [
      { kind: 'options', what: 'NODE_OPTIONS' },
    ]);
    const found = await findings(t, { env: { LD_PRELOAD: '/nowhere/a.so', LD_AUDIT: '/nowhere/b.so' } });
    assert.deepEqual(found, [
      { kind: 'preload', what: 'LD_PRELOAD=/nowhere/a.so' },
      { kind: 'preload', what: 'LD_AUDIT=/nowhere/b.so' },
    ]);
  });

  it('finds a library that was mapped from elsewhere', async (t: TestContext) => {
    const package_ = dirname(createRequire(import.meta.url).resolve('sodium-native/package.json'));
    const library = join(scratch(t), 'evil.so');
    copyFileSync(join(package_, 'prebuilds', `${process.platform}-${process.arch}`, 'sodium-native.node'), library);
    assert.deepEqual(await findings(t, { args: [library] }), [{ kind: 'mapping', what: library }]);
  });

  it('finds that its executable was replaced', async (t: TestContext) => {
    const directory = scratch(t);
    const node = join(directory, 'node');
    try {
      linkSync(process.execPath, node);
    } catch {
      copyFileSync(process.execPath, node);
    }
    const before = () => {
      writeFileSync(join(directory, 'new'), 'another');
      renameSync(join(directory, 'new'), node);
    };
    // A link and its original are one file: the name that was started is what counts.
    const found = await findings(t, { node, before });
    assert.deepEqual(
      found.map(({ kind }) => kind),
      ['binary'],
    );
  });

  it('finds that a file of its program was changed on the disk', async (t: TestContext) => {
    const directory = scratch(t);
    const file = join(directory, 'a.mjs');
    writeFileSync(file, 'export {};');
    const before = () => writeFileSync(file, 'evil()');
    assert.deepEqual(await findings(t, { args: ['', directory], before }), [{ kind: 'binary', what: file }]);
    writeFileSync(file, 'export {};');
    assert.deepEqual(await findings(t, { args: ['', directory], before: () => writeFileSync(file, 'export {};') }), []);
  });

  it('finds a tracer', async (t: TestContext) => {
    if (spawnSync('strace', ['--version']).error) return t.skip('strace is not installed');
    const { PATH } = process.env;
    const strace = ['-f', '-qq', '-o', '/dev/null', '-e', 'trace=none', process.execPath];
    const ran = spawnSync(
      'strace',
      [
        ...strace,
        '--input-type=module',
        '-e',
        `${script}\nprocess.stdin.destroy(); process.stdout.write(JSON.stringify(look()))`,
      ],
      {
        encoding: 'utf8',
        env: { PATH },
      },
    );
    assert.equal(ran.stdout, 'ready\n[{"kind":"tracer","what":"strace"}]', ran.stderr);
    return undefined;
  });
});
