/** R33–R34: the startup gate of real builds of server and agent, started as processes, with one thing changed each time. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  cpSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { manifestOf, signByAll, signDirectory } from '../build/manifest.ts';
import { agentProgram, buildProgram, serverProgram, thisPlatform } from '../build/programs.ts';
import { formatKeys } from '../lib/artifacts/keys.ts';
import { parseManifest } from '../lib/artifacts/manifest.ts';
import { parseNote } from '../lib/crypto/note.ts';
import { createArtifactSigner } from '../test/fakes/artifacts.ts';

const [first, second, stranger] = ['first', 'second', 'first'].map((name) => createArtifactSigner(name)) as [
  Signer,
  Signer,
  Signer,
];
type Signer = ReturnType<typeof createArtifactSigner>;
const keys = formatKeys({ number: 1, threshold: 2, keys: [first.key, second.key] });
const notAfter = Date.parse('2099-01-01T00:00:00Z');

/** A loader, arguments with which its program ends at once with 0, and what that prints. */
const programs = [
  { program: agentProgram(thisPlatform), entry: 'holdfast-agent.mjs', says: /^0\.1\.0\n$/ },
  { program: serverProgram(thisPlatform), entry: 'holdfast.mjs', says: /^0\.1\.0\n$/ },
] as const;

const base = mkdtempSync(join(tmpdir(), 'holdfast-gate-'));
after(() => rmSync(base, { recursive: true }));
before(async () => {
  for (const { program } of programs) {
    const directory = join(base, program.name);
    await buildProgram(program, directory, keys);
    await signDirectory(directory, manifestOf(program, directory, '0.1.0', notAfter), [first, second]);
  }
});

type Started = { readonly code: number | null; readonly out: string; readonly err: string };

function start(
  loader: string,
  env: NodeJS.ProcessEnv = {},
  options = ['--disable-sigusr1'],
  args = ['--version'],
): Started {
  const { PATH } = process.env;
  const ran = spawnSync(process.execPath, [...options, loader, ...args], { encoding: 'utf8', env: { PATH, ...env } });
  return { code: ran.status, out: ran.stdout, err: ran.stderr };
}

function assertRefused({ code, out, err }: Started, coded: string, file: string): void {
  assert.equal(code, 78, err);
  assert.equal(out, '');
  assert.match(err, new RegExp(`^HOLDFAST_GATE_${coded}: nothing was started: [^\\n]*\\n$`));
  assert.ok(err.includes(file), `${file} is named: ${err}`);
}

for (const { program, entry, says } of programs) {
  describe(`R33 the ${program.kind}`, () => {
    const directory = join(base, program.name);
    const note = () => join(directory, 'manifest.note');
    const loader = join(directory, entry);
    const files = () => parseManifest(parseNote(readFileSync(note())).text).files.map(({ path }) => path);
    /** Two that are loaded by others. */
    const parts = () =>
      files().filter(
        (path) => path.startsWith('programs/') && !Object.keys(program.entries).includes(path.slice(9, -4)),
      ) as [string, string];
    /** Everything as it was, whatever happened. */
    const restored = (act: () => void, ...paths: readonly string[]) => {
      const kept = paths.map((path, index) => {
        const copy = join(base, `kept-${index}`);
        copyFileSync(path, copy);
        return [path, copy] as const;
      });
      try {
        act();
      } finally {
        for (const [path, copy] of kept) {
          rmSync(path, { recursive: true, force: true });
          renameSync(copy, path);
        }
      }
    };
    const resigned = async (text: string, signers: readonly Signer[], coded: string) => {
      const signed = await signByAll(text, signers);
      restored(() => {
        writeFileSync(note(), signed);
        assertRefused(start(loader), coded, '');
      }, note());
    };
    const text = () => parseNote(readFileSync(note())).text;

    it('starts as it was built', () => {
      const started = start(loader);
      assert.equal(started.code, 0, started.err);
      assert.match(started.out, says);
    });

    it('with one byte flipped in any file that it loads is refused, and says which', () => {
      assert.ok(files().length > 8);
      // Its own first bytes are a comment: of a loader whose code was changed nothing can be promised.
      for (const path of files()) {
        const full = join(directory, path);
        restored(() => {
          const bytes = readFileSync(full);
          const at = path.endsWith('.mjs') && !path.includes('/') && path !== 'gate.mjs' ? 4 : bytes.length >> 1;
          bytes[at]! ^= 1;
          writeFileSync(full, bytes);
          assertRefused(start(loader), 'FILE_ALTERED', path);
        }, full);
      }
    });

    it('with a file cut, missing, too many, or two swapped is refused', () => {
      const [one, other] = parts();
      const [a, b] = [join(directory, one), join(directory, other)];
      restored(() => {
        truncateSync(a, 1000);
        assertRefused(start(loader), 'FILE_ALTERED', one);
        unlinkSync(a);
        assertRefused(start(loader), 'FILE_MISSING', one);
      }, a);
      restored(
        () => {
          const bytes = readFileSync(a);
          copyFileSync(b, a);
          writeFileSync(b, bytes);
          assertRefused(start(loader), 'FILE_ALTERED', one);
        },
        a,
        b,
      );
      const gate = join(directory, 'gate.mjs');
      restored(() => {
        unlinkSync(gate);
        assertRefused(start(loader), 'FILE_MISSING', 'gate.mjs');
      }, gate);
      const extra = join(directory, 'programs', 'extra.mjs');
      writeFileSync(extra, '');
      assertRefused(start(loader), 'FILE_EXTRA', 'programs/extra.mjs');
      unlinkSync(extra);
    });

    it('with a link in place of a file or a directory is refused, though the bytes are right', () => {
      const [path = ''] = files().filter((each) => each.startsWith('native/'));
      const full = join(directory, path);
      restored(() => {
        const elsewhere = join(base, 'elsewhere.node');
        copyFileSync(full, elsewhere);
        unlinkSync(full);
        symlinkSync(elsewhere, full);
        assertRefused(start(loader), 'FILE_SYMLINK', path);
      }, full);
      const native = join(directory, 'native');
      cpSync(native, join(base, 'moved'), { recursive: true });
      rmSync(native, { recursive: true });
      symlinkSync(join(base, 'moved'), native);
      assertRefused(start(loader), 'FILE_SYMLINK', 'native/');
      unlinkSync(native);
      renameSync(join(base, 'moved'), native);
    });

    it('without its manifest, or with one that is cut, altered or a link, is refused', () => {
      restored(() => {
        const whole = readFileSync(note(), 'utf8');
        writeFileSync(note(), whole.replace('\nversion 0', '\nversion 1'));
        assertRefused(start(loader), 'ALTERED', 'signature');
        writeFileSync(note(), whole.slice(0, 900));
        assertRefused(start(loader), 'MALFORMED', 'note');
        writeFileSync(note(), '');
        assertRefused(start(loader), 'MALFORMED', 'empty');
        writeFileSync(note(), text.length.toString());
        assertRefused(start(loader), 'MALFORMED', 'note');
        writeFileSync(join(base, 'other.note'), whole);
        unlinkSync(note());
        assertRefused(start(loader), 'MISSING', 'manifest.note');
        symlinkSync(join(base, 'other.note'), note());
        assertRefused(start(loader), 'FILE_SYMLINK', 'manifest.note');
      }, note());
    });

    it('R34 without a signature, with too few, by another key, or after its day is refused', async () => {
      restored(() => {
        writeFileSync(note(), `${text()}\n`);
        assertRefused(start(loader), 'MALFORMED', 'signatures');
      }, note());
      await resigned(text(), [first], 'TOO_FEW_SIGNERS');
      await resigned(text(), [stranger], 'WRONG_KEY');
      await resigned(text().replace('not-after 2099', 'not-after 2020'), [first, second], 'EXPIRED');
      await resigned(text().replace(/\nplatform \S+/, '\nplatform plan9-x64'), [first, second], 'WRONG_PLATFORM');
      await resigned(text().replace(/\nname \S+/, '\nname other'), [first, second], 'WRONG_ARTIFACT');
      await resigned(text().replace(/\nkind \S+/, '\nkind gateway'), [first, second], 'WRONG_ARTIFACT');
    });

    it('R01 no variable, option or file skips it', () => {
      const [path] = parts();
      restored(
        () => {
          truncateSync(join(directory, path), 1000);
          const names = ['HOLDFAST_GATE', 'HOLDFAST_GATE_REMOVED', 'HOLDFAST_SKIP_GATE', 'NODE_ENV', 'CI'];
          for (const value of ['0', 'development']) {
            const env = Object.fromEntries(names.map((each) => [each, value]));
            const args = ['--no-gate', '--insecure', '--force'];
            assertRefused(start(loader, env, ['--disable-sigusr1'], args), 'FILE_ALTERED', path);
          }
        },
        join(directory, path),
      );
      const bare = start(join(directory, 'programs', entry));
      assertRefused(
        program.kind === 'agent' ? bare : start(join(directory, 'programs', 'start.mjs')),
        'BYPASSED',
        'loader',
      );
    });

    // The same gate: seen once.
    if (program.kind !== 'agent') return;

    it('takes away what puts code into the process, and refuses where it cannot', () => {
      const evil = join(base, 'evil.cjs');
      writeFileSync(evil, "process.on('exit', () => process.stdout.write('evil'));");
      for (const [env, options] of [
        [{ NODE_OPTIONS: `--require ${evil}` }, ['--disable-sigusr1']],
        [{}, ['--require', evil]],
        [{}, ['--import', evil, '--disable-sigusr1']],
        [{}, []],
      ] as const) {
        const started = start(loader, env, [...options]);
        assert.equal(started.code, 0, started.err);
        assert.match(started.out, says, 'the first process was replaced before it ended');
      }
      // Told that this is the second process, it has no other way.
      const again = { NODE_OPTIONS: '--max-http-header-size=9000', HOLDFAST_GATE_REMOVED: 'NODE_OPTIONS' };
      assertRefused(start(loader, again), 'SURROUNDINGS', 'NODE_OPTIONS');
    });
  });
}

it('R33 what is put in place of a file after it was verified is not what runs', () => {
  const { name } = agentProgram(thisPlatform);
  const directory = join(base, 'late');
  cpSync(join(base, name), directory, { recursive: true });
  // The gate's own steps, with somebody in between: every file on the disk becomes another one.
  const script = `
    const [directory, keys, name] = process.argv.slice(1);
    const { verifyProgram } = await import(${JSON.stringify(new URL('./verify.ts', import.meta.url).href)});
    const { serveFromMemory } = await import(${JSON.stringify(new URL('./hooks.ts', import.meta.url).href)});
    const { setVerifiedProgram } = await import(${JSON.stringify(new URL('../lib/crypto/program.ts', import.meta.url).href)});
    const { writeFileSync } = await import('node:fs');
    const config = { kind: 'agent', name, keys, program: 'programs/holdfast-agent.mjs', ownProcess: true };
    const program = verifyProgram(config, directory, Date.now(), []);
    setVerifiedProgram(program);
    for (const path of program.files.keys()) writeFileSync(directory + '/' + path, "process.stdout.write('evil')");
    process.argv = [process.execPath, 'holdfast-agent', '--version'];
    const at = serveFromMemory(program, { alone: true });
    await import(at(config.program));
    const native = [...program.files.keys()].find((path) => path.startsWith('native/'));
    process.stdout.write(typeof program.loadNative(native).crypto_sign_verify_detached);
    for (const other of ['file:///etc/hostname', 'data:text/javascript,0', directory + '/extra.mjs']) {
      await import(other).then(() => process.stdout.write('loaded'), (error) => process.stdout.write(' ' + error.code));
    }
  `;
  const ran = spawnSync(process.execPath, ['--input-type=module', '-e', script, directory, keys, name], {
    encoding: 'utf8',
  });
  assert.equal(ran.stdout, '0.1.0\nfunction file_extra file_extra file_extra', ran.stderr);
});
