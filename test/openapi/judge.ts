/** A control plane of its own on loopback, its OpenAPI document, and what three programs of others say to both. */
import { type SpawnSyncReturns, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createHttpsFetch } from '../../functions/standalone/https-fetch.ts';
import { readLocalAdminToken } from '../../lib/access/local-admin.ts';
import { startAccessFleet } from '../e2e/access.ts';

const root = join(import.meta.dirname, '../..');
const venv = join(root, '.venv/openapi');
const cache = join(root, '.cache/openapi');
const pythonPackages = ['schemathesis==4.32.5', 'openapi-spec-validator==0.9.0'];
/** openapi-typescript needs the API of TypeScript 5, which version 7 does not have. */
const nodePackages = ['openapi-typescript@7.13.0', 'openapi-fetch@0.17.0', 'typescript@5.9.3'];
const checks = [
  'not_a_server_error',
  'status_code_conformance',
  'content_type_conformance',
  'response_headers_conformance',
  'response_schema_conformance',
  'unsupported_method',
].join(',');
/** A run must be the same every time, and a few minutes long. */
const examples = process.argv[2] ?? '15';

const counts = { passed: 0, failed: 0 };
const undo: (() => unknown)[] = [];
try {
  await judge();
} finally {
  for (const step of undo) await step();
}
process.stdout.write(`${counts.passed} passed, ${counts.failed} failed\n`);
process.exitCode = counts.failed > 0 ? 1 : 0;

async function judge(): Promise<void> {
  const fleet = await startAccessFleet({ after: (step) => undo.push(step) }, { method: 'basic' });
  const { url, paths } = fleet.server;
  const token = await readLocalAdminToken(paths.run);
  const ca = join(fleet.directory, 'ca.pem');
  const { ca: pem } = JSON.parse(await readFile(paths.endpoint, 'utf8')) as { ca: string };
  await writeFile(ca, pem);
  const document = join(fleet.directory, 'openapi.json');
  const fetched = await createHttpsFetch(pem)(`${url}/v1/openapi.json`, {
    method: 'GET',
    headers: { authorization: `Bearer ${token}` },
  });
  await writeFile(document, await fetched.text());

  const python = install(venv, pythonPackages, (where) => [
    ['python3', ['-m', 'venv', where]],
    [join(where, 'bin/pip'), ['install', '--quiet', '--disable-pip-version-check', ...pythonPackages]],
  ]);
  if (python !== undefined) notTested('openapi-spec-validator and Schemathesis', python);
  else {
    await judged('openapi-spec-validator: the document is OpenAPI 3.1', join(venv, 'bin/openapi-spec-validator'), [
      document,
    ]);
    for (const role of ['local-admin', 'viewer', 'compliance']) {
      const credential = role === 'local-admin' ? token : await tokenOf(fleet, role);
      await judged(`Schemathesis as ${role}: no 5xx, and every answer as described`, join(venv, 'bin/schemathesis'), [
        ...['run', document, '--url', url, '--tls-verify', ca, '--header', `Authorization: Bearer ${credential}`],
        ...['--checks', checks, '--mode', 'all', '--phases', 'examples,coverage,fuzzing'],
        ...['--max-examples', examples, '--seed', '20260', '--rate-limit', '180/s', '--request-timeout', '40'],
        // The stream does not end.
        ...['--exclude-path', '/v1/events', '--generation-database', 'none', '--no-color'],
        // It takes ids from answers, and would end the token that it asks with.
        ...(role === 'local-admin' ? [] : ['--exclude-path', '/v1/api-tokens/{id}/revoke']),
      ]);
      const session = await createHttpsFetch(pem)(`${url}/v1/session`, {
        method: 'GET',
        headers: { authorization: `Bearer ${credential}` },
      });
      count(session.status === 200, `the credential of ${role} was good to the end`);
    }
  }

  const node = install(cache, nodePackages, (where) => [
    ['npm', ['install', '--prefix', where, '--no-audit', '--no-fund', '--no-save', '--silent', ...nodePackages]],
  ]);
  if (node !== undefined) notTested('openapi-typescript', node);
  else await useGeneratedClient(document, { url, ca, token });
}

/** The client that openapi-typescript makes: compiled by this project's compiler, strictly, and then used. */
async function useGeneratedClient(
  document: string,
  server: { readonly url: string; readonly ca: string; readonly token: string },
): Promise<void> {
  const bin = join(cache, 'node_modules/.bin/openapi-typescript');
  await judged('openapi-typescript: types are made', bin, [document, '-o', join(cache, 'schema.d.ts')]);
  await copyFile(join(import.meta.dirname, 'client.ts.txt'), join(cache, 'client.ts'));
  await writeFile(join(cache, 'package.json'), '{"type":"module","private":true}\n');
  const options = [
    '--ignoreConfig',
    '--noEmit',
    '--strict',
    '--module',
    'nodenext',
    '--target',
    'es2024',
    '--skipLibCheck',
  ];
  const types = ['--types', 'node', '--typeRoots', join(root, 'node_modules/@types'), '--lib', 'es2024,dom'];
  await judged('the generated client compiles', join(root, 'node_modules/.bin/tsc'), [
    ...options,
    ...types,
    '--allowImportingTsExtensions',
    join(cache, 'client.ts'),
  ]);
  await judged('the generated client works', process.execPath, [join(cache, 'client.ts'), server.url, server.token], {
    NODE_EXTRA_CA_CERTS: server.ca,
  });
}

/** Of a user made for it: what was fuzzed before may have changed the others. */
async function tokenOf(fleet: Awaited<ReturnType<typeof startAccessFleet>>, role: string): Promise<string> {
  await fleet.admin('user', 'create', `${role}-fuzz`, '--role', role);
  const ran = await fleet.admin('api-token', 'create', 'fuzz', '--owner', `${role}-fuzz`, '--json');
  return (JSON.parse(ran.out) as { token: string }).token;
}

/** Why it can't be had; `undefined` when it is there. */
function install(
  where: string,
  packages: readonly string[],
  steps: (where: string) => readonly (readonly [string, readonly string[]])[],
): string | undefined {
  const stamp = join(where, 'holdfast-packages');
  const wanted = packages.join('\n');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return undefined;
  mkdirSync(where, { recursive: true });
  for (const [program, args] of steps(where)) {
    const ran: SpawnSyncReturns<string> = spawnSync(program, args, { encoding: 'utf8' });
    if (ran.status !== 0)
      return `${program} ${args[0]} failed: ${(ran.stderr ?? String(ran.error)).trim().split('\n').at(-1)}`;
  }
  // Written last: an installation that was cut off is begun anew.
  writeFileSync(stamp, wanted);
  return undefined;
}

function notTested(what: string, why: string): void {
  process.stdout.write(`NOT TESTED: ${what}: ${why}\n`);
}

async function judged(name: string, program: string, args: readonly string[], environment = {}): Promise<void> {
  const { code, text } = await run(program, args, environment);
  count(code === 0, name);
  if (code !== 0) process.stdout.write(`${shortened(text)}\n`);
}

function count(isGood: boolean, name: string): void {
  counts[isGood ? 'passed' : 'failed'] += 1;
  process.stdout.write(`${isGood ? 'ok  ' : 'FAIL'}  ${name}\n`);
}

/** What was sent can be a line of many thousands of characters. */
function shortened(text: string): string {
  const lines = text.split('\n').map((line) => (line.length > 300 ? `${line.slice(0, 300)}…` : line));
  return lines
    .slice(lines.findIndex((line) => line.includes('= FAILURES =')))
    .join('\n')
    .slice(0, 12_000);
}

async function run(
  program: string,
  args: readonly string[],
  environment = {},
): Promise<{ readonly code: number | null; readonly text: string }> {
  // In the cache, because Schemathesis leaves files of its own where it runs.
  mkdirSync(cache, { recursive: true });
  const options = { cwd: cache, env: { ...process.env, ...environment } };
  const child = spawn(program, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (piece: string) => {
      text += piece;
    });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, text };
}
