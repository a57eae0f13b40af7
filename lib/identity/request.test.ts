import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { requestSigningInput } from './request.ts';

const binding = {
  method: '/holdfast.agent.v1.Gateway/Session',
  challenge: new Uint8Array(32).fill(0x11),
  counter: 258,
  uuid: '0d5c1c0e-7c5e-4b53-9b57-0f1d3a5b7c9d',
  certificateDigest: new Uint8Array(32).fill(0x22),
  bodyDigest: new Uint8Array(32).fill(0x33),
};

describe('request signing input', () => {
  test('has the bytes of the format', () => {
    const expected =
      Buffer.from('holdfast/request/v1').toString('hex') +
      '00' +
      '0022' +
      Buffer.from(binding.method).toString('hex') +
      '11'.repeat(32) +
      '0000000000000102' +
      '0d5c1c0e7c5e4b539b570f1d3a5b7c9d' +
      '22'.repeat(32) +
      '33'.repeat(32);
    assert.equal(Buffer.from(requestSigningInput(binding)).toString('hex'), expected);
  });

  test('R05 every part is covered', () => {
    const other = new Uint8Array(32).fill(0x44);
    const changes = [
      { method: `${binding.method}2` },
      { challenge: other },
      { counter: 259 },
      { uuid: binding.uuid.replace('d', 'e') },
      { certificateDigest: other },
      { bodyDigest: other },
    ];
    const inputs = [{}, ...changes].map((change) =>
      Buffer.from(requestSigningInput({ ...binding, ...change })).toString('hex'),
    );
    assert.equal(new Set(inputs).size, inputs.length);
  });

  test('parts of another size are refused, not padded', () => {
    const short = new Uint8Array(31);
    for (const change of [
      { challenge: short },
      { certificateDigest: short },
      { bodyDigest: new Uint8Array(33) },
      { counter: -1 },
      { counter: 1.5 },
      { counter: 2 ** 53 },
      { method: 'x'.repeat(65_536) },
    ]) {
      assert.throws(() => requestSigningInput({ ...binding, ...change }), TypeError);
    }
    assert.throws(() => requestSigningInput({ ...binding, uuid: binding.uuid.toUpperCase() }), { code: 'malformed' });
  });
});
