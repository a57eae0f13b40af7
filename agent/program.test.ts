import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { logger, withState } from '../test/fakes/agent.ts';
import { exitCodes, runAgent } from './program.ts';

async function runCommand(...args: string[]) {
  const out: string[] = [];
  const err: string[] = [];
  const exitCode = await runAgent(args, {
    out: (text) => void out.push(text),
    err: (text) => void err.push(text),
    stop: new AbortController().signal,
    agentVersion: '1.2.3',
    logger,
  });
  return { exitCode, out: out.join(''), err: err.join('') };
}

describe('holdfast-agent', () => {
  test('--help has examples and the exit codes; --version the version', async () => {
    const help = await runCommand('--help');
    assert.equal(help.exitCode, exitCodes.ok);
    assert.match(help.out, /Examples:\n {2}holdfast-agent join --server/);
    for (const code of Object.values(exitCodes)) {
      assert.match(help.out, new RegExp(`\n  ${code} +\\S`));
    }
    assert.equal((await runCommand('--version')).out, '1.2.3\n');
  });

  test('Windows is refused with a clear message, before anything is read or made', async () => {
    const err: string[] = [];
    const around = { out: () => undefined, err: (text: string) => void err.push(text), agentVersion: '1', logger };
    const stop = new AbortController().signal;
    assert.equal(await runAgent(['run'], { ...around, stop, platform: 'win32' }), exitCodes.configuration);
    assert.deepEqual(err, ['error: Windows is not supported: the agent runs on Linux and macOS\n']);
  });

  test('wrong usage is exit 2, with a hint, and says nothing of the token', async () => {
    const cases = [
      ['frobnicate'],
      ['run', '--bogus'],
      ['join'],
      ['join', '--server', 'http://plain.example', '--token', 'hfe_secret'],
      ['join', '--server', 'https://identity.example', '--token', 'hfe_secret'],
    ];
    for (const args of cases) {
      const { exitCode, err, out } = await runCommand(...args);
      assert.equal(exitCode, exitCodes.usage, args.join(' '));
      assert.match(err, /^error: .*\nhint: /);
      assert.doesNotMatch(err + out, /hfe_secret/);
    }
    await withState(async ({ path }) => {
      assert.equal((await runCommand('run', '--interval', '0', '--state', path)).exitCode, exitCodes.usage);
    });
  });

  test('a state directory that is missing, empty or open to others is exit 78, with the remedy', async () => {
    await withState(async ({ path }, base) => {
      for (const command of [['status'], ['run', '--once']]) {
        const missing = await runCommand(...command, '--state', join(base, 'missing'));
        assert.equal(missing.exitCode, exitCodes.configuration);
        assert.match(missing.err, /hint: run `holdfast-agent join/);
        const empty = await runCommand(...command, '--state', path);
        assert.equal(empty.exitCode, exitCodes.configuration);
        await chmod(path, 0o755);
        const loose = await runCommand(...command, '--state', path);
        assert.equal(loose.exitCode, exitCodes.configuration);
        assert.match(loose.err, /hint: chmod 700/);
        await chmod(path, 0o700);
      }
    });
  });

  test('the launcher runs it in a Node that can, and hands on arguments and exit code', async () => {
    const launcher = fileURLToPath(new URL('./holdfast-agent.mjs', import.meta.url));
    const { status, stderr } = spawnSync(process.execPath, [launcher, 'status', '--state', '/nowhere/x'], {
      encoding: 'utf8',
    });
    assert.equal(status, exitCodes.configuration);
    assert.match(stderr, /^error: no node is joined in "\/nowhere\/x"\nhint: /);
  });
});
