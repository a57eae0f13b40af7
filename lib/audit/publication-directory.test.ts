import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createTestLog, testEvent } from '../../test/fakes/audit-log.ts';
import { parseVerifierKey } from '../crypto/note.ts';
import { exportLog } from './export.ts';
import { openPublicationDirectory } from './publication-directory.ts';
import { openDirectorySource } from './source-directory.ts';
import { isSound } from './verdicts.ts';
import { verifyLog } from './verify.ts';

async function temporary(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-audit-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

const note = (size: number) => Buffer.from(`origin\n${size}\nAAAA\n\n— x y\n`);

test('what is published keeps its content, and the same again is no error', async (t) => {
  const publication = await openPublicationDirectory(await temporary(t));
  await publication.write('tile/0/x001/234', Buffer.from('a'));
  await publication.write('tile/0/x001/234', Buffer.from('a'));
  await assert.rejects(publication.write('tile/0/x001/234', Buffer.from('b')), { name: 'AuditError', code: 'corrupt' });
  assert.equal(Buffer.from((await publication.read('tile/0/x001/234'))!).toString(), 'a');
  assert.equal(await publication.read('tile/0/000'), undefined);
});

test('a directory that was taken away is an error, each time, and is not made anew', async (t) => {
  const parent = await temporary(t);
  const directory = join(parent, 'log');
  const publication = await openPublicationDirectory(directory);
  await publication.write('tile/0/x001/234', Buffer.from('a'));
  await rm(directory, { recursive: true });
  for (const path of ['tile/0/x001/235', 'tile/1/000', 'checkpoint']) {
    await assert.rejects(publication.write(path, Buffer.from('a')), { code: 'ENOENT' }, path);
  }
  await assert.rejects(publication.publishCheckpoint(note(1), 1), { code: 'ENOENT' });
  assert.deepEqual(await readdir(parent), []);
});

test('a checkpoint is never replaced by a smaller one, also when many are published at once', async (t) => {
  const directory = await temporary(t);
  const both = [await openPublicationDirectory(directory), await openPublicationDirectory(directory)];
  assert.equal(await both[0]!.publishCheckpoint(note(5), 5), true);
  assert.equal(await both[1]!.publishCheckpoint(note(4), 4), false);
  const sizes = [6, 9, 7, 10, 8];
  const results = await Promise.all(sizes.map((size, i) => both[i % 2]!.publishCheckpoint(note(size), size)));
  assert.equal(results[sizes.indexOf(10)], true);
  assert.equal(
    Buffer.from((await both[0]!.read('checkpoint'))!)
      .toString()
      .split('\n')[1],
    '10',
  );
  assert.deepEqual(await readdir(directory), ['checkpoint'], 'nothing is left behind');
});

test('the lock of a process that died is taken over', async (t) => {
  const directory = await temporary(t);
  const publication = await openPublicationDirectory(directory);
  await writeFile(join(directory, '.checkpoint.lock'), '');
  await utimes(join(directory, '.checkpoint.lock'), 0, 0);
  assert.equal(await publication.publishCheckpoint(note(1), 1), true);
});

test('a checkpoint that is not readable is not replaced', async (t) => {
  const directory = await temporary(t);
  const publication = await openPublicationDirectory(directory);
  await writeFile(join(directory, 'checkpoint'), 'nonsense');
  await assert.rejects(publication.publishCheckpoint(note(1), 1), { code: 'corrupt' });
});

test('R51 an evidence folder holds exactly what its checkpoint covers, and verifies by itself', async (t) => {
  const directory = await temporary(t);
  const publication = await openPublicationDirectory(join(directory, 'log'));
  const log = await createTestLog({ sealer: { publication } });
  for (const count of [100, 200, 400]) {
    await Promise.all(Array.from({ length: count }, () => log.writer.append(testEvent)));
    await log.sealer.sealOnce();
  }
  const target = join(directory, 'evidence');
  const { verifierKey } = log;
  const descriptor = Buffer.from('{}');
  const checkpoint = await exportLog({ source: publication, verifierKey, directory: target, descriptor });
  assert.equal(checkpoint.size, 704);
  assert.deepEqual((await readdir(target)).sort(), ['README.md', 'checkpoint', 'fleet.json', 'key.txt', 'tile']);
  assert.deepEqual((await readdir(join(target, 'tile/entries'))).sort(), ['000', '001', '002.p']);
  const source = openDirectorySource(target);
  const verdicts = await verifyLog({ source, verifiers: [parseVerifierKey(verifierKey)], now: log.now });
  assert.ok(isSound(verdicts) && verdicts.size === 704, JSON.stringify(verdicts));
  await assert.rejects(
    exportLog({ source: publication, verifierKey, directory: target }),
    'not into a folder that is in use',
  );
});

test('an export of nothing, or under another key, is refused', async (t) => {
  const directory = await temporary(t);
  const log = await createTestLog();
  const other = await createTestLog();
  const { publication: source, verifierKey } = log;
  await assert.rejects(exportLog({ source, verifierKey, directory: join(directory, 'a') }), { code: 'missing' });
  await log.sealer.sealOnce();
  const refused = exportLog({ source, verifierKey: other.verifierKey, directory: join(directory, 'b') });
  await assert.rejects(refused, { code: 'not_authentic' });
});
