import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { decodeEnvelope, encodeEnvelope } from './envelope.ts';
import { AnswerSchema, EnvelopeSchema } from './gen/holdfast/agent/v1/gateway_pb.ts';
import { encodeAnswer, withCounter } from './messages.ts';

const counter = fc.integer({ min: 1, max: 0xffffffff });
const signature = fc.uint8Array({ minLength: 64, maxLength: 64 });
const body = fc.uint8Array({ maxLength: 300 });

describe('the envelope', () => {
  it('is what protobuf encodes and decodes', () => {
    fc.assert(
      fc.property(counter, signature, body, (counter, signature, body) => {
        const ours = encodeEnvelope({ counter, signature, body });
        assert.deepEqual(Buffer.from(fromBinary(EnvelopeSchema, ours).body), Buffer.from(body));
        const theirs = toBinary(EnvelopeSchema, create(EnvelopeSchema, { counter, signature, body }));
        const decoded = decodeEnvelope(theirs, 300)!;
        assert.equal(decoded.counter, counter);
        assert.deepEqual(Buffer.from(decoded.signature), Buffer.from(signature));
        assert.deepEqual(Buffer.from(decoded.body), Buffer.from(body));
      }),
    );
  });

  it('of random bytes is nothing, and never throws', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const decoded = decodeEnvelope(bytes, 100);
        assert.ok(decoded === undefined || decoded.signature.length === 64);
      }),
    );
  });

  it('cut short or continued anywhere is nothing', () => {
    const whole = encodeEnvelope({
      counter: 300,
      signature: new Uint8Array(64).fill(1),
      body: new Uint8Array(20).fill(2),
    });
    // Without its last field whole, an envelope with an empty body is left: another message, and not what was signed.
    const withoutBody = whole.length - 22;
    for (let length = 0; length < whole.length; length++) {
      if (length !== withoutBody) assert.equal(decodeEnvelope(whole.subarray(0, length), 100), undefined, `${length}`);
    }
    for (let byte = 0; byte < 256; byte++) {
      assert.equal(decodeEnvelope(Buffer.concat([whole, Buffer.of(byte)]), 100), undefined);
    }
  });

  it('has one spelling: padded integers, larger ones, and bodies over the limit are nothing', () => {
    const rest = encodeEnvelope({ counter: 1, signature: new Uint8Array(64), body: new Uint8Array(1) }).subarray(2);
    assert.ok(decodeEnvelope(Buffer.concat([Buffer.of(8, 1), rest]), 1));
    assert.equal(decodeEnvelope(Buffer.concat([Buffer.of(8, 1), rest]), 0), undefined);
    assert.equal(decodeEnvelope(Buffer.concat([Buffer.of(8, 0x81, 0), rest]), 1), undefined);
    assert.equal(decodeEnvelope(Buffer.concat([Buffer.of(8, 0xff, 0xff, 0xff, 0xff, 0x1f), rest]), 1), undefined);
  });
});

describe('answers encoded once', () => {
  it('carry any counter put before them', () => {
    fc.assert(
      fc.property(counter, fc.integer({ min: 1, max: 1e6 }), (counter, nextCheckInMs) => {
        const answer = { case: 'checkIn', value: { nextCheckInMs } } as const;
        const bytes = withCounter(counter, encodeAnswer({ answer }));
        assert.deepEqual(Buffer.from(bytes), encodeAnswer({ counter, answer }));
        assert.equal(fromBinary(AnswerSchema, bytes).counter, counter);
      }),
    );
  });
});
