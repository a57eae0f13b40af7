import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { formatAr, formatTar } from './archives.ts';
import { formatDeb } from './deb.ts';
import { detectInit, type InstallRequest, install, uninstall } from './install.ts';
import { commands, units } from './units.ts';

async function createWorld(t: TestContext, change: Partial<InstallRequest> = {}) {
  const base = await mkdtemp(join(tmpdir(), 'holdfast-install-'));
  t.after(() => rm(base, { recursive: true }));
  const executable = join(base, 'downloaded');
  await writeFile(executable, 'the program', { mode: 0o700 });
  await writeFile(`${executable}.manifest`, 'the signed manifest');
  const said: string[] = [];
  const ran: string[] = [];
  const request: InstallRequest = {
    executable,
    init: 'systemd',
    destination: join(base, 'root'),
    dryRun: false,
    isRoot: true,
    say: (line) => void said.push(line),
    run: async (argv) => void ran.push(argv.join(' ')),
    ...change,
  };
  return { base, root: join(base, 'root'), request, said, ran };
}

describe('install', () => {
  test('puts program, manifest, unit and link in place, with their modes; a second time it changes nothing', async (t) => {
    const { root, request } = await createWorld(t);
    assert.equal(await install(request), true);
    const program = join(root, 'opt/holdfast-agent/holdfast-agent');
    assert.equal(await readFile(program, 'utf8'), 'the program');
    assert.equal((await stat(program)).mode & 0o777, 0o755);
    assert.equal(await readFile(`${program}.manifest`, 'utf8'), 'the signed manifest');
    assert.equal(await readFile(join(root, units.systemd.path), 'utf8'), units.systemd.text);
    assert.equal(await readlink(join(root, 'usr/local/bin/holdfast-agent')), '/opt/holdfast-agent/holdfast-agent');
    const before = await stat(program);
    assert.equal(await install(request), false);
    assert.equal((await stat(program)).ino, before.ino);
  });

  test('what differs is put right, and nothing else is touched', async (t) => {
    const { root, request, said } = await createWorld(t);
    await install(request);
    await chmod(join(root, units.systemd.path), 0o666);
    said.length = 0;
    await install(request);
    assert.deepEqual(said, [`writes ${units.systemd.path}`]);
  });

  test('a dry run says all and does nothing', async (t) => {
    const { base, request, said, ran } = await createWorld(t);
    const { destination, ...rest } = request;
    await install({ ...rest, dryRun: true, destination: join(base, 'none') });
    assert.ok(said.includes('would write /opt/holdfast-agent/holdfast-agent'));
    assert.deepEqual(ran, []);
    assert.ok(!(await readdir(base)).includes('none'));
    assert.ok(destination);
  });

  test('without its signed manifest, and by anybody but root, it is refused', async (t) => {
    const { request } = await createWorld(t);
    await rm(`${request.executable}.manifest`);
    await assert.rejects(install(request), /no signed manifest beside/);
    const { destination, ...real } = request;
    await assert.rejects(install({ ...real, isRoot: false }), /only root/);
    assert.ok(destination);
  });

  test('uninstall removes what install put there, keeps the state unless told, and is content with nothing', async (t) => {
    const { root, request, said } = await createWorld(t);
    await install(request);
    const state = join(root, 'var/lib/holdfast-agent');
    await writeFile(join(root, 'keep'), '');
    await mkdir(state, { recursive: true });
    await uninstall({ ...request, dryRun: true });
    assert.equal((await stat(join(root, 'opt/holdfast-agent/holdfast-agent'))).isFile(), true);
    await uninstall(request);
    await assert.rejects(stat(join(root, 'opt/holdfast-agent')));
    await assert.rejects(stat(join(root, units.systemd.path)));
    assert.equal((await stat(state)).isDirectory(), true);
    await uninstall({ ...request, purge: '/var/lib/holdfast-agent' });
    await assert.rejects(stat(state));
    said.length = 0;
    assert.equal(await uninstall(request), false);
    assert.deepEqual(said, ['nothing is installed']);
  });

  test('the service manager is found by what only it has', () => {
    const machine = (...paths: string[]) => detectInit((path) => paths.includes(path));
    assert.equal(machine('/run/systemd/system', '/sbin/openrc-run'), 'systemd');
    assert.equal(machine('/sbin/openrc-run'), 'openrc');
    assert.equal(machine('/bin/launchctl'), 'launchd');
    assert.throws(() => machine(), /neither systemd, nor OpenRC, nor launchd/);
  });

  test('every unit starts the launcher, again and again, and has no way around a check', () => {
    for (const [init, { text }] of Object.entries(units)) {
      assert.match(text, /holdfast-agent/, init);
      assert.match(text, /service|<string>service<\/string>/, init);
    }
    assert.match(units.systemd.text, /^Restart=always$/m);
    assert.match(units.systemd.text, /^Environment=MALLOC_MMAP_THRESHOLD_=32768$/m);
    assert.match(units.openrc.text, /^export MALLOC_MMAP_THRESHOLD_=32768$/m);
    assert.match(units.systemd.text, /^UnsetEnvironment=.*\bLD_PRELOAD\b.*\bNODE_OPTIONS\b/m);
    for (const { enable, disable } of Object.values(commands)) assert.ok(enable.length > 0 && disable.length > 0);
  });
});

describe('the Debian package', () => {
  const input = {
    version: '1.2.0-rc.1',
    architecture: 'amd64',
    program: Buffer.from('the program'),
    manifest: Buffer.from('the manifest'),
    license: Buffer.from('a license'),
  };

  test('the same build gives the same bytes; a pre-release sorts before its release', () => {
    const deb = formatDeb(input);
    assert.deepEqual(deb, formatDeb(input));
    assert.equal(deb.subarray(0, 8).toString(), '!<arch>\n');
    const at = deb.indexOf('control.tar.gz');
    const size = Number(deb.subarray(at + 48, at + 58).toString());
    const control = gunzipSync(deb.subarray(at + 60, at + 60 + size)).toString('latin1');
    assert.match(control, /^Version: 1\.2\.0~rc\.1$/m);
  });

  test('members are padded, and a path that does not fit is refused', () => {
    assert.equal(formatTar([{ kind: 'file', path: 'a', mode: 0o644, bytes: Buffer.alloc(513) }]).length, 512 * 5);
    assert.throws(() => formatTar([{ kind: 'directory', path: 'x'.repeat(101) }]), /too long/);
    assert.equal(formatAr([{ name: 'a', bytes: Buffer.alloc(1) }]).length, 8 + 60 + 2);
  });
});
