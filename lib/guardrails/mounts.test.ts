import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { otherPlacesOf, parseMountInfo } from './mounts.ts';

const line = (root: string, point: string, device = '8:1') => `3 1 ${device} ${root} ${point} rw - ext4 /dev/sda1 rw`;
const places = (path: string, ...lines: readonly string[]) => otherPlacesOf(path, parseMountInfo(lines.join('\n')));

describe('mounts', () => {
  test('R40 a bind mount is seen from both of its ends', () => {
    const mounts = [line('/', '/'), line('/etc', '/srv/bind')];
    assert.deepEqual(places('/srv/bind/passwd', ...mounts), ['/etc/passwd']);
    assert.deepEqual(places('/SRV/Bind/passwd', ...mounts), ['/etc/passwd']);
    assert.deepEqual(places('/etc/passwd', ...mounts), ['/srv/bind/passwd']);
    assert.deepEqual(places('/srv/bind', ...mounts), ['/etc']);
  });

  test('R40 a bind mount of part of another device is seen through', () => {
    const mounts = [line('/', '/'), line('/', '/var', '8:2'), line('/lib/dpkg', '/srv/dpkg', '8:2')];
    assert.deepEqual(places('/srv/dpkg/status', ...mounts), ['/var/lib/dpkg/status']);
  });

  test('R40 of two mounts at one point, the one that hides the other counts', () => {
    const mounts = [line('/', '/'), line('/data', '/srv/bind'), line('/etc', '/srv/bind')];
    assert.ok(places('/srv/bind/passwd', ...mounts).includes('/etc/passwd'));
  });

  test('R40 a directory with two names is one and the same', () => {
    const mounts = [line('/', '/'), line('/etc', '/usr/lib/bind'), line('/usr/lib/systemd', '/srv/bind')];
    assert.deepEqual(places('/lib/bind/passwd', ...mounts), ['/etc/passwd']);
    assert.deepEqual(places('/srv/bind/system', ...mounts), ['/lib/systemd/system']);
  });

  test('what is mounted once has no other place, and what only looks alike none either', () => {
    const mounts = [line('/', '/'), line('/etc', '/srv/bind'), line('/', '/data', '8:2')];
    for (const path of ['/data/etc/passwd', '/srv/binding/passwd', '/etcetera', '/']) {
      assert.deepEqual(places(path, ...mounts), [], path);
    }
  });

  test('mountinfo is read with its escapes, and rubbish is left out', () => {
    assert.deepEqual(places('/c/x', line('/a\\040b', '/c'), line('/', '/'), 'x'), ['/a b/x']);
    assert.deepEqual(places('/c/x', '', 'rubbish', '1 2 3'), []);
  });
});
