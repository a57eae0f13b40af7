import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { sha256Hex } from '../lib/crypto/digest.ts';
import { CliError } from './errors.ts';
import { formatInstallCommands, type InstallParts } from './install-command.ts';

const good: InstallParts = {
  url: 'https://downloads.example/1.4.0/holdfast-agent',
  sha256: 'a'.repeat(64),
  manifest: Buffer.from('the signed manifest').toString('base64'),
  server: 'https://holdfast.example:8443',
  token: `hfe_${'A'.repeat(43)}.${'B'.repeat(43)}`,
};

const names = Object.keys(good) as (keyof InstallParts)[];

/** What has a meaning to some shell, or to the programs that it starts. */
const meta = [...' \t\n\r\0\'"`$;&|<>(){}[]*?!#~\\^%', '$(x)', '`x`', "';x;'", '\u2019', 'é'];

test('incident 12: shell metacharacters in any value, anywhere in it, are refused', () => {
  for (const name of names) {
    for (const piece of meta) {
      // The one of them that a path may hold, and that means nothing inside quotes.
      if (piece === '~' && name === 'url') continue;
      for (const at of [0, 12, good[name].length]) {
        const value = good[name].slice(0, at) + piece + good[name].slice(at);
        assert.throws(
          () => formatInstallCommands({ ...good, [name]: value }),
          CliError,
          `${name}: ${JSON.stringify(value)}`,
        );
      }
    }
  }
});

test('incident 12: whatever text is tried, what is accepted holds nothing that could end its quotes', () => {
  fc.assert(
    fc.property(fc.constantFrom(...names), fc.string({ unit: 'binary', maxLength: 120 }), (name, text) => {
      try {
        formatInstallCommands({ ...good, [name]: text });
      } catch (error) {
        assert.ok(error instanceof CliError);
        return;
      }
      assert.match(text, /^[A-Za-z0-9.:/=+_~-]+$/);
    }),
  );
});

test('no value may look like an option, and nothing but https is fetched', () => {
  for (const url of ['-o/etc/passwd', 'http://x.example/a', 'file:///etc/passwd', 'https://-x/', 'https://user@x/']) {
    assert.throws(() => formatInstallCommands({ ...good, url }), CliError, url);
  }
});

/** A machine on which `curl` brings these bytes. */
function createMachine(t: TestContext, bytes: string) {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-paste-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const bin = join(directory, 'bin');
  mkdirSync(bin);
  writeFileSync(join(directory, 'served'), bytes);
  const curl = `#!/bin/sh\nout=\nwhile [ $# -gt 0 ]; do [ "$1" = -o ] && out=$2; shift; done\nif [ -n "$out" ]; then cat '${directory}/served' >"$out"; else cat '${directory}/served'; fi\n`;
  for (const [name, text] of [
    ['curl', curl],
    ['sudo', '#!/bin/sh\nexec "$@"\n'],
  ] as const) {
    writeFileSync(join(bin, name), text);
    chmodSync(join(bin, name), 0o755);
  }
  return {
    ran: () => (existsSync(join(directory, 'ran')) ? readFileSync(join(directory, 'ran'), 'utf8') : ''),
    sh: (line: string) =>
      spawnSync('sh', ['-c', line], {
        cwd: directory,
        encoding: 'utf8',
        env: { PATH: `${bin}:${process.env['PATH'] ?? ''}`, RAN: join(directory, 'ran') },
      }),
  };
}

const program = '#!/bin/sh\necho "$@" >>"$RAN"\n';

test('pasted into a shell, both run the program that the digest names, and no other', (t) => {
  const commands = formatInstallCommands({ ...good, sha256: sha256Hex(Buffer.from(program)) });
  const expected = `join --server ${good.server} --token ${good.token} --state /var/lib/holdfast-agent\ninstall\n`;
  for (const line of [commands.oneLine, commands.twoLines.join('\n')]) {
    const machine = createMachine(t, program);
    const { status, stderr } = machine.sh(line);
    assert.equal(status, 0, stderr);
    assert.equal(machine.ran(), expected);
    const hostile = createMachine(t, `${program}# and more\n`);
    assert.notEqual(hostile.sh(`set -e\n${line}`).status, 0);
    assert.equal(hostile.ran(), '');
  }
});
