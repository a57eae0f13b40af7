/** The gateway's image without an engine that could build it: what the Dockerfile says, and what its root comes to. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gatewayPorts } from '../../cdk/profiles.ts';

const here = import.meta.dirname;
type Step = { readonly instruction: string; readonly rest: string };
const steps: readonly Step[] = readFileSync(join(here, 'Dockerfile'), 'utf8')
  .replaceAll('\\\n', ' ')
  .split('\n')
  .filter((line) => line.trim() !== '' && !line.startsWith('#'))
  .map((line) => ({ instruction: line.split(' ', 1)[0] ?? '', rest: line.slice(line.indexOf(' ') + 1) }));
const last: readonly Step[] = steps.slice(steps.findLastIndex(({ instruction }) => instruction === 'FROM'));
const of = (instruction: string, among: readonly Step[] = last) =>
  among.filter((step) => step.instruction === instruction);

test('the image starts from nothing, runs no shell, is not root, and holds nothing that root does not own', () => {
  assert.deepEqual(
    of('FROM').map(({ rest }) => rest),
    ['scratch'],
  );
  assert.deepEqual(of('RUN'), [], 'there is nothing in it to run');
  assert.deepEqual(
    of('USER').map(({ rest }) => rest),
    ['65532:65532'],
  );
  for (const { rest } of of('COPY')) assert.match(rest, /--chown=0:0/);
  for (const instruction of ['ENTRYPOINT', 'CMD', 'RUN'])
    for (const { rest } of of(instruction, steps)) assert(Array.isArray(JSON.parse(rest)), `${instruction} ${rest}`);
  assert(
    last.findIndex(({ instruction }) => instruction === 'USER') > last.findLastIndex((s) => s.instruction === 'COPY'),
  );
});

test('it opens the ports of the deployment, ends by SIGTERM, and gives no secret and no switch by its environment', () => {
  assert.deepEqual(of('EXPOSE')[0]?.rest.split(' ').map(Number), Object.values(gatewayPorts));
  assert.equal(of('STOPSIGNAL')[0]?.rest, 'SIGTERM');
  assert.equal(of('ENV')[0]?.rest, 'HOME=/nonexistent NODE_ENV=production');
  assert.deepEqual(of('ADD', steps), [], 'nothing is fetched');
  assert.deepEqual(of('VOLUME', steps), []);
  for (const { rest } of of('ARG', steps)) assert.equal(rest, 'BASE=node:24-slim');
});

/** Root of the image, made by the same script, from this Node. */
function makeRoot(t: TestContext): string | undefined {
  const root = mkdtempSync(join(tmpdir(), 'holdfast-rootfs-'));
  t.after(() => {
    spawnSync('chmod', ['-R', 'u+w', root]);
    rmSync(root, { recursive: true, force: true });
  });
  const made = spawnSync('sh', [join(here, 'rootfs.sh'), process.execPath, root], { encoding: 'utf8' });
  if (made.error !== undefined || spawnSync('ldd', [process.execPath]).status !== 0) return undefined;
  assert.equal(made.status, 0, made.stderr);
  return root;
}

test('the root holds Node, its libraries and two lines of configuration', (t) => {
  const root = makeRoot(t);
  if (root === undefined) return t.skip('there is no ldd on this system');
  const files = readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length));
  const others = files.filter((path) => !/\/(lib[a-z0-9_+-]+|ld-[a-z0-9_-]+)\.so(\.[0-9]+)*$/.test(path));
  assert.deepEqual(others.sort(), ['/bin/node', '/etc/nsswitch.conf', '/etc/passwd']);
  assert(files.length < 16, files.join());
  assert.equal(statSync(join(root, 'bin/node')).mode & 0o222, 0);
});

test('in that root alone, as nobody, the bundle that ships serves its health port, writes nothing, and ends when told', async (t) => {
  const root = makeRoot(t);
  if (root === undefined) return t.skip('there is no ldd on this system');
  const inside = ['--user', '--map-user=65532', '--map-group=65532', `--root=${root}`, '--wd=/app'];
  spawnSync('chmod', ['u+w', root]);
  const built = spawnSync(process.execPath, [join(here, '../build.mjs'), join(root, 'app.all'), 'gateway'], {
    encoding: 'utf8',
  });
  assert.equal(built.status, 0, built.stderr);
  renameSync(join(root, 'app.all/gateway'), join(root, 'app'));
  rmSync(join(root, 'app.all'), { recursive: true });
  if (spawnSync('unshare', [...inside, '/bin/node', '--version']).status !== 0)
    return t.skip('this system gives no user namespace to a program that is not root');
  spawnSync('chmod', ['-R', 'a-w', root]);
  const arn = (service: string, name: string) => `arn:aws:${service}:eu-central-1:111122223333:${name}`;
  const env = {
    HOME: '/nonexistent',
    AWS_REGION: 'eu-central-1',
    AWS_ENDPOINT_URL: 'http://127.0.0.1:1',
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
    HOLDFAST_TABLE: 'holdfast',
    HOLDFAST_STREAM_ARN: arn('dynamodb', 'table/holdfast/stream/2030'),
    HOLDFAST_BLOBS_BUCKET: 'holdfast-blobs',
    HOLDFAST_IDENTITY_FUNCTION_ARN: arn('lambda', 'function:identity'),
    HOLDFAST_SECRETS_FUNCTION_ARN: arn('lambda', 'function:secrets'),
    HOLDFAST_LISTEN: '127.0.0.1',
    HOLDFAST_PORT: '0',
    HOLDFAST_HEALTH_PORT: '0',
  };
  const child = spawn('unshare', [...inside, '/bin/node', '/app/index.mjs'], { env });
  t.after(() => child.kill('SIGKILL'));
  let out = '';
  const port = await new Promise<string>((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk) => {
        out += chunk;
        const [, found] = /"healthPort":(\d+)/.exec(out) ?? [];
        if (found) resolve(found);
      });
    child.once('close', () => reject(new Error(out)));
  });
  assert.equal((await fetch(`http://127.0.0.1:${port}/livez`)).status, 200);
  assert.equal((await fetch(`http://127.0.0.1:${port}/readyz`)).status, 503);
  child.kill('SIGTERM');
  const [code] = await once(child, 'close');
  assert.equal(code, 0, out);
  assert.deepEqual(readdirSync(join(root, 'tmp')), []);
});
