/** R33–R34 by the system's own account: what a refused program asked the kernel for, and a file that changes meanwhile. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { copyFileSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { generateEd25519 } from '../../lib/crypto/ed25519.ts';
import { formatSshPublicKey, sshPublicKeyOf } from '../../lib/crypto/ssh-key.ts';
import { ownBuild } from './build.ts';

const network = /\b(socket\(AF_INET6?|bind\(|listen\(|connect\()/;

for (const [folder, entry] of [
  ['server', 'holdfast.mjs'],
  ['agent', 'holdfast-agent.mjs'],
] as const) {
  test(`R33 a refused ${folder} opened no socket before it ended with 78, seen by strace`, async (t) => {
    const { base, build } = await ownBuild(t);
    const directory = join(build, folder);
    const key = join(base, 'key.pub');
    writeFileSync(key, formatSshPublicKey(sshPublicKeyOf(generateEd25519().publicKey)));
    const state = join(base, 'state');
    const args =
      folder === 'server'
        ? ['up', '--state', state, '--operator-key', key]
        : [
            'join',
            '--server',
            'https://127.0.0.1:9',
            '--token',
            `hfe_${'A'.repeat(43)}.${'A'.repeat(43)}`,
            '--state',
            state,
          ];
    const trace = join(base, 'trace');
    const run = () => {
      // A server that starts goes on: it is told to stop.
      const command = [
        'timeout',
        '-k',
        '5',
        '4',
        process.execPath,
        '--disable-sigusr1',
        join(directory, entry),
        ...args,
      ];
      const ran = spawnSync('strace', ['-f', '-qq', '-o', trace, '-e', 'trace=network', ...command], {
        encoding: 'utf8',
      });
      return { ...ran, asked: readFileSync(trace, 'utf8') };
    };
    // The same command, unharmed, does use the network: otherwise the trace would prove nothing.
    const good = run();
    assert.match(good.asked, network, good.stderr);

    const note = join(directory, 'manifest.note');
    const program = join(directory, 'programs', entry);
    const native = join(directory, 'native', readdirSync(join(directory, 'native'))[0] ?? '');
    const flip = (file: string) => {
      const bytes = readFileSync(file);
      bytes[bytes.length >> 1]! ^= 1;
      writeFileSync(file, bytes);
    };
    const changes: readonly [string, string, () => void][] = [
      ['FILE_ALTERED', program, () => flip(program)],
      ['FILE_ALTERED', native, () => writeFileSync(native, '')],
      ['FILE_MISSING', native, () => rmSync(native)],
      [
        'FILE_SYMLINK',
        program,
        () => {
          copyFileSync(program, join(base, 'p'));
          rmSync(program);
          symlinkSync(join(base, 'p'), program);
        },
      ],
      ['FILE_ALTERED', join(directory, 'gate.mjs'), () => flip(join(directory, 'gate.mjs'))],
      ['MISSING', note, () => rmSync(note)],
      ['(ALTERED|MALFORMED)', note, () => flip(note)],
    ];
    for (const [code, file, change] of changes) {
      const kept = readFileSync(file);
      change();
      const { status, stderr, asked } = run();
      assert.equal(status, 78, `${code}: ${stderr}`);
      assert.match(stderr, new RegExp(`^HOLDFAST_GATE_${code}: `));
      assert.doesNotMatch(asked, network);
      rmSync(file, { force: true });
      writeFileSync(file, kept);
    }
  });
}

test('R33 a file that changes while the loader runs is refused or not loaded, and never runs', async (t) => {
  const { base, build } = await ownBuild(t);
  const program = join(build, 'agent/programs/holdfast-agent.mjs');
  const good = join(base, 'good.mjs');
  copyFileSync(program, good);
  const script = `
    const fs = require('node:fs');
    const [program, good] = process.argv.slice(1);
    const bytes = fs.readFileSync(good);
    const evil = Buffer.concat([Buffer.from("process.stdout.write('evil');"), bytes]);
    for (let round = 0; ; round += 1) {
      fs.writeFileSync(program + '.new', round % 2 ? bytes : evil);
      fs.renameSync(program + '.new', program);
      fs.writeFileSync(program, round % 2 ? evil : bytes);
    }
  `;
  // Outside of the artifact's directory there is no rename onto it; the gate may see the new file too, and say so.
  const changing = spawn(process.execPath, ['-e', script, program, good], { stdio: 'ignore' });
  t.after(() => changing.kill('SIGKILL'));
  const seen = new Map<string, number>();
  for (let round = 0; round < 60; round += 1) {
    const command = ['--disable-sigusr1', join(build, 'agent/holdfast-agent.mjs'), '--version'];
    const { status, stdout, stderr } = spawnSync(process.execPath, command, { encoding: 'utf8' });
    const [outcome = ''] = status === 0 ? ['ran'] : (/^HOLDFAST_GATE_[A-Z_]+/.exec(stderr) ?? [stderr]);
    seen.set(outcome, (seen.get(outcome) ?? 0) + 1);
    assert.ok(!stdout.includes('evil'));
    assert.ok(status === 0 || status === 78, `${status}: ${stderr}`);
  }
  t.diagnostic(JSON.stringify(Object.fromEntries(seen)));
  assert.ok(
    [...seen.keys()].some((outcome) => outcome !== 'ran'),
    'it was changed in time',
  );
  renameSync(good, join(base, 'end'));
});
