/** R33: the files of an artifact on a real file system, and each way in which one is not what was signed. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { sha256Hex } from '../crypto/digest.ts';
import { ArtifactError } from './errors.ts';
import { verifyFiles } from './files.ts';
import { openArtifactDirectory } from './files-directory.ts';
import type { ArtifactManifest } from './manifest.ts';
import { parseVersion } from './version.ts';

const contents = { 'assets/page.html': '<p>', 'empty.txt': '', 'main.mjs': 'export {};\n' };

const manifest: ArtifactManifest = {
  kind: 'server',
  name: 'holdfast-server',
  version: parseVersion('1.0.0'),
  platform: 'any',
  notAfter: Date.parse('2031-05-01T00:00:00Z'),
  files: Object.entries(contents).map(([path, text]) => ({ path, size: text.length, sha256: sha256Hex(text) })),
};

function unpacked(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-files-'));
  t.after(() => rmSync(directory, { recursive: true }));
  mkdirSync(join(directory, 'assets'));
  for (const [path, text] of Object.entries(contents)) writeFileSync(join(directory, path), text);
  return directory;
}

const check = (directory: string) => verifyFiles(manifest, openArtifactDirectory(directory));

const refused = (code: string, file: string) => (error: unknown) => {
  assert.ok(error instanceof ArtifactError, String(error));
  assert.deepEqual([error.code, error.file], [code, file]);
  assert.match(error.message, new RegExp(file.replace('.', '\\.')));
  return true;
};

describe('R33 the files of an artifact', () => {
  it('come back as the bytes that were judged, through a link to the directory too', (t: TestContext) => {
    const directory = unpacked(t);
    const link = join(unpacked(t), 'current');
    symlinkSync(directory, link);
    for (const root of [directory, link]) {
      const verified = check(root);
      assert.deepEqual(
        Object.fromEntries([...verified].map(([path, bytes]) => [path, Buffer.from(bytes).toString()])),
        contents,
      );
    }
  });

  for (const file of Object.keys(contents) as (keyof typeof contents)[]) {
    it(`are refused when ${file} is missing, longer, shorter or other`, (t: TestContext) => {
      const directory = unpacked(t);
      const path = join(directory, file);
      writeFileSync(path, `${contents[file]}!`);
      assert.throws(() => check(directory), refused('file_altered', file));
      if (contents[file] !== '') {
        truncateSync(path, contents[file].length - 1);
        assert.throws(() => check(directory), refused('file_altered', file));
        writeFileSync(path, `?${contents[file].slice(1)}`);
        assert.throws(() => check(directory), refused('file_altered', file));
      }
      unlinkSync(path);
      assert.throws(() => check(directory), refused('file_missing', file));
    });

    it(`are refused when ${file} is a link, a directory or a pipe`, (t: TestContext) => {
      const [directory, elsewhere] = [unpacked(t), unpacked(t)];
      const path = join(directory, file);
      unlinkSync(path);
      symlinkSync(join(elsewhere, file), path);
      assert.throws(() => check(directory), refused('file_symlink', file));
      unlinkSync(path);
      mkdirSync(path);
      assert.throws(() => check(directory), refused('file_irregular', file));
      rmSync(path, { recursive: true });
      if (spawnSync('mkfifo', [path]).status === 0)
        assert.throws(() => check(directory), refused('file_irregular', file));
    });
  }

  it('are refused behind a directory that is a link, and with a file too many', (t: TestContext) => {
    const [directory, elsewhere] = [unpacked(t), unpacked(t)];
    writeFileSync(join(directory, 'assets', 'more.js'), '');
    assert.throws(() => check(directory), refused('file_extra', 'assets/more.js'));
    rmSync(join(directory, 'assets'), { recursive: true });
    symlinkSync(join(elsewhere, 'assets'), join(directory, 'assets'));
    assert.throws(() => check(directory), refused('file_symlink', 'assets/page.html'));
  });

  it('are refused when one becomes another while it is read', (t: TestContext) => {
    const directory = unpacked(t);
    const target = join(directory, 'main.mjs');
    const honest = openArtifactDirectory(directory);
    // Between two looks of the reader at the same file, somebody puts another in its place.
    let reads = 0;
    t.mock.method(Buffer, 'allocUnsafeSlow', (size: number) => {
      reads += 1;
      if (reads === 3) {
        writeFileSync(`${target}.new`, contents['main.mjs']);
        renameSync(`${target}.new`, target);
      }
      return Buffer.alloc(size);
    });
    assert.throws(() => verifyFiles(manifest, honest), refused('file_changed', 'main.mjs'));
    assert.equal(reads, 3);
  });
});
