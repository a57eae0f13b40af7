/** Fuzzing by schema: whatever is sent to any route, by whomever, no answer is a failure of ours. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { bearerHeaders, createAdminWorld, testLocalAdminToken, testSite } from '../../test/fakes/admin.ts';
import { openApiDocument } from './openapi.ts';
import { problemDetails } from './problem.ts';

type Schema = {
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly Schema[];
  readonly properties?: { readonly [name: string]: Schema };
  readonly required?: readonly string[];
  readonly items?: Schema;
};
type Operation = {
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly schema: Schema }[];
  readonly requestBody?: { readonly content: { readonly [type: string]: { readonly schema: Schema } } };
};

/** Texts that have broken parsers, paths, stores and logs elsewhere. */
const nasty = [
  '',
  ' ',
  '0',
  '-1',
  '1e999',
  'null',
  'NaN',
  '__proto__',
  'constructor',
  'toString',
  '../../etc/passwd',
  '..%2f',
  '%00',
  '\u0000',
  '\ud800',
  '\u202e',
  'a'.repeat(5000),
  '{"$ref":"#"}',
  "' OR 1=1 --",
  '%{jndi:ldap://x}',
  '<script>',
  'é',
  'ﬀ',
  '😀',
  '6b1f0a52-8f0e-4c57-9d3c-2f5f1f0c9a11',
  '0123456789abcdef',
  'a'.repeat(64),
  'alice',
  'local-admin',
  '1',
  '99999999999999999999',
  'AAAA',
  'tile/entries/000',
];
const anyText = fc.oneof(fc.constantFrom(...nasty), fc.string({ unit: 'binary', maxLength: 40 }));
const anyJson = fc.oneof(fc.jsonValue({ maxDepth: 4 }), anyText);

/** Values that fit a schema more or less: right in shape, often wrong in content. */
function fitting(schema: Schema): fc.Arbitrary<unknown> {
  if (schema.anyOf !== undefined) return fc.oneof(...schema.anyOf.map(fitting));
  if (schema.enum !== undefined) return fc.oneof(fc.constantFrom(...schema.enum), anyText);
  if (schema.const !== undefined) return fc.constant(schema.const);
  switch (schema.type) {
    case 'object':
      return fc.record(
        Object.fromEntries(Object.entries(schema.properties ?? {}).map(([name, each]) => [name, fitting(each)])),
        { requiredKeys: [...(schema.required ?? [])] },
      );
    case 'array':
      return fc.array(fitting(schema.items ?? {}), { maxLength: 4 });
    case 'integer':
    case 'number':
      return fc.oneof(fc.integer(), fc.constantFrom(0, -1, 60_000, 2 ** 53, 1.5));
    case 'boolean':
      return fc.boolean();
    case 'string':
      return anyText;
    default:
      return anyJson;
  }
}

test('fuzzing every route by its own schema finds no 5xx, and every refusal is problem details', async () => {
  const world = await createAdminWorld();
  await world.user('alice', 'viewer');
  const token = bearerHeaders((await world.apiToken(await world.user('root-admin', 'admin'))).token);
  const { paths } = openApiDocument(world.routes, world.open);
  const wellFormed = (text: string) => (text.isWellFormed() ? text : 'x');
  for (const [path, operations] of Object.entries(paths)) {
    // A stream would not end.
    if (path === '/v1/events') continue;
    for (const [method, operation] of Object.entries(operations as { [method: string]: Operation })) {
      const parameters = operation.parameters ?? [];
      const body = operation.requestBody?.content['application/json']?.schema;
      const input = fc.record({
        values: fc.record(
          Object.fromEntries(
            parameters.map(({ name, schema }) => [name, fc.oneof(fitting(schema).map(String), anyText)]),
          ),
        ),
        body: body === undefined ? fc.constant(undefined) : fc.oneof({ weight: 4, arbitrary: fitting(body) }, anyJson),
        raw: fc.constantFrom(undefined, undefined, undefined, '{', '[]', '"\\ud800"'),
        who: fc.constantFrom(bearerHeaders(testLocalAdminToken), token),
        extra: fc.constantFrom('', '', '?limit=0', '?limit=1&limit=2', '?cursor=%00', '?x=1'),
      });
      await fc.assert(
        fc.asyncProperty(input, async ({ values, body, raw, who, extra }) => {
          let url = path;
          const query = new URLSearchParams(extra.slice(1));
          const headers: Record<string, string> = { ...who, origin: testSite };
          for (const { name, in: place } of parameters) {
            const value = wellFormed(values[name] ?? '');
            if (place === 'path')
              url = url.replace(`{${name}}`, encodeURIComponent(value).replace(/^\.{1,2}$/, 'x') || 'x');
            else if (place === 'query' && value !== '') query.append(name, value);
            else if (place === 'header') headers[name] = /^[\x21-\x7e]+$/.test(value) ? value : '"1"';
          }
          const sent = raw ?? (body === undefined ? undefined : JSON.stringify(body));
          const response = await world.app.request(`${testSite}${url}${query.size > 0 ? `?${query}` : ''}`, {
            method: method.toUpperCase(),
            headers: { ...headers, ...(sent === undefined ? {} : { 'content-type': 'application/json' }) },
            ...(sent === undefined || method === 'get' ? {} : { body: sent }),
          });
          const text = await response.text();
          assert.ok(response.status < 500, `${method} ${url} ${sent}: ${response.status} ${text}`);
          if (response.status < 400) return;
          assert.match(response.headers.get('content-type') ?? '', /problem\+json/);
          assert.equal(problemDetails.parse(JSON.parse(text)).status, response.status);
        }),
        { numRuns: 15, seed: 20_260 },
      );
    }
  }
});

test('fuzzing credentials and headers finds no 5xx and no way in', async () => {
  const { app } = await createAdminWorld();
  const value = fc
    .oneof(anyText, fc.constantFrom('Bearer vgot_', 'Bearer hfs_x', 'Bearer ', 'Basic x'))
    .map((text) => text.replaceAll(/[^\x20-\x7e]/g, '?'));
  const names = [
    'authorization',
    'cookie',
    'content-type',
    'if-match',
    'idempotency-key',
    'origin',
    'host',
    'x-forwarded-for',
    'content-length',
  ];
  await fc.assert(
    fc.asyncProperty(
      fc.dictionary(fc.constantFrom(...names), value),
      fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'TRACE-X'),
      async (headers, method) => {
        const response = await app.request(`${testSite}/v1/users`, { method, headers });
        assert.equal(response.status, 401);
      },
    ),
    { numRuns: 300 },
  );
});
