/** Password hashes against the specification's own vectors and against OpenSSL. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { hashPassword, isPasswordOf } from './password-hash.ts';

const b = (text: string) => new Uint8Array(Buffer.from(text));

/** "Unix crypt using SHA-256 and SHA-512", test vectors of the reference implementation. */
const vectors = [
  [
    'Hello world!',
    '$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1',
  ],
  [
    'Hello world!',
    '$6$rounds=10000$saltstringsaltst$OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sbHbbMCVNSnCM/UrjmM0Dp8vOuZeHBy/YTBmSK6H9qs/y3RnOaw5v.',
  ],
] as const;

test('the published vectors are taken, and nothing near them', () => {
  for (const [password, stored] of vectors) {
    assert.equal(isPasswordOf(b(password), stored), true, stored);
    assert.equal(isPasswordOf(b(`${password} `), stored), false);
    assert.equal(isPasswordOf(b(password), `${stored.slice(0, -1)}0`), false);
  }
});

test('OpenSSL makes the same hashes, for passwords of every length', (t) => {
  try {
    execFileSync('openssl', ['version']);
  } catch {
    return t.skip('openssl is not installed: its hashes are not compared');
  }
  for (const length of [1, 2, 15, 16, 63, 64, 65, 100, 127]) {
    const password = 'pässwörd-'.repeat(20).slice(0, length);
    const made = execFileSync('openssl', ['passwd', '-6', '-salt', 'aB3./xyz', '-stdin'], { input: `${password}\n` });
    assert.equal(isPasswordOf(b(password), made.toString().trim()), true, String(length));
  }
});

test("a new hash has a salt of its own, is the password's, and other kinds are not compared", () => {
  const [one, two] = [hashPassword(b('secret value')), hashPassword(b('secret value'))];
  assert.notEqual(one, two);
  assert.match(one, /^\$6\$[./0-9A-Za-z]{16}\$[./0-9A-Za-z]{86}$/);
  assert.equal(isPasswordOf(b('secret value'), one), true);
  for (const stored of ['', '*', '!', '$5$x$y', '$y$j9T$x$y', '$6$', '$6$rounds=999999999$salt$x', one.slice(0, -1)]) {
    assert.equal(isPasswordOf(b('secret value'), stored), false, stored);
  }
});
