/** Redaction in every form, in parts, and across every chunk border; and that ordinary text is left alone. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { createRedactor } from './redaction.ts';

const b = (text: string) => Buffer.from(text, 'utf8');
const values: { readonly [name: string]: Buffer } = {
  plain: b('correct-horse-7Qz9'),
  'four bytes': b('k9Z!'),
  quotes: b(`it's "quoted" \`and\` $HOME \\ done`),
  json: b('{"user":"svc","password":"pa55/w0rd"}'),
  regex: b('^(a+)+$[x]{2}|\\d.*?'),
  unicode: b('pässwörd-密码-🔑'),
  'multi-line': b('first line of it\nsecond line of it\n\tthird, indented line\n'),
  binary: Buffer.from('00ff10a0b1c2d3e4f5061728394a5b6c7d8e9f', 'hex'),
  large: randomBytes(60 * 1024),
};

/** How programs would print it, by other means than the code under test. */
const printed: { readonly [form: string]: (value: Buffer) => Buffer } = {
  raw: (value) => value,
  'base64 at 0': (value) => b(value.toString('base64')),
  'base64 at 1': (value) => b(Buffer.concat([b('u'), value, b(':x')]).toString('base64')),
  'base64 at 2': (value) => b(Buffer.concat([b('us'), value, b(':x')]).toString('base64')),
  'wrapped base64': (value) => b(value.toString('base64').replace(/.{76}/g, '$&\n')),
  base64url: (value) => b(value.toString('base64url')),
  hex: (value) => b(value.toString('hex')),
  HEX: (value) => b(value.toString('hex').toUpperCase()),
  hexdump: (value) => b((value.toString('hex').match(/.{1,4}/g) ?? []).join(' ')),
  url: (value) => b(encodeURIComponent(value.toString('utf8'))),
  form: (value) => b(new URLSearchParams({ p: value.toString('utf8') }).toString().slice(2)),
  json: (value) => b(JSON.stringify(value.toString('utf8')).slice(1, -1)),
  shell: (value) => b(value.toString('utf8').replaceAll("'", `'\\''`)),
  inspect: (value) => b(inspect(value.toString('utf8')).slice(1, -1)),
  reversed: (value) => Buffer.from(value).reverse(),
};

for (const [name, value] of Object.entries(values)) {
  test(`R15 a value is found in every form: ${name}`, () => {
    const redactor = createRedactor([value]);
    for (const [form, print] of Object.entries(printed)) {
      // Each search of so much text takes a while; parts of it are searched for below.
      if (name === 'large' && !['raw', 'wrapped base64', 'hexdump'].includes(form)) continue;
      const shown = print(value);
      const out = redactor.bytes(Buffer.concat([b('before <'), shown, b('> after')])).toString('latin1');
      assert.match(out, /^before </, form);
      assert.match(out, /> after$/, form);
      const inside = out.slice('before <'.length, -'> after'.length);
      // The ends of base64 at 1 and 2 hold the neighbours' bits too.
      assert.ok(
        inside.includes('[redacted]') && inside.length <= 24,
        `${form}: ${JSON.stringify(inside.slice(0, 80))}`,
      );
    }
  });
}

test('R15 a value is found across every chunk border', () => {
  for (const name of ['plain', 'quotes', 'multi-line', 'binary', 'four bytes']) {
    const value = values[name] as Buffer;
    const whole = Buffer.concat([b('before '), value, b(' between '), b(value.toString('base64')), b(' after')]);
    const wanted = createRedactor([value]).bytes(whole).toString('latin1');
    for (let at = 0; at <= whole.length; at++) {
      for (const second of [at + 1, at + 5, whole.length]) {
        const stream = createRedactor([value]).stream();
        const parts = [whole.subarray(0, at), whole.subarray(at, second), whole.subarray(second)];
        const out = Buffer.concat([...parts.map((part) => stream.push(part)), stream.end()]).toString('latin1');
        assert.equal(out, wanted, `${name}, cut at ${at} and ${second}`);
      }
    }
    const bytewise = createRedactor([value]).stream();
    const out = [...whole].map((byte) => bytewise.push(Buffer.of(byte)));
    assert.equal(Buffer.concat([...out, bytewise.end()]).toString('latin1'), wanted);
  }
});

test('R15 the large value is found across chunk borders, and so is any part of it', () => {
  const value = values['large'] as Buffer;
  const stream = createRedactor([value]).stream();
  const whole = Buffer.concat([b('before '), value, b(' after')]);
  const out: Buffer[] = [];
  for (let at = 0; at < whole.length; at += 997) out.push(stream.push(whole.subarray(at, at + 997)));
  assert.equal(Buffer.concat([...out, stream.end()]).toString('latin1'), 'before [redacted] after');
  const redactor = createRedactor([value]);
  for (let i = 0; i < 200; i++) {
    const part = value.subarray(i * 301, i * 301 + 80);
    assert.equal(redactor.bytes(part).toString('latin1').replace('[redacted]', '').trim().length <= 1, true);
  }
});

test('a value that was cut, as by the limit of a report, does not show its rest', () => {
  const value = values['plain'] as Buffer;
  const redactor = createRedactor([value]);
  assert.equal(redactor.text(`…${value.subarray(4)} failed`), '…[redacted] failed');
  assert.equal(redactor.text(`failed: ${value.subarray(0, 12)}`), 'failed: [redacted]');
});

test('each line of a value of many lines is found by itself', () => {
  const out = createRedactor([values['multi-line'] as Buffer]).text('+first line of it\n+second line of it\n');
  assert.doesNotMatch(out, /first line|second line/);
});

test('other text is left alone, byte for byte', () => {
  const redactor = createRedactor(Object.values(values));
  const text = 'The service nginx could not be started: exit 1 (pässt, 密, 🔐), see /var/log/syslog\n'.repeat(20);
  assert.equal(redactor.text(text), text);
  assert.equal(createRedactor([]).text(text), text);
  const stream = redactor.stream();
  assert.equal(Buffer.concat([stream.push(b(text)), stream.end()]).toString(), text);
});
