/** The bytes that ship: every emitted bundle loads under this Node, and refuses an environment that is not its own. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { functionNames, requiredVariables } from './aws/environment.ts';

const builder = fileURLToPath(new URL('./build.mjs', import.meta.url));
let directory: string;

function build(): string {
  const target = mkdtempSync(join(tmpdir(), 'holdfast-bundles-'));
  const { status, stderr } = spawnSync(process.execPath, [builder, target], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  assert.equal(stderr, '', 'no warnings');
  return target;
}

before(() => {
  directory = build();
});
after(() => rmSync(directory, { recursive: true }));

const arn = (service: string) => `arn:aws:${service}:eu-central-1:111122223333:some/thing`;
const values: Record<string, string> = {
  HOLDFAST_TABLE: 'holdfast',
  HOLDFAST_STREAM_ARN: `${arn('dynamodb')}/stream/2030-01-01`,
  HOLDFAST_BLOBS_BUCKET: 'holdfast-blobs',
  HOLDFAST_LOG_BUCKET: 'holdfast-log',
  HOLDFAST_ANCHORS_BUCKET: 'holdfast-anchors',
  HOLDFAST_CA_KEY_ARN: arn('kms'),
  HOLDFAST_LOG_KEY_ARN: arn('kms'),
  HOLDFAST_DATA_KEY_ARN: arn('kms'),
  HOLDFAST_GATEWAY: 'gateway.example:443',
  HOLDFAST_URL: 'https://api.example',
  HOLDFAST_IDENTITY_FUNCTION_ARN: 'arn:aws:lambda:eu-central-1:111122223333:function:identity',
  HOLDFAST_SECRETS_FUNCTION_ARN: 'arn:aws:lambda:eu-central-1:111122223333:function:secrets',
  HOLDFAST_SECRETS_PREFIX: 'holdfast/prod/',
  HOLDFAST_ROUTER_FUNCTION_ARN: 'arn:aws:lambda:eu-central-1:111122223333:function:router',
  HOLDFAST_RINGS_URL: 'https://sqs.eu-central-1.amazonaws.com/111122223333/rings.fifo',
};

function environmentOf(name: (typeof functionNames)[number]): NodeJS.ProcessEnv {
  const own = Object.fromEntries(requiredVariables(name).map((key) => [key, values[key]]));
  const nowhere = { AWS_ENDPOINT_URL: 'http://127.0.0.1:1', AWS_EC2_METADATA_DISABLED: 'true' };
  const credentials = { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test' };
  return { PATH: process.env['PATH'], AWS_REGION: 'eu-central-1', ...nowhere, ...credentials, ...own };
}

const bundle = (name: string) => join(directory, name, 'index.mjs');

test('there is a bundle for every function, and the same tree gives the same bytes', () => {
  assert.deepEqual(readdirSync(directory).sort(), [...functionNames].sort());
  const again = build();
  try {
    const digest = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex');
    for (const name of functionNames) {
      const files = readdirSync(join(directory, name), { recursive: true, encoding: 'utf8', withFileTypes: true });
      for (const file of files.filter((each) => each.isFile())) {
        const path = join(file.parentPath, file.name);
        assert.equal(digest(join(again, relative(directory, path))), digest(path), path);
      }
    }
  } finally {
    rmSync(again, { recursive: true });
  }
});

test('R33 each bundle with one byte changed ends with 78 and says which file', () => {
  for (const name of functionNames) {
    const program = join(directory, name, 'programs/index.mjs');
    const bytes = readFileSync(program);
    writeFileSync(program, Buffer.concat([bytes, Buffer.from('\n')]));
    const { status, stderr } = spawnSync(process.execPath, [bundle(name)], {
      env: environmentOf(name),
      encoding: 'utf8',
    });
    writeFileSync(program, bytes);
    assert.equal(status, 78, name);
    assert.match(stderr, /^HOLDFAST_GATE_FILE_ALTERED: nothing was started: programs\/index\.mjs has more than/, name);
  }
});

test('each Lambda bundle loads and exports its handler', () => {
  for (const name of functionNames.filter((each) => each !== 'gateway')) {
    const script = `const { handler } = await import(process.argv[1]); process.stdout.write(typeof handler); process.exit(0);`;
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script, bundle(name)], {
      env: environmentOf(name),
      encoding: 'utf8',
    });
    assert.equal(stdout, 'function', `${name}: ${stderr}`);
  }
});

test('R01 each bundle refuses to start without its variables, and with one that it does not know', () => {
  for (const name of functionNames) {
    for (const change of [{ HOLDFAST_TABLE: undefined }, { HOLDFAST_DISABLE_MTLS: 'true' }]) {
      const env = Object.fromEntries(
        Object.entries({ ...environmentOf(name), ...change }).filter(([, value]) => value !== undefined),
      );
      const { status, stderr } = spawnSync(process.execPath, [bundle(name)], { env, encoding: 'utf8' });
      assert.notEqual(status, 0, name);
      assert.match(stderr, new RegExp(Object.keys(change)[0]!), name);
    }
  }
});

test('the gateway is alive and not ready before it has its fleet, and ends when told', async (t) => {
  const env = {
    ...environmentOf('gateway'),
    HOLDFAST_LISTEN: '127.0.0.1',
    HOLDFAST_PORT: '0',
    HOLDFAST_HEALTH_PORT: '0',
  };
  const child = spawn(process.execPath, [bundle('gateway')], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  t.after(() => child.kill('SIGKILL'));
  let output = '';
  const port = await new Promise<number>((resolve, reject) => {
    child.stdout.on('data', (chunk) => {
      output += chunk;
      const match = /"healthPort":(\d+)/.exec(output);
      if (match) resolve(Number(match[1]));
    });
    child.once('close', () => reject(new Error(`it ended: ${output}`)));
  });
  const statusOf = async (path: string) => (await fetch(`http://127.0.0.1:${port}${path}`)).status;
  assert.equal(await statusOf('/livez'), 200);
  assert.equal(await statusOf('/readyz'), 503);
  assert.equal(await statusOf('/other'), 404);
  child.kill('SIGTERM');
  const [code] = await once(child, 'close');
  assert.equal(code, 0, output);
});
