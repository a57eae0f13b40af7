/** What people install: the Debian package as dpkg reads it, the unit as systemd does, and the command itself. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { formatDeb } from '../../agent/install/deb.ts';
import { units } from '../../agent/install/units.ts';
import { agentBuild } from './builds.ts';

const has = (tool: string) => spawnSync('sh', ['-c', `command -v ${tool}`]).status === 0;

function scratch(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-package-'));
  t.after(() => rmSync(directory, { recursive: true }));
  return directory;
}

test('the package is what dpkg takes it for, twice the same, and unpacks to the signed program', (t) => {
  if (!has('dpkg-deb')) return t.skip('dpkg-deb is not installed');
  const directory = scratch(t);
  const build = agentBuild('1.0.0');
  const input = {
    version: '1.0.0',
    architecture: 'amd64',
    program: readFileSync(build.program),
    manifest: readFileSync(build.manifest),
    license: Buffer.from('a license'),
  };
  const deb = formatDeb(input);
  assert.ok(deb.equals(formatDeb(input)));
  t.diagnostic(`holdfast-agent_1.0.0_amd64.deb: ${deb.length} bytes`);
  const path = join(directory, 'agent.deb');
  writeFileSync(path, deb);
  const dpkg = (...args: string[]) => {
    const { status, stdout, stderr } = spawnSync('dpkg-deb', args, { encoding: 'utf8' });
    assert.equal(status, 0, stderr);
    return stdout;
  };
  const info = dpkg('-I', path);
  assert.match(info, /Package: holdfast-agent/);
  assert.match(info, /postinst/);
  const listed = dpkg('-c', path);
  assert.match(listed, /-rwxr-xr-x root\/root +\d+ .* \.\/opt\/holdfast-agent\/holdfast-agent$/m);
  assert.match(listed, /\.\/usr\/bin\/holdfast-agent -> \/opt\/holdfast-agent\/holdfast-agent/);
  dpkg('-x', path, join(directory, 'unpacked'));
  const program = join(directory, 'unpacked/opt/holdfast-agent/holdfast-agent');
  assert.ok(readFileSync(program).equals(input.program));
  dpkg('-e', path, join(directory, 'control'));
  for (const script of ['postinst', 'prerm', 'postrm']) {
    assert.equal(spawnSync('sh', ['-n', join(directory, 'control', script)]).status, 0, script);
  }
  return undefined;
});

test('the one file installs itself below a directory, once, and takes itself away', (t) => {
  const directory = scratch(t);
  const { program } = agentBuild('1.0.0');
  const agent = (...args: string[]) =>
    spawnSync(program, [...args, '--init', 'systemd', '--destination', directory], {
      encoding: 'utf8',
      env: { PATH: '/nonexistent' },
    });
  const dry = agent('install', '--dry-run');
  assert.match(dry.stdout, /would write \/opt\/holdfast-agent\/holdfast-agent\n/);
  assert.deepEqual(readdirSync(directory), []);
  assert.equal(agent('install').status, 0);
  const installed = join(directory, 'opt/holdfast-agent/holdfast-agent');
  assert.equal(statSync(installed).size, statSync(program).size);
  const version = spawnSync(installed, ['--version'], { encoding: 'utf8', env: {} });
  assert.equal(version.stdout, '1.0.0\n');
  assert.equal(agent('install').stdout, 'all is in place already\n');
  assert.equal(agent('uninstall').status, 0);
  assert.equal(agent('uninstall').stdout, 'nothing is installed\n');
});

test('systemd finds nothing wrong with the unit', (t) => {
  if (!has('systemd-analyze')) return t.skip('systemd-analyze is not installed');
  const directory = scratch(t);
  const path = join(directory, 'holdfast-agent.service');
  // Its program is not installed here; what is judged is the unit.
  writeFileSync(path, units.systemd.text.replace(/^ExecStart=\S+/m, 'ExecStart=/bin/true'));
  const { status, stderr, stdout } = spawnSync('systemd-analyze', ['verify', '--man=no', path], { encoding: 'utf8' });
  assert.equal(`${stdout}${stderr}`.includes('holdfast-agent.service'), false, stderr);
  assert.equal(status, 0, stderr);
  return undefined;
});
