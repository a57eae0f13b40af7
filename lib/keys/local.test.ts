import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createPublicKey, verify } from 'node:crypto';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { inspect, promisify } from 'node:util';
import fc from 'fast-check';
import { ed25519FromSpki, verifyEd25519 } from '../crypto/ed25519.ts';
import { equalBytes, fromUtf8, toHex, utf8 } from '../crypto/encoding.ts';
import { openLocalKeys } from './local.ts';
import { type KeyPurpose, KeysError } from './port.ts';
import { createDataSealer, createSealedBox } from './sealed-box.ts';

const run = promisify(execFile);
const PURPOSES: readonly KeyPurpose[] = ['fleet-ca', 'audit-log'];
const noModes = process.platform === 'win32' ? 'this platform has no file modes' : false;

function temporary(t: TestContext): string {
  const parent = mkdtempSync(join(tmpdir(), 'holdfast-keys-'));
  t.after(() => rmSync(parent, { recursive: true }));
  return join(parent, 'keys');
}

const failsWith =
  (code: string, message: RegExp = /./) =>
  (error: unknown) =>
    error instanceof KeysError && error.code === code && message.test(error.message);

const mode = (path: string) => statSync(path).mode & 0o777;

async function filled(t: TestContext): Promise<string> {
  const directory = temporary(t);
  const keys = await openLocalKeys(directory);
  for (const purpose of PURPOSES) await keys.signer(purpose);
  return directory;
}

describe('local keys', () => {
  it('sign under the algorithm of their purpose, and are the same after reopening', async (t: TestContext) => {
    const directory = temporary(t);
    const message = utf8('message');
    const first = await openLocalKeys(directory);
    const second = await openLocalKeys(directory);
    const ca = await first.signer('fleet-ca');
    assert.equal(ca.algorithm, 'ecdsa-p256-sha256');
    const caKey = createPublicKey({
      key: Buffer.from((await second.signer('fleet-ca')).publicKey),
      format: 'der',
      type: 'spki',
    });
    assert.ok(verify('sha256', message, caKey, await ca.sign(message)));
    const log = await first.signer('audit-log');
    assert.equal(log.algorithm, 'ed25519');
    const logKey = ed25519FromSpki((await second.signer('audit-log')).publicKey);
    assert.ok(verifyEd25519(logKey, message, await log.sign(message)));
    await assert.rejects(log.sign(new Uint8Array(4097)), TypeError);
    assert.equal(await first.signer('audit-log'), log);
  });

  it('lie in a 0700 directory, each in a 0600 file, with nothing else left', {
    skip: noModes,
  }, async (t: TestContext) => {
    const directory = await filled(t);
    assert.equal(mode(directory), 0o700);
    assert.deepEqual(readdirSync(directory).sort(), ['audit-log.key', 'fleet-ca.key', 'master.key']);
    for (const name of readdirSync(directory)) assert.equal(mode(join(directory, name)), 0o600, name);
  });

  it('no file but the master key holds a key in the clear', async (t: TestContext) => {
    const directory = await filled(t);
    const master = readFileSync(join(directory, 'master.key'));
    assert.equal(master.length, 32);
    for (const purpose of PURPOSES) {
      const sealed = readFileSync(join(directory, `${purpose}.key`));
      assert.equal(sealed.indexOf(master), -1);
      // PKCS#8 of either key holds its algorithm's identifier: id-ecPublicKey, id-Ed25519.
      for (const oid of ['2a8648ce3d0201', '2b6570']) assert.equal(toHex(sealed).includes(`06${oid}`), false);
    }
    const shown = inspect(await openLocalKeys(directory), { depth: 9, showHidden: true });
    assert.equal(shown.includes(toHex(master)), false);
  });

  it('many openers at once, in one process and in several, get the same keys', async (t: TestContext) => {
    const directory = temporary(t);
    const here = Array.from(
      { length: 8 },
      async () => (await (await openLocalKeys(directory)).signer('fleet-ca')).publicKey,
    );
    const script = `
      import { openLocalKeys } from ${JSON.stringify(new URL('./local.ts', import.meta.url).href)};
      const signer = await (await openLocalKeys(process.argv[1])).signer('fleet-ca');
      process.stdout.write(Buffer.from(signer.publicKey).toString('hex'));`;
    const there = Array.from({ length: 2 }, async () => {
      const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script, directory]);
      return stdout;
    });
    const keys = new Set([...(await Promise.all(here)).map(toHex), ...(await Promise.all(there))]);
    assert.equal(keys.size, 1);
    assert.deepEqual(readdirSync(directory).sort(), ['fleet-ca.key', 'master.key']);
  });
});

describe('local keys refuse', () => {
  it('a directory that others can reach, and say what to run', { skip: noModes }, async (t: TestContext) => {
    const directory = await filled(t);
    for (const loose of [0o755, 0o750, 0o710, 0o701, 0o702]) {
      chmodSync(directory, loose);
      await assert.rejects(openLocalKeys(directory), failsWith('loose_permissions', /run: chmod 0700 /));
    }
    chmodSync(directory, 0o700);
    await openLocalKeys(directory);
  });

  it('a file that others can read, and go on after the remedy', { skip: noModes }, async (t: TestContext) => {
    const directory = await filled(t);
    const master = join(directory, 'master.key');
    chmodSync(master, 0o640);
    await assert.rejects(
      openLocalKeys(directory),
      failsWith('loose_permissions', /mode 0640.*run: chmod 0600 .*master\.key$/),
    );
    chmodSync(master, 0o600);
    const keys = await openLocalKeys(directory);
    chmodSync(join(directory, 'fleet-ca.key'), 0o604);
    await assert.rejects(keys.signer('fleet-ca'), failsWith('loose_permissions', /chmod 0600 .*fleet-ca\.key$/));
    chmodSync(join(directory, 'fleet-ca.key'), 0o600);
    await keys.signer('fleet-ca');
  });

  it('quote a path in the remedy so that a shell reads one word', { skip: noModes }, async (t: TestContext) => {
    const directory = `${temporary(t)} of "us"; it's`;
    await openLocalKeys(directory);
    chmodSync(directory, 0o755);
    await assert.rejects(
      openLocalKeys(directory),
      failsWith('loose_permissions', /chmod 0700 '[^']* of "us"; it'\\''s'$/),
    );
  });

  it('files that belong to another user', {
    skip: process.geteuid?.() === 0 ? false : 'needs to be root',
  }, async (t: TestContext) => {
    const { chownSync } = await import('node:fs');
    const directory = await filled(t);
    chownSync(join(directory, 'master.key'), 12345, 12345);
    await assert.rejects(openLocalKeys(directory), failsWith('loose_permissions', /user 12345.*run: chown 0 /));
    chownSync(join(directory, 'master.key'), 0, 0);
    chownSync(directory, 12345, 12345);
    await assert.rejects(openLocalKeys(directory), failsWith('loose_permissions', /chown 0 /));
  });

  it('symbolic links, directories and devices in place of files', { skip: noModes }, async (t: TestContext) => {
    const directory = await filled(t);
    const [path, elsewhere] = [join(directory, 'master.key'), join(directory, 'elsewhere')];
    writeFileSync(elsewhere, readFileSync(path), { mode: 0o600 });
    unlinkSync(path);
    symlinkSync(elsewhere, path);
    await assert.rejects(openLocalKeys(directory), failsWith('malformed', /symbolic link/));
    unlinkSync(path);
    mkdirSync(path, { mode: 0o700 });
    await assert.rejects(openLocalKeys(directory), failsWith('malformed', /not a file/));
    const link = `${directory}-link`;
    symlinkSync(directory, link);
    await assert.rejects(openLocalKeys(link), failsWith('malformed', /not a directory/));
  });

  it('a master key that is cut off, empty or gone', async (t: TestContext) => {
    const directory = await filled(t);
    const path = join(directory, 'master.key');
    for (const bytes of [0, 31, 33]) {
      writeFileSync(path, new Uint8Array(bytes));
      await assert.rejects(
        openLocalKeys(directory),
        failsWith('malformed', new RegExp(`has ${bytes} bytes, not 32: restore it`)),
      );
    }
    unlinkSync(path);
    await assert.rejects(openLocalKeys(directory), failsWith('missing', /restore it/));
    assert.equal(readdirSync(directory).includes('master.key'), false);
  });

  it('another master key, a key of another purpose, a file that was cut off or altered', async (t: TestContext) => {
    const directory = await filled(t);
    const path = join(directory, 'fleet-ca.key');
    const sealed = readFileSync(path);
    const opens = async () => (await openLocalKeys(directory)).signer('fleet-ca');
    const fails = async (bytes: Uint8Array, code: string) => {
      writeFileSync(path, bytes);
      await assert.rejects(opens(), failsWith(code, /the key file .*fleet-ca\.key" cannot be opened/));
    };
    for (const length of [0, 10, 31]) await fails(sealed.subarray(0, length), 'malformed');
    await fails(sealed.subarray(0, -1), 'not_authentic');
    await fails(Buffer.concat([sealed, Buffer.of(0)]), 'not_authentic');
    await fails(readFileSync(join(directory, 'audit-log.key')), 'not_authentic');
    await fails(Buffer.concat([Buffer.from('HFS\x02'), sealed.subarray(4)]), 'malformed');
    for (let index = 0; index < sealed.length; index += 5) {
      const changed = Buffer.from(sealed);
      changed[index] = (changed[index] as number) ^ 0x40;
      await fails(changed, index < 4 ? 'malformed' : 'not_authentic');
    }
    writeFileSync(path, sealed);
    await opens();
    writeFileSync(join(directory, 'master.key'), new Uint8Array(32));
    await assert.rejects(opens(), failsWith('not_authentic'));
  });

  it('a sealed key of the wrong kind', async (t: TestContext) => {
    const directory = await filled(t);
    const box = createSealedBox(readFileSync(join(directory, 'master.key')), 'holdfast/keys/v1');
    const log = box.open(readFileSync(join(directory, 'audit-log.key')), 'holdfast/keys/v1|audit-log');
    writeFileSync(join(directory, 'fleet-ca.key'), box.seal(log, 'holdfast/keys/v1|fleet-ca'));
    await assert.rejects((await openLocalKeys(directory)).signer('fleet-ca'), failsWith('malformed'));
    writeFileSync(join(directory, 'fleet-ca.key'), box.seal(utf8('no key'), 'holdfast/keys/v1|fleet-ca'));
    await assert.rejects(
      (await openLocalKeys(directory)).signer('fleet-ca'),
      failsWith('malformed', /holds no private key/),
    );
  });
});

describe('the data sealer', () => {
  const master = new Uint8Array(32).fill(7);
  const sealer = createDataSealer(master);

  it('opens what it sealed, in the same context, in another process too', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array(), fc.string({ unit: 'grapheme' }), async (data, context) => {
        const sealed = await sealer.seal(data, context);
        assert.ok(equalBytes(await createDataSealer(master).open(sealed, context), data));
      }),
    );
  });

  it('never seals the same way twice', async () => {
    const [a, b] = [await sealer.seal(utf8('x'), 'c'), await sealer.seal(utf8('x'), 'c')];
    assert.equal(equalBytes(a, b), false);
  });

  it('refuses any change, another context, another key, and what was sealed for another use', async () => {
    const sealed = await sealer.seal(utf8('secret'), 'context');
    assert.equal(fromUtf8(await sealer.open(sealed, 'context')), 'secret');
    for (let index = 0; index < sealed.length; index += 1) {
      const changed = Uint8Array.from(sealed);
      changed[index] = (changed[index] as number) ^ 1;
      await assert.rejects(sealer.open(changed, 'context'), failsWith(index < 4 ? 'malformed' : 'not_authentic'));
    }
    for (let length = 0; length < sealed.length; length += 1) {
      await assert.rejects(sealer.open(sealed.subarray(0, length), 'context'), KeysError);
    }
    for (const context of ['', 'Context', 'context ', 'contex']) {
      await assert.rejects(sealer.open(sealed, context), failsWith('not_authentic'));
    }
    const other = createDataSealer(new Uint8Array(32).fill(8));
    await assert.rejects(other.open(sealed, 'context'), failsWith('not_authentic'));
    const asKey = createSealedBox(master, 'holdfast/keys/v1').seal(utf8('secret'), 'holdfast/data/v1|context');
    await assert.rejects(sealer.open(asKey, 'context'), failsWith('not_authentic'));
  });

  it('arbitrary bytes let only KeysError out', async () => {
    await fc.assert(fc.asyncProperty(fc.uint8Array(), (bytes) => assert.rejects(sealer.open(bytes, ''), KeysError)));
  });
});
