import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { bearerHeaders, createAdminWorld, testLocalAdminToken, testSite } from '../../test/fakes/admin.ts';
import { duplicateName } from './duplicate-names.ts';

test('a name that comes twice is found, however it is written and however deep', () => {
  for (const [text, name] of [
    ['{"a":1,"a":2}', 'a'],
    ['{"a":1,"\\u0061":2}', 'a'],
    ['{"x":[{"b":{},"c":"}","b":[]}]}', 'b'],
    ['{"__proto__":1,"__proto__":2}', '__proto__'],
    [' {\n"" : 1 , "" : 2 } ', ''],
    ['{"q\\"":1,"q\\"":2}', 'q"'],
  ])
    assert.equal(duplicateName(text ?? ''), name, text);
  for (const text of ['{"a":{"a":{"a":1}}}', '[{"a":1},{"a":1}]', '{"a":"a","b":"a"}', '["a","a"]', '"a"', '1', 'null'])
    assert.equal(duplicateName(text), undefined, text);
});

test('what JSON.stringify writes never has one, and any name said again is found', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue(), { minKeys: 1 }), (value) => {
      const text = JSON.stringify(value);
      assert.equal(duplicateName(text), undefined);
      const [name = ''] = Object.keys(value);
      assert.equal(duplicateName(`${text.slice(0, -1)},${JSON.stringify(name)}:0}`), name);
    }),
    { numRuns: 200 },
  );
});

test('a body with a name twice is refused, and makes nobody an admin', async () => {
  const { app } = await createAdminWorld();
  const headers = { ...bearerHeaders(testLocalAdminToken), 'content-type': 'application/json' };
  const body = '{"name":"eve","role":"viewer","role":"admin"}';
  const answer = await app.request(`${testSite}/v1/users`, { method: 'POST', headers, body });
  assert.equal(answer.status, 400);
  assert.match(await answer.text(), /\\"role\\" comes twice/);
  assert.equal((await app.request(`${testSite}/v1/users/eve`, { headers })).status, 404);
});
