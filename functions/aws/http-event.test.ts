import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDirect, isHttpEvent, withWholeSecretPath } from './http-event.ts';

const event = (method: string, rawPath: string) => ({
  version: '2.0',
  rawPath,
  requestContext: { http: { method } },
});

test('a secret’s path is one segment, whether or not it was decoded on the way', () => {
  const table: readonly (readonly [string, string, string])[] = [
    ['PUT', '/v1/secrets/db/key', '/v1/secrets/db%2Fkey'],
    ['PUT', '/v1/secrets/db%2Fkey', '/v1/secrets/db%2Fkey'],
    ['PUT', '/v1/secrets/key', '/v1/secrets/key'],
    ['PUT', '/v1/secrets/rotate', '/v1/secrets/rotate'],
    ['PUT', '/v1/secrets/a/b/c/rotate', '/v1/secrets/a%2Fb%2Fc/rotate'],
    ['POST', '/v1/secrets/db/key/delete', '/v1/secrets/db%2Fkey/delete'],
    ['POST', '/v1/secrets/db%2Fkey/generate', '/v1/secrets/db%2Fkey/generate'],
    ['GET', '/v1/secrets/db/key/versions', '/v1/secrets/db%2Fkey/versions'],
    ['GET', '/v1/secrets', '/v1/secrets'],
    ['GET', '/v1/nodes/a/b', '/v1/nodes/a/b'],
  ];
  for (const [method, given, expected] of table)
    assert.equal(withWholeSecretPath(event(method, given)).rawPath, expected, `${method} ${given}`);
});

test('R19 what has a request context is no direct invocation, and what has neither is nothing', () => {
  assert(isHttpEvent(event('GET', '/')));
  assert(isDirect({ holdfast: 'admin' }));
  for (const odd of [undefined, null, 'x', {}, { holdfast: 'x', requestContext: {} }, { holdfast: 'x', Records: [] }]) {
    assert(!isDirect(odd));
    assert(!isHttpEvent(odd));
  }
});
