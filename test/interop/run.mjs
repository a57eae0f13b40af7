/**
 * `npm run test:interop`: the verifiers of others judge our logs. They must accept the good ones and reject the bad ones:
 * Go's sumdb/note and tlog, transparency-dev's merkle, torchwood (C2SP tlog-proof, tlog-policy, tlog-cosignature), its
 * litewitness (C2SP tlog-witness, the whole protocol), and @sigstore/verify. What is not installed is skipped, loudly.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { judgeWithGo } from './go-judge.ts';
import { judgeWithWitness } from './litewitness.ts';
import { makeBadLogs, makeLog } from './logs.ts';
import { createReport } from './report.ts';
import { judgeWithSigstore } from './sigstore.ts';

const here = import.meta.dirname;
const cache = join(here, '.cache');
const logs = join(cache, 'logs');
mkdirSync(logs, { recursive: true });
const report = createReport();
const good = await makeLog(logs);
const bad = await makeBadLogs(logs, good);
await judgeWithSigstore(report, good, bad);

const environment = {
  ...process.env,
  GOFLAGS: '-mod=readonly -modcacherw',
  GOMODCACHE: join(cache, 'go'),
  GOTOOLCHAIN: 'local',
};
const go = (args) => spawnSync('go', args, { cwd: join(here, 'go'), env: environment, encoding: 'utf8' });
const version = go(['version']);
if (version.status === 0) {
  const judge = join(cache, 'judge');
  const built = go(['build', '-o', judge, '.']);
  if (built.status === 0) {
    await judgeWithGo(report, judge, cache, good, bad);
    const litewitness = join(cache, 'litewitness');
    const witness = go(['build', '-o', litewitness, 'filippo.io/torchwood/cmd/litewitness']);
    if (witness.status === 0) await judgeWithWitness(report, litewitness, cache, good);
    else report.skip('litewitness', `it can not be built here: ${witness.stderr.trim().split('\n').at(-1)}`);
  } else report.skip('Go verifiers', `they can not be built here: ${built.stderr.trim().split('\n').at(-1)}`);
} else report.skip('Go verifiers and litewitness', 'Go is not installed');

process.exitCode = report.end();
