/** A process that appends and seals on an SQLite store until it is killed; it acknowledges each operation that stands. */
import { readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { openPublicationDirectory } from '../../lib/audit/publication-directory.ts';
import { createSealer } from '../../lib/audit/sealer.ts';
import { openAuditWriter } from '../../lib/audit/writer.ts';
import { ed25519ToSpki, privateKeyFromPem, publicKeyOf, signEd25519 } from '../../lib/crypto/ed25519.ts';
import { openSqliteStore } from '../../lib/store/sqlite.ts';
import { testEvent, testOrigin } from './audit-log.ts';

const [, , directory = '', run = '0'] = process.argv;
const privateKey = privateKeyFromPem(readFileSync(join(directory, 'key.pem'), 'utf8'));
const signer = {
  algorithm: 'ed25519' as const,
  publicKey: ed25519ToSpki(publicKeyOf(privateKey)),
  sign: async (message: Uint8Array) => signEd25519(privateKey, message),
};
const store = openSqliteStore(join(directory, 'store.db'));
const now = Date.now;
const writer = await openAuditWriter({ store, origin: testOrigin, writerId: 'w', now });
const publication = await openPublicationDirectory(join(directory, 'log'));
const sealer = createSealer({ store, origin: testOrigin, signer, publication, now });

async function append(id: string): Promise<void> {
  const event = { ...testEvent, object: { kind: 'token', id } };
  const { ok } = await writer.append(event, [
    { kind: 'put', item: { pk: 'things', sk: id }, when: { kind: 'absent' } },
  ]);
  // Synchronous: what was acknowledged before the kill has left this process.
  if (ok) writeSync(1, `${id}\n`);
}

async function seal(): Promise<void> {
  for (;;) await sealer.sealOnce();
}

seal();
for (let i = 0; ; i++) {
  await Promise.all(Array.from({ length: 1 + (i % 20) }, (_, j) => append(`${run}-${i}-${j}`)));
}
