/**
 * `npm run test:siem`: the destinations against real receivers, and the shipped queries over what those received. It puts
 * rsyslog and syslog-ng (Debian's packages, unpacked and not installed), an OpenTelemetry Collector and VictoriaLogs (built
 * with Go), OpenSearch (Maven), DuckDB and Microsoft's KQL parser (npm), a parser of ES|QL by Elasticsearch's own grammar and
 * a translator of KQL to SQL (pip), and parsers of CEF and syslog (pip, npm) into .cache/siem, and runs
 * test/siem/*.siem.ts. What can't be had is skipped, loudly, and makes no failure unless HOLDFAST_REQUIRE_SIEM is set.
 *
 * `node test/siem/run.mjs syslog` runs only the files whose name has that word.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const tools = join(here, '../../.cache/siem');

const packages = {
  npm: ['@duckdb/node-api@1.5.6-r.1', '@kusto/language-service-next@12.4.1', 'nsyslog-parser@0.10.1'],
  // The two can't be installed side by side, and need not be installed at all.
  debian: [
    ...['rsyslog', 'rsyslog-gnutls', 'rsyslog-openssl', 'libestr0', 'libfastjson4', 'liblognorm5'],
    ...['syslog-ng-core', 'libivykis0', 'libnet1', 'libpcre3', 'libwrap0'],
  ],
  // Each in a folder of its own: two want different releases of what both need.
  python: { esql: 'esql-parser==9.1.3', kql: 'duckdb-kql==1.1.2', cef: 'pycef==1.11' },
};

const built = [
  { name: 'collector', what: 'the OpenTelemetry Collector', steps: [['go', 'build', '-o', 'collector', '.']] },
  {
    name: 'victorialogs',
    what: 'VictoriaLogs',
    steps: [['go', 'build', '-o', 'victoria-logs', 'github.com/VictoriaMetrics/VictoriaLogs/app/victoria-logs']],
  },
  {
    name: 'opensearch',
    what: 'OpenSearch',
    steps: [
      ['mvn', '-q', '-B', 'dependency:copy-dependencies', '-DoutputDirectory=lib'],
      ['javac', '-cp', 'lib/*', '-d', 'classes', 'Server.java'],
    ],
  },
];

process.exitCode = main();

function main() {
  mkdirSync(tools, { recursive: true });
  const missing = [];
  attempt('npm', [packages.npm, readFileSync(fileURLToPath(import.meta.url))], installNpm, missing);
  attempt('debian', [packages.debian], installDebian, missing);
  for (const [name, wanted] of Object.entries(packages.python))
    attempt(name, [wanted], () => installPython(name, wanted), missing);
  for (const { name, what, steps } of built)
    attempt(name, [contentOf(name), steps.flat()], build(name, what, steps), missing);
  for (const line of missing) process.stderr.write(`\n  NOT TESTED: ${line}\n\n`);
  const words = process.argv.slice(2);
  const files = readdirSync(here)
    .filter((file) => file.endsWith('.siem.ts'))
    .filter((file) => words.length === 0 || words.some((word) => file.includes(word)))
    .map((file) => join(here, file));
  const env = { ...process.env, HOLDFAST_SIEM_TOOLS: tools };
  const run = spawnSync(process.execPath, ['--test', '--test-concurrency=1', '--test-timeout=120000', ...files], {
    stdio: 'inherit',
    env,
  });
  if (run.status !== 0) return 1;
  return missing.length > 0 && process.env.HOLDFAST_REQUIRE_SIEM !== undefined ? 1 : 0;
}

/** Each tool has a stamp that is written last, so that an installation that was cut off is begun anew. */
function attempt(name, content, install, missing) {
  const stamp = join(tools, `${name}.stamp`);
  const expected = content.map(String).join('\n');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === expected) return;
  rmSync(stamp, { force: true });
  process.stdout.write(`Installing into .cache/siem: ${name} …\n`);
  const problem = install();
  if (problem === undefined) writeFileSync(stamp, expected);
  else missing.push(problem);
}

function installNpm() {
  const folder = join(tools, 'npm');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{"private":true}');
  const npm = ['install', '--no-audit', '--no-fund', '--ignore-scripts', '--save-exact', ...packages.npm];
  return run('npm', npm, folder, 'the shipped SQL and KQL, and syslog by another parser');
}

function installPython(name, wanted) {
  rmSync(join(tools, name), { recursive: true, force: true });
  const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--target', join(tools, name), wanted];
  return run('python3', pip, tools, wanted);
}

function installDebian() {
  const what = 'rsyslog and syslog-ng';
  if (process.platform !== 'linux') return `${what}: Debian's packages run on Linux alone`;
  const folder = join(tools, 'debian');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const problem = run('apt-get', ['download', ...packages.debian], folder, what);
  if (problem !== undefined) return problem;
  for (const file of readdirSync(folder)) {
    const failed = run('dpkg', ['-x', file, 'root'], folder, what);
    if (failed !== undefined) return failed;
    rmSync(join(folder, file));
  }
  return undefined;
}

/** In a copy of the folder of that name. */
function build(name, what, steps) {
  return () => {
    const folder = join(tools, name);
    rmSync(folder, { recursive: true, force: true });
    cpSync(join(here, name), folder, { recursive: true });
    for (const [command, ...args] of steps) {
      const problem = run(command, args, folder, what);
      if (problem !== undefined) return problem;
    }
    return undefined;
  };
}

function contentOf(name) {
  const folder = join(here, name);
  return readdirSync(folder)
    .sort()
    .map((file) => readFileSync(join(folder, file), 'utf8'))
    .join('\n');
}

/** What stands in the way, if anything does. */
function run(command, args, cwd, what) {
  const { status, stderr, error } = spawnSync(command, args, { cwd, encoding: 'utf8', timeout: 900_000 });
  if (status === 0) return undefined;
  return `${what}: "${command} ${args[0]}" failed: ${error?.message ?? stderr.trim().split('\n').at(-1)}`;
}
