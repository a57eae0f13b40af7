/**
 * Platforms other than Debian, each by what its own tools print and take. The transcripts were written from the
 * documented formats of these tools, not captured on such machines.
 */
import assert from 'node:assert/strict';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { withDirectory } from '../../test/conformance/executor-fixture.ts';
import { runResources } from '../engine.ts';
import { executors } from '../executors/registry.ts';
import type { Command, CommandResult, Host } from '../host.ts';
import { createLocalHost } from '../local-host.ts';
import { memoryNotifications } from '../notifications.ts';
import { packageManagerOf } from './packages.ts';
import { serviceManagerOf } from './services.ts';

type Answer = Partial<CommandResult> & { readonly after?: () => Promise<void> | void };

/** A machine of these files, whose commands answer as the transcript says; each command that ran is noted. */
async function onMachine(
  platform: string,
  files: { readonly [path: string]: string },
  answer: (line: string) => Answer | undefined,
  work: (host: Host, ran: string[], root: string) => Promise<void>,
): Promise<void> {
  await withDirectory(async (root) => {
    for (const [path, content] of Object.entries(files)) {
      await mkdir(dirname(join(root, path)), { recursive: true, mode: 0o755 });
      await writeFile(join(root, path), content, { mode: 0o644 });
    }
    const ran: string[] = [];
    const play = async ({ argv }: Command): Promise<CommandResult> => {
      const line = argv.join(' ');
      const found = answer(line);
      await found?.after?.();
      const stdout = found?.stdout ?? '';
      return { exitCode: found === undefined ? 127 : (found.exitCode ?? 0), stdout, output: stdout };
    };
    const local = createLocalHost({ root, platform });
    const remembered = new Map<string, Promise<unknown>>();
    const host: Host = {
      ...local,
      remembered<T>(key: string, make: () => Promise<T>) {
        const known = (remembered.get(key) as Promise<T> | undefined) ?? make();
        remembered.set(key, known);
        return known;
      },
      probe: play,
      run(command) {
        ran.push(command.argv.join(' '));
        remembered.clear();
        return play(command);
      },
    };
    await work(host, ran, root);
  });
}

async function converge(host: Host, type: string, desired: { [field: string]: unknown }) {
  const executor = executors.get(type);
  assert.ok(executor);
  const id = executor.id(executor.schema.parse(desired));
  const deps = {
    executors,
    host,
    guard: async () => undefined,
    notifications: memoryNotifications(),
    blob: async () => new Uint8Array(),
    now: () => 0,
    deadline: () => new AbortController().signal,
  };
  const [outcome] = await runResources(deps, [{ crate: 'c', type, id, desired }], { dryRun: false });
  return `${outcome?.result} ${outcome?.reason}`.trim();
}

describe('package managers', () => {
  const rpm = 'bash 5.1.8-9.el9 x86_64\nkernel 5.14.0-1.el9 x86_64\nkernel 5.14.0-2.el9 x86_64\n';
  const cases: readonly [string, string, string, (installed: boolean) => string, string][] = [
    [
      'usr/bin/dnf',
      'rpm -qa',
      'dnf',
      (is) => `${rpm}${is ? 'nginx 1.20.1-14.el9 x86_64\n' : ''}`,
      'dnf -y -q install nginx',
    ],
    [
      'usr/bin/zypper',
      'rpm -qa',
      'zypper',
      (is) => `${rpm}${is ? 'nginx 1.21.5-1 x86_64\n' : ''}`,
      'zypper --non-interactive install --name nginx',
    ],
    [
      'usr/bin/pacman',
      'pacman -Q',
      'pacman',
      (is) => `bash 5.2.026-2\n${is ? 'nginx 1.26.0-1\n' : ''}`,
      'pacman --sync --noconfirm --needed nginx',
    ],
  ];
  for (const [path, list, tool, printed, install] of cases) {
    test(`${tool}: what is not listed is installed, and then left alone`, async () => {
      let isInstalled = false;
      const answer = (line: string): Answer | undefined => {
        if (line.startsWith(list)) return { stdout: printed(isInstalled) };
        return line === install
          ? {
              after() {
                isInstalled = true;
              },
            }
          : undefined;
      };
      await onMachine('linux', { [path]: '' }, answer, async (host, ran) => {
        assert.equal((await packageManagerOf(host)).tool, tool);
        assert.equal(await converge(host, 'package', { name: 'nginx' }), 'created it is not installed');
        assert.equal(await converge(host, 'package', { name: 'nginx' }), 'unchanged');
        assert.deepEqual(ran, [install]);
      });
    });
  }

  test('apk: its own database is read', async () => {
    const database = 'C:Q1x=\nP:busybox\nV:1.36.1-r29\nA:x86_64\n\nC:Q1y=\nP:curl\nV:8.5.0-r0\nf:f\n\n';
    await onMachine(
      'linux',
      { 'sbin/apk': '', 'lib/apk/db/installed': database },
      () => ({}),
      async (host) => {
        assert.equal(await converge(host, 'package', { name: 'busybox', version: '1.36.1-r29' }), 'unchanged');
        assert.match(await converge(host, 'package', { name: 'curl' }), /^failed still not as desired.*cut short/);
      },
    );
  });

  test('brew: runs as the owner of its directory, from its own path', async () => {
    const answer = (line: string): Answer => ({
      stdout: line === 'brew list --versions' ? 'jq 1.7.1\nopenssl@3 3.3.0 3.3.1\n' : '',
    });
    await onMachine('darwin', { 'opt/homebrew/bin/brew': '' }, answer, async (host, ran) => {
      assert.equal(await converge(host, 'package', { name: 'jq' }), 'unchanged');
      assert.match(await converge(host, 'package', { name: 'wget' }), /^failed/);
      assert.deepEqual(ran, ['brew install --quiet wget']);
    });
  });
});

describe('service managers', () => {
  test('OpenRC: started by rc-service, enabled by rc-update', async () => {
    let isRunning = false;
    const files = { 'run/openrc/softlevel': '', 'etc/init.d/nginx': '', 'etc/runlevels/default/sshd': '' };
    await onMachine(
      'linux',
      files,
      () => undefined,
      async (_host, _ran, root) => {
        const host = createLocalHost({ root, platform: 'linux' });
        const ran: string[] = [];
        const playing: Host = {
          ...host,
          async probe({ argv }) {
            assert.deepEqual(argv, ['rc-service', 'nginx', 'status']);
            return { exitCode: isRunning ? 0 : 3, stdout: '', output: '' };
          },
          async run({ argv }) {
            ran.push(argv.join(' '));
            if (argv[0] === 'rc-update') await symlink('/etc/init.d/nginx', join(root, 'etc/runlevels/default/nginx'));
            else isRunning = true;
            return { exitCode: 0, stdout: '', output: '' };
          },
        };
        assert.equal((await serviceManagerOf(playing)).tool, 'openrc');
        const desired = { name: 'nginx', state: 'running', enabled: true };
        assert.equal(await converge(playing, 'service', desired), 'updated it is not enabled, it is not running');
        assert.equal(await converge(playing, 'service', desired), 'unchanged');
        assert.deepEqual(ran, ['rc-update add nginx default', 'rc-service nginx start']);
      },
    );
  });

  test('launchd: loaded, started and enabled in the system domain', async () => {
    let isLoaded = false;
    let isDisabled = true;
    const answer = (line: string): Answer | undefined => {
      switch (line) {
        case 'launchctl print system/com.example.web':
          return isLoaded
            ? { stdout: 'com.example.web = {\n\tactive count = 1\n\tstate = running\n}\n' }
            : { exitCode: 113 };
        case 'launchctl print-disabled system':
          return {
            stdout: `\tdisabled services = {\n\t\t"com.example.web" => ${isDisabled ? 'disabled' : 'enabled'}\n\t}\n`,
          };
        case 'launchctl enable system/com.example.web':
          return {
            after() {
              isDisabled = false;
            },
          };
        case 'launchctl bootstrap system /Library/LaunchDaemons/com.example.web.plist':
          return {
            after() {
              isLoaded = true;
            },
          };
        case 'launchctl kickstart system/com.example.web':
          return {};
        default:
          return undefined;
      }
    };
    const files = { 'bin/launchctl': '', 'Library/LaunchDaemons/com.example.web.plist': '' };
    await onMachine('darwin', files, answer, async (host, ran) => {
      const desired = { name: 'com.example.web', state: 'running', enabled: true };
      assert.equal(await converge(host, 'service', desired), 'updated it is not enabled, it is not running');
      assert.equal(await converge(host, 'service', desired), 'unchanged');
      assert.equal(ran.length, 3);
    });
  });
});

test('macOS: a user is read from the directory, and changed in it', async () => {
  let shell = '/bin/zsh';
  const answer = (line: string): Answer | undefined => {
    switch (line) {
      case 'dscl . -read /Users/deploy':
        return {
          stdout: `NFSHomeDirectory: /Users/deploy\nPrimaryGroupID: 20\nRealName:\n The Deployer\nUniqueID: 501\nUserShell: ${shell}\n`,
        };
      case 'dscl . -list /Groups GroupMembership':
        return { stdout: 'admin      root deploy\nstaff      root\n' };
      case 'dscl . -create /Users/deploy UserShell /bin/bash':
        return {
          after() {
            shell = '/bin/bash';
          },
        };
      default:
        return undefined;
    }
  };
  await onMachine('darwin', { 'usr/bin/dscl': '', 'Users/deploy/.keep': '' }, answer, async (host, ran) => {
    const desired = { name: 'deploy', uid: 501, shell: '/bin/bash', comment: 'The Deployer', groups: ['admin'] };
    assert.equal(await converge(host, 'user', desired), 'updated another shell');
    assert.equal(await converge(host, 'user', desired), 'unchanged');
    assert.deepEqual(ran, ['dscl . -create /Users/deploy UserShell /bin/bash']);
    assert.match(await converge(host, 'user', { ...desired, password_hash: '*' }), /macOS keeps no crypt hashes/);
  });
});

test('busybox: what it can’t change is said, with the way out', async () => {
  const files = {
    'usr/sbin/adduser': '',
    'etc/passwd': 'app:x:100:101::/home/app:/bin/ash\n',
    'etc/group': 'app:x:101:\n',
  };
  await onMachine(
    'linux',
    files,
    () => ({}),
    async (host) => {
      assert.equal(await converge(host, 'user', { name: 'app', shell: '/bin/ash', create_home: false }), 'unchanged');
      const changed = await converge(host, 'user', { name: 'app', shell: '/bin/sh', create_home: false });
      assert.match(changed, /install the package "shadow"/);
    },
  );
});

test('Windows and machines without any known tool are refused with one clear sentence', async () => {
  await onMachine(
    'win32',
    {},
    () => undefined,
    async (host) => {
      assert.match(
        await converge(host, 'package', { name: 'x' }),
        /Windows is not supported: the agent runs on Linux and macOS/,
      );
    },
  );
  await onMachine(
    'linux',
    {},
    () => undefined,
    async (host) => {
      assert.match(
        await converge(host, 'package', { name: 'x' }),
        /no package manager that the agent knows: apt, zypper, dnf/,
      );
      assert.match(
        await converge(host, 'service', { name: 'x', state: 'running' }),
        /no service manager that the agent knows/,
      );
    },
  );
});
