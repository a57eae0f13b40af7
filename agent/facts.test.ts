import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { parseCanonicalJson } from '../lib/crypto/jcs.ts';
import { factGroupNames, factTable } from '../lib/policy/facts.ts';
import { localMachine, type Machine } from './facts/machine.ts';
import { type Collectors, collectFacts, collectors } from './facts.ts';
import { createFactsSource } from './facts-source.ts';

const never = () => new AbortController().signal;

/** A machine whose files are these, below a directory of its own. */
async function withMachine(files: { readonly [path: string]: string }, act: (machine: Machine) => Promise<void>) {
  const root = await mkdtemp(join(tmpdir(), 'holdfast-facts-'));
  try {
    for (const [path, content] of Object.entries(files)) {
      await mkdir(dirname(join(root, path)), { recursive: true });
      await writeFile(join(root, path), content);
    }
    await act({
      ...localMachine(root),
      platform: 'linux',
      hostname: 'web-1.example.org',
      interfaces: [
        { name: 'lo', mac: '00:00:00:00:00:00', address: '127.0.0.1/8', isLoopback: true },
        { name: 'eth0', mac: '02:00:00:00:00:01', address: '192.0.2.7/24', isLoopback: false },
        { name: 'eth0', mac: '02:00:00:00:00:01', address: 'fe80::1/64', isLoopback: false },
        { name: 'veth12', mac: '02:00:00:00:00:09', address: '172.17.0.9/16', isLoopback: false },
      ],
    });
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

describe('facts', () => {
  test('of this very machine: every group is there, and the bytes are canonical', async () => {
    const { facts, bytes } = await collectFacts({ machine: localMachine(), deadline: never });
    assert.deepEqual(facts.missing, []);
    for (const name of factGroupNames) assert.ok(facts[name] !== undefined, name);
    assert.deepEqual(parseCanonicalJson(bytes, { maxBytes: 1 << 20 }), facts);
  });

  test('collecting twice gives the same bytes: nothing in them changes by itself', async () => {
    const [one, two] = [
      await collectFacts({ machine: localMachine(), deadline: never }),
      await collectFacts({ machine: localMachine(), deadline: never }),
    ];
    assert.deepEqual(one.bytes, two.bytes);
    assert.deepEqual(one.digest, two.digest);
  });

  test('the time zone is what the machine has by now: the link, the text, or what this process knows', async () => {
    const root = await mkdtemp(join(tmpdir(), 'holdfast-facts-'));
    try {
      const machine = localMachine(root);
      assert.equal(machine.timeZone, Intl.DateTimeFormat().resolvedOptions().timeZone);
      await mkdir(join(root, 'etc'));
      await writeFile(join(root, 'etc/timezone'), 'Asia/Kolkata\n');
      assert.equal(machine.timeZone, 'Asia/Kolkata');
      await writeFile(join(root, 'etc/localtime'), 'TZif2');
      assert.equal(machine.timeZone, 'Asia/Kolkata');
      for (const [target, zone] of [
        ['/usr/share/zoneinfo/Etc/UTC', 'Etc/UTC'],
        ['../usr/share/zoneinfo/Europe/Berlin', 'Europe/Berlin'],
        ['/usr/share/zoneinfo/posix/America/Argentina/Ushuaia', 'America/Argentina/Ushuaia'],
        ['/var/db/timezone/zoneinfo/Europe/Kyiv', 'Europe/Kyiv'],
      ] as const) {
        await rm(join(root, 'etc/localtime'));
        await symlink(target, join(root, 'etc/localtime'));
        assert.equal(machine.timeZone, zone);
      }
    } finally {
      await rm(root, { recursive: true, force: true });
    }
  });

  test('a machine is told by its files', async () => {
    const files = {
      'etc/os-release':
        'ID=ubuntu\nID_LIKE=debian\nVERSION_ID="24.04"\nVERSION_CODENAME=noble\nPRETTY_NAME="Ubuntu 24.04"\n',
      'usr/bin/apt-get': '',
      'run/systemd/system/x': '',
      'etc/passwd':
        'root:x:0:0::/root:/bin/bash\nwww:x:33:33::/:/usr/sbin/nologin\nann:x:1000:1000::/home/ann:/bin/zsh\n',
      'proc/meminfo': 'MemTotal: 1 kB\nSwapTotal:  2048 kB\n',
      'proc/self/mounts':
        '/dev/sda1 / ext4 rw 0 0\n/dev/sda2 /srv/my\\040data xfs rw 0 0\nproc /proc proc rw 0 0\n/dev/sda1 /again ext4 rw 0 0\n',
      'sys/block/sda/size': '2048\n',
      'sys/block/sda/queue/rotational': '0\n',
      'sys/block/loop0/size': '1\n',
      'sys/class/dmi/id/sys_vendor': 'Amazon EC2\n',
      'sys/class/dmi/id/product_name': 't3.micro\n',
      'sys/class/tpm/tpm0/tpm_version_major': '2\n',
      'sys/firmware/efi/efivars/SecureBoot-8be4df61': '\u0006\u0000\u0000\u0000\u0001',
    };
    await withMachine(files, async (machine) => {
      const { facts } = await collectFacts({ machine, deadline: never });
      assert.deepEqual(facts.os, {
        kind: 'linux',
        family: 'debian',
        id: 'ubuntu',
        version: '24.04',
        codename: 'noble',
        name: 'Ubuntu 24.04',
      });
      assert.deepEqual(facts.packages, { manager: 'apt' });
      assert.deepEqual(facts.services, { manager: 'systemd' });
      assert.deepEqual(facts.users, { names: ['ann', 'root'] });
      assert.equal(facts.memory?.swapBytes, 2 * 1024 * 1024);
      assert.deepEqual(facts.disks, {
        devices: [{ name: 'sda', bytes: 1024 * 1024, rotational: false }],
        filesystems: [
          { path: '/', device: '/dev/sda1', type: 'ext4' },
          { path: '/srv/my data', device: '/dev/sda2', type: 'xfs' },
        ],
      });
      assert.deepEqual(facts.network, {
        hostname: 'web-1.example.org',
        domain: 'example.org',
        addresses: ['192.0.2.7'],
        interfaces: [{ name: 'eth0', mac: '02:00:00:00:00:01', addresses: ['192.0.2.7/24'] }],
      });
      assert.deepEqual(facts.virtualization, { kind: 'kvm', container: false });
      assert.deepEqual(facts.cloud, { provider: 'aws', instanceType: 't3.micro' });
      assert.deepEqual(facts.security, { tpm: true, tpmVersion: '2', uefi: true, secureBoot: true });
    });
  });

  test('a machine without any of these files has facts all the same', async () => {
    await withMachine({}, async (machine) => {
      const { facts } = await collectFacts({ machine, deadline: never });
      assert.deepEqual(facts.missing, []);
      assert.equal(facts.os?.family, 'other');
      assert.deepEqual(facts.security, { tpm: false, tpmVersion: '', uefi: false, secureBoot: false });
    });
  });

  test('one collector that throws, one that hangs and one that tells nonsense: the others are told', async () => {
    const reasons = new Map<string, string>();
    const hung = new AbortController();
    let asked = 0;
    const broken: Collectors = {
      ...collectors,
      os: async () => {
        throw new Error('broken');
      },
      disks: () => new Promise(() => hung.abort()),
      cpu: async () => ({ count: -1, model: 'x' }),
    };
    const { facts } = await collectFacts({
      machine: localMachine(),
      collectors: broken,
      deadline: () => (asked++ === factGroupNames.indexOf('disks') ? hung.signal : never()),
      onMissing: (group, reason) => reasons.set(group, reason),
    });
    assert.equal(reasons.get('os'), 'broken');
    assert.equal(reasons.get('disks'), 'its time was up');
    assert.match(reasons.get('cpu') ?? '', /no such fact: count/);
    assert.ok(facts.missing.includes('disks') && facts.disks === undefined);
  });

  test('a machine with more to tell than a report carries is told in part, text and lists cut', async () => {
    const names = Array.from({ length: 5_000 }, (_, i) => `${'n'.repeat(300)}${i}`);
    const huge: Collectors = {
      ...collectors,
      os: async () => ({
        kind: 'linux',
        family: 'debian',
        id: 'x'.repeat(9_999),
        version: '\ud800',
        codename: '',
        name: '',
      }),
      users: async () => ({ names: names.map((name) => name.slice(0, 60)) }),
      network: async () => ({
        hostname: 'x',
        domain: '',
        addresses: [],
        interfaces: names.slice(0, 200).map((name) => ({ name, mac: 'y'.repeat(200), addresses: [] })),
      }),
    };
    const { facts, bytes } = await collectFacts({ machine: localMachine(), collectors: huge, deadline: never });
    assert.ok(bytes.length <= 64 * 1024);
    assert.equal(facts.os?.id.length, 256);
    assert.equal(facts.os?.version, '\ufffd');
    assert.ok(facts.missing.includes('network'));
  });

  test('every fact has a sentence that says what it is', () => {
    for (const { path, about } of factTable.values()) assert.notEqual(about, '', path);
  });

  test('they are collected again when they are no longer fresh, and once for two who ask', async () => {
    let now = 0;
    let count = 0;
    const collected = await collectFacts({ machine: localMachine(), deadline: never });
    const source = createFactsSource({
      now: () => now,
      collect: async () => {
        count += 1;
        return collected;
      },
    });
    await Promise.all([source.latest(), source.latest()]);
    assert.equal(count, 1);
    now = 59_999;
    await source.latest();
    assert.equal(count, 1);
    now = 60_000;
    await source.latest();
    assert.equal(count, 2);
    now = 10;
    await source.latest();
    assert.equal(count, 3, 'the clock was set back');
  });
});
