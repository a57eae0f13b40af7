import assert from 'node:assert/strict';
import { test } from 'node:test';
import { signRequest } from './sigv4.ts';

const request = {
  method: 'GET',
  url: new URL('https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08'),
  headers: { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' },
  body: '',
};
const scope = {
  credentials: { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' },
  region: 'us-east-1',
  service: 'iam',
  now: Date.UTC(2015, 7, 30, 12, 36, 0),
};

test("the signature of AWS's published example", () => {
  assert.equal(
    signRequest(request, scope)['authorization'],
    'AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, ' +
      'SignedHeaders=content-type;host;x-amz-date, ' +
      'Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7',
  );
});

test('a session token is sent and signed, and every part of the request changes the signature', () => {
  const signed = signRequest(request, { ...scope, credentials: { ...scope.credentials, sessionToken: 'token' } });
  assert.equal(signed['x-amz-security-token'], 'token');
  assert.match(signed['authorization']!, /SignedHeaders=content-type;host;x-amz-date;x-amz-security-token,/);
  const others = [
    signRequest({ ...request, method: 'POST' }, scope),
    signRequest({ ...request, body: 'x' }, scope),
    signRequest({ ...request, url: new URL('https://iam.amazonaws.com/other') }, scope),
    signRequest(request, { ...scope, region: 'eu-central-1' }),
    signRequest(request, { ...scope, now: scope.now + 1000 }),
    signed,
  ];
  const all = [signRequest(request, scope), ...others].map(({ authorization }) => authorization);
  assert.equal(new Set(all).size, all.length);
});
