/** The process is killed again and again while it appends and seals: nothing acknowledged is lost, the log verifies. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { testOrigin } from '../../test/fakes/audit-log.ts';
import { ed25519ToSpki, generateEd25519, privateKeyToPem, signEd25519 } from '../crypto/ed25519.ts';
import { noteVerifier } from '../crypto/note.ts';
import { openSqliteStore } from '../store/sqlite.ts';
import { listEntries } from './list.ts';
import { openPublicationDirectory } from './publication-directory.ts';
import { createSealer } from './sealer.ts';
import { openDirectorySource } from './source-directory.ts';
import { isSound } from './verdicts.ts';
import { verifyLog } from './verify.ts';
import { verifyStore } from './verify-store.ts';

const child = join(import.meta.dirname, '../../test/fakes/audit-child.ts');

test('R31 killed at any moment: every acknowledged operation has its entry, and the log verifies', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-audit-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const { publicKey, privateKey } = generateEd25519();
  await writeFile(join(directory, 'key.pem'), privateKeyToPem(privateKey), { mode: 0o600 });
  const acknowledged: string[] = [];
  for (const [run, killAfter] of [40, 137, 400].entries()) {
    const process_ = spawn(process.execPath, [child, directory, String(run)], { stdio: ['ignore', 'pipe', 'inherit'] });
    const exited = once(process_, 'exit');
    let lines = 0;
    for await (const line of createInterface({ input: process_.stdout })) {
      acknowledged.push(line);
      lines += 1;
      if (lines === killAfter) process_.kill('SIGKILL');
    }
    assert.deepEqual(await exited, [null, 'SIGKILL']);
  }

  const store = openSqliteStore(join(directory, 'store.db'));
  t.after(() => store.close());
  const publication = await openPublicationDirectory(join(directory, 'log'));
  const sign = async (message: Uint8Array) => signEd25519(privateKey, message);
  const signer = { algorithm: 'ed25519' as const, publicKey: ed25519ToSpki(publicKey), sign };
  const verifiers = [noteVerifier(testOrigin, publicKey)];
  const now = Date.now;
  await createSealer({ store, origin: testOrigin, signer, publication, now }).sealOnce();
  const verdicts = await verifyLog({ source: openDirectorySource(join(directory, 'log')), verifiers, now });
  assert.ok(isSound(verdicts), JSON.stringify(verdicts));
  const stored = await verifyStore({ store, published: publication, verifiers, now });
  assert.ok(isSound(stored), JSON.stringify(stored));

  const query = { order: 'oldest', limit: 100_000, type: 'token.cancel' } as const;
  const { entries } = await listEntries({ store, origin: testOrigin }, query);
  const recorded = new Set(entries.map(({ entry }) => entry.object.id));
  assert.equal(recorded.size, entries.length);
  for (const id of acknowledged) assert.ok(recorded.has(id), id);
  const things: string[] = [];
  for (let after: string | undefined; ; ) {
    const page = await store.query({ pk: 'things', ...(after !== undefined && { after }) });
    things.push(...page.items.map(({ sk }) => sk));
    if (page.next === undefined) break;
    after = page.next;
  }
  assert.deepEqual([...recorded].sort(), things.sort());
});
