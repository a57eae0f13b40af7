/**
 * `npm run test:aws`: the parts that need AWS, over the real SDK, against emulators of AWS. It makes a Python virtual
 * environment with pinned versions in .venv/aws, starts the emulators on free ports of the loopback address, runs the
 * tests, and ends what it started. Without Python it says so and exits with 0, unless HOLDFAST_REQUIRE_AWS is set.
 *
 * `node test/aws/run.mjs gateway` runs only the files whose name has that word.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { differences } from './differences.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '../..');
const venv = join(root, '.venv/aws');
const packages = ['ministack==1.5.33', 'moto[server]==5.2.5'];
/** Written last: an installation that was cut off is begun anew. */
const stamp = join(venv, 'holdfast-packages');

/** The longest takes a minute on a busy machine. */
const maxFileMs = 240_000;

const emulators = {
  ministack: (port) => [
    join(venv, 'bin/ministack'),
    [],
    // Its IoT broker would listen on every address.
    {
      GATEWAY_PORT: `${port}`,
      BIND_HOST: '127.0.0.1',
      LOG_LEVEL: process.env.HOLDFAST_EMULATOR_LOG ?? 'WARNING',
      IOT_MTLS_ENABLED: '0',
    },
  ],
  moto: (port) => [join(venv, 'bin/moto_server'), ['-H', '127.0.0.1', '-p', `${port}`], {}],
};

process.exitCode = await main();

async function main() {
  const missing = install();
  if (missing !== undefined) {
    process.stderr.write(`\n  NOT TESTED: the AWS adapters. ${missing}\n\n`);
    return process.env.HOLDFAST_REQUIRE_AWS === undefined ? 0 : 1;
  }
  const scratch = mkdtempSync(join(tmpdir(), 'holdfast-aws-'));
  const running = [];
  const stop = () => {
    for (const { child } of running) child.kill('SIGTERM');
  };
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, stop);
  try {
    const endpoints = {};
    for (const name of Object.keys(emulators)) {
      running.push(await start(name, scratch));
      endpoints[`HOLDFAST_${name.toUpperCase()}_ENDPOINT`] = running.at(-1).endpoint;
    }
    await Promise.all(running.map(ready));
    return await runAll(endpoints);
  } finally {
    stop();
    await Promise.all(running.map(({ ended }) => ended));
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** What stands in the way, if anything does. */
function install() {
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === packages.join('\n')) return undefined;
  const python = ['python3', 'python'].find((name) => spawnSync(name, ['--version']).status === 0);
  if (python === undefined) return 'Python 3.10 or newer is not installed.';
  process.stdout.write(`Installing ${packages.join(', ')} into .venv/aws …\n`);
  for (const args of [
    [python, '-m', 'venv', '--clear', venv],
    [join(venv, 'bin/python'), '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...packages],
  ]) {
    const { status, stderr } = spawnSync(args[0], args.slice(1), { encoding: 'utf8' });
    if (status !== 0) return `"${args.join(' ')}" failed: ${stderr?.trim().split('\n').at(-1)}`;
  }
  writeFileSync(stamp, packages.join('\n'));
  return undefined;
}

async function start(name, scratch) {
  const port = await freePort();
  const [command, args, environment] = emulators[name](port);
  // No credentials of this machine reach an emulator, and nothing of it lands in the repository.
  // Functions that it runs get the Node that this is.
  const path = [join(venv, 'bin'), dirname(process.execPath), process.env.PATH].join(':');
  const env = { PATH: path, HOME: scratch, TMPDIR: scratch, ...environment };
  const child = spawn(command, args, { cwd: scratch, env, stdio: ['ignore', 'ignore', 'pipe'] });
  let log = '';
  child.stderr.on('data', (chunk) => {
    log = (log + chunk).slice(-4000);
  });
  const ended = new Promise((resolve) => child.once('close', resolve));
  return { name, child, ended, endpoint: `http://127.0.0.1:${port}`, log: () => log };
}

async function ready({ name, child, endpoint, log }) {
  for (let attempt = 0; attempt < 300; attempt += 1) {
    if (child.exitCode !== null) break;
    const answer = await fetch(endpoint, { signal: AbortSignal.timeout(2000) }).catch(() => undefined);
    if (answer !== undefined) return;
    await sleep(200);
  }
  throw new Error(`${name} did not start: ${log()}`);
}

function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** Each emulator gets the store conformance suite; everything else runs once. */
async function runAll(endpoints) {
  const wanted = process.argv.slice(2);
  const files = readdirSync(here)
    .filter((file) => file.endsWith('.aws.ts'))
    .filter((file) => wanted.length === 0 || wanted.some((word) => file.includes(word)));
  let [passes, failures] = [0, 0];
  for (const file of files) {
    for (const name of file.startsWith('store.') ? Object.keys(emulators) : ['ministack']) {
      const known = differences.filter((each) => each.emulator === name && each.file === file);
      for (const { test, why } of known) process.stdout.write(`not on ${name}: "${test}" (${why})\n`);
      const status = await runFile(file, name, known, endpoints);
      if (status === 0) passes += 1;
      else failures += 1;
    }
  }
  process.stdout.write(`files: ${passes} passed, ${failures} failed\n`);
  return failures === 0 ? 0 : 1;
}

function runFile(file, emulator, known, endpoints) {
  const skips = known.map(({ test }) => `--test-skip-pattern=^${test.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')}$`);
  const args = ['--test', '--test-timeout=180000', ...skips, join(here, file)];
  const env = {
    ...process.env,
    ...endpoints,
    HOLDFAST_EMULATOR: emulator,
    // Emulators take any; and with these, the SDK looks for no real ones.
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
    AWS_EC2_METADATA_DISABLED: 'true',
  };
  delete env.AWS_PROFILE;
  delete env.AWS_SESSION_TOKEN;
  const child = spawn(process.execPath, args, { cwd: root, env, stdio: 'inherit' });
  const limit = setTimeout(() => child.kill('SIGKILL'), maxFileMs);
  return new Promise((resolve) =>
    child.once('close', (code) => {
      clearTimeout(limit);
      resolve(code ?? 1);
    }),
  );
}
