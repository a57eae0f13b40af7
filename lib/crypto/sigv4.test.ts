import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
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

test("the signature of Amazon's own client for the same requests to S3", async () => {
  for (const [key, body] of [
    ['audit/2026-01-02/0000000000000000-ab.ndjson.gz', Buffer.from([31, 139, 8, 0, 255])],
    ['year=2026/log=a/x.gz', Buffer.from('x')],
  ] as const) {
    const { request, authorization } = await signedBySdk(key, body);
    assert.equal(signRequest(request.signable, request.scope)['authorization'], authorization);
  }
});

/** What the SDK would send, and the headers among it that it signed. */
async function signedBySdk(key: string, body: Buffer) {
  type Sent = { headers: Record<string, string>; path: string; hostname: string };
  let sent: Sent | undefined;
  const client = new S3Client({
    region: 'eu-central-1',
    credentials: scope.credentials,
    requestHandler: {
      handle: async (request: Sent) => {
        sent = request;
        throw new Error('not sent');
      },
    },
  });
  const command = new PutObjectCommand({ Bucket: 'audit', Key: key, Body: body, IfNoneMatch: '*' });
  await assert.rejects(client.send(command), /not sent/);
  const { headers, path, hostname } = sent!;
  const authorization = headers['authorization']!;
  const names = /SignedHeaders=([^,]+),/.exec(authorization)![1]!.split(';');
  const own = names.filter((name) => name !== 'host' && name !== 'x-amz-date').map((name) => [name, headers[name]!]);
  const [, y, mo, d, h, mi, s] = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(headers['x-amz-date']!)!;
  const now = Date.UTC(Number(y), Number(mo) - 1, Number(d), Number(h), Number(mi), Number(s));
  return {
    authorization,
    request: {
      // The operation's own parameter `x-id` is not of the request that is made here.
      signable: {
        method: 'PUT',
        url: new URL(`https://${hostname}${path}?x-id=PutObject`),
        headers: Object.fromEntries(own),
        body,
      },
      scope: { ...scope, region: 'eu-central-1', service: 's3', now },
    },
  };
}
