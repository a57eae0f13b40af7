/** R35–R36: what the system's texts say, and that each finding is told once for as long as it lasts. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Finding, finding, findingSchema } from './finding.ts';
import { codeOptions, preloads, tracerPid, unexpectedMappings } from './judge.ts';
import { createProcessWatch } from './watch.ts';

const maps = `00400000-00500000 r-xp 00000000 08:01 11    /usr/bin/node
00600000-00700000 rw-p 00000000 08:01 11    /usr/bin/node
01000000-01100000 rwxp 00000000 00:00 0
7f0000000000-7f0000010000 r-xp 00000000 08:01 21    /usr/lib/x86_64-linux-gnu/libc.so.6
7f0000020000-7f0000030000 r-xp 00000000 08:01 22    /lib64/ld-linux-x86-64.so.2 (deleted)
7f0000040000-7f0000050000 r-xp 00000000 00:01 31    /tmp/#31 (deleted)
7f0000060000-7f0000070000 r--p 00000000 08:01 41    /tmp/data.so
7ffff0000000-7ffff0001000 r-xp 00000000 00:00 0     [vdso]
`;
const expected = { executable: '/usr/bin/node', inodes: new Set(['31']), preloaded: [] };

describe('R35 the judgement of what proc says', () => {
  it('finds a tracer', () => {
    assert.equal(tracerPid('Name:\tnode\nTracerPid:\t0\nUid:\t0\n'), 0);
    assert.equal(tracerPid('Name:\tnode\nTracerPid:\t4711\nUid:\t0\n'), 4711);
  });

  it('expects the executable, the system, what the gate mapped, and the just-in-time compiler', () => {
    assert.deepEqual(unexpectedMappings(maps, expected), []);
  });

  it('finds code that is mapped from anywhere else', () => {
    for (const path of [
      '/tmp/evil.so',
      '/home/a/lib/x.so',
      '/memfd:x (deleted)',
      '/tmp/#32 (deleted)',
      '/dev/shm/a b.so',
    ]) {
      const more = `${maps}7f0000080000-7f0000090000 r-xp 00000000 08:01 51    ${path}\n`;
      assert.deepEqual(unexpectedMappings(more, expected), [finding('mapping', path.replace(' (deleted)', ''))], path);
    }
  });

  it('finds a preloaded library by its variable, and not again by its mapping', () => {
    const found = preloads({ LD_PRELOAD: '/tmp/a.so:/tmp/b.so c.so', LD_AUDIT: '/tmp/d.so' }, '# none\n/opt/e.so\n');
    assert.deepEqual(
      found.map(({ what }) => what),
      [
        'LD_PRELOAD=/tmp/a.so',
        'LD_PRELOAD=/tmp/b.so',
        'LD_PRELOAD=c.so',
        'LD_AUDIT=/tmp/d.so',
        'ld.so.preload: /opt/e.so',
      ],
    );
    const mapped = `7f0000080000-7f0000090000 r-xp 00000000 08:01 51    /tmp/a.so\n`;
    assert.deepEqual(unexpectedMappings(mapped, { ...expected, preloaded: found.map(({ what }) => what) }), []);
    assert.deepEqual(preloads({}, ''), []);
  });

  it('finds options that carry code, those that the gate took away too, each once', () => {
    const found = codeOptions(['--inspect=0', '--max-old-space-size=100'], { NODE_OPTIONS: '-r x' }, ['NODE_OPTIONS']);
    assert.deepEqual(
      found.map(({ what }) => what),
      ['NODE_OPTIONS', '--inspect'],
    );
    assert.deepEqual(codeOptions([], { NODE_OPTIONS: '' }, []), []);
  });

  it('says whatever somebody chose as a name in printable ASCII of bounded length', () => {
    for (const name of ['/tmp/\u001b[31m', 'é\n', 'x'.repeat(1000), '']) {
      assert.ok(findingSchema.safeParse(finding('mapping', name)).success, name);
    }
    assert.ok(!findingSchema.safeParse({ kind: 'other', what: 'x' }).success);
  });
});

describe('R36 a watch', () => {
  it('tells a finding until it was told, then no more while it lasts, and again when it came back', () => {
    let found: Finding[] = [];
    const watch = createProcessWatch(
      () => found,
      () => 0,
    );
    const one = finding('tracer', 'gdb');
    assert.deepEqual(watch.look(), []);
    found = [one];
    assert.deepEqual(watch.look(), [one]);
    assert.deepEqual(watch.look(), [one], 'nobody could record it yet');
    watch.told([one]);
    assert.deepEqual(watch.look(), []);
    found = [];
    assert.deepEqual(watch.look(), []);
    found = [one];
    assert.deepEqual(watch.look(), [one]);
  });

  it('keeps what came and went before anybody could be told', () => {
    let found = [finding('tracer', 'gdb')];
    const watch = createProcessWatch(
      () => found,
      () => 0,
    );
    watch.look();
    found = [];
    assert.equal(watch.look().length, 1);
  });

  it('tells five of a kind in an hour, and counts the others', () => {
    let at = 0;
    let name = '';
    const watch = createProcessWatch(
      () => [finding('mapping', name), finding('tracer', 'gdb')],
      () => at,
    );
    let told = 0;
    const look = () => {
      const findings = watch.look();
      told += findings.filter(({ kind }) => kind === 'mapping').length;
      watch.told(findings);
    };
    for (let index = 0; index < 50; index += 1) {
      name = `/tmp/${index}.so`;
      look();
    }
    assert.deepEqual([told, watch.suppressed], [5, 45]);
    at = 60 * 60_000;
    name = '/tmp/next.so';
    look();
    assert.equal(told, 6);
  });
});
