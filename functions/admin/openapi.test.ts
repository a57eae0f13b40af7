import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { z } from 'zod';
import { grantOf } from '../../lib/access/permissions.ts';
import { bearerHeaders, createAdminWorld, testLocalAdminToken, testSite } from '../../test/fakes/admin.ts';
import { livez } from './app.ts';

/** OpenAPI 3.1.0 §4.8, as far as this document uses it; strict, so that a field in a wrong place is an error. */
const jsonSchema = z.record(z.string(), z.unknown());
const reference = z.strictObject({ $ref: z.string().startsWith('#/components/') });
const content = z.record(z.string().regex(/^[a-z]+\/[a-z+-]+$/), z.strictObject({ schema: jsonSchema }));
const parameter = z.strictObject({
  name: z.string().min(1),
  in: z.enum(['query', 'header', 'path', 'cookie']),
  required: z.boolean(),
  description: z.string().optional(),
  schema: jsonSchema,
});
const response = z.union([
  reference,
  z.strictObject({
    description: z.string(),
    content: content.optional(),
    headers: z.record(z.string(), z.strictObject({ description: z.string(), schema: jsonSchema })).optional(),
  }),
]);
const operation = z.strictObject({
  operationId: z.string().regex(/^[a-z][a-zA-Z0-9]+$/),
  description: z.string(),
  security: z.array(z.record(z.string(), z.array(z.string()))).optional(),
  'x-permission': z.string().optional(),
  parameters: z.array(parameter).optional(),
  requestBody: z.strictObject({ required: z.boolean(), content }).optional(),
  responses: z.record(z.string().regex(/^(default|[1-5]([0-9]{2}|XX))$/), response),
});
const documentShape = z.strictObject({
  openapi: z.literal('3.1.0'),
  info: z.strictObject({
    title: z.string(),
    version: z.string(),
    description: z.string(),
    license: z.strictObject({ name: z.string(), identifier: z.string() }),
  }),
  servers: z.array(z.strictObject({ url: z.string() })),
  security: z.array(z.record(z.string(), z.array(z.string()))),
  paths: z.record(z.string().startsWith('/'), z.partialRecord(z.enum(['get', 'post', 'put', 'delete']), operation)),
  components: z.strictObject({
    securitySchemes: z.record(z.string(), z.record(z.string(), z.string())),
    schemas: z.record(z.string(), jsonSchema),
    responses: z.record(z.string(), response),
  }),
});

async function readDocument() {
  const world = await createAdminWorld();
  const answer = await world.app.request(`${testSite}/v1/openapi.json`, {
    headers: bearerHeaders(testLocalAdminToken),
  });
  assert.equal(answer.status, 200);
  return { world, document: documentShape.parse(await answer.json()) };
}

test('the OpenAPI document has the shape of OpenAPI 3.1, and every schema in it is JSON Schema 2020-12', async () => {
  const { document } = await readDocument();
  const ajv = new Ajv2020({ strict: false, formats: { 'date-time': true, uuid: true } });
  // As it is referred to: from the root of the document.
  const compile = (schema: object) => ajv.compile({ ...schema, components: document.components });
  const ids = new Set<string>();
  for (const [path, operations] of Object.entries(document.paths)) {
    const inPath = [...path.matchAll(/\{([^}]+)\}/g)].map(([, name]) => name);
    for (const [method, each] of Object.entries(operations)) {
      assert.equal(ids.has(each.operationId), false, each.operationId);
      ids.add(each.operationId);
      const parameters = each.parameters ?? [];
      assert.deepEqual(
        parameters
          .filter((one) => one.in === 'path')
          .map(({ name }) => name)
          .sort(),
        inPath.toSorted(),
        `${method} ${path}`,
      );
      for (const one of parameters) assert.ok(one.in !== 'path' || one.required);
      const bodies = Object.values(each.requestBody?.content ?? {});
      const answers = Object.values(each.responses).flatMap((one) =>
        'content' in one ? Object.values(one.content ?? {}) : [],
      );
      for (const { schema } of [...parameters, ...bodies, ...answers]) compile(schema);
      assert.ok('default' in each.responses);
    }
  }
  for (const schema of Object.values(document.components.schemas)) compile(schema);
});

test('the document says exactly what is mounted, with the permission that the app asks for', async () => {
  const { world, document } = await readDocument();
  const described = Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(
      ([method, each]) => `${method.toUpperCase()} ${path} ${each['x-permission'] ?? 'open'}`,
    ),
  );
  const template = (path: string) => path.replace(/:([a-zA-Z0-9]+)(\{[^}]*\})?/g, '{$1}');
  const mounted = [
    ...[livez, ...world.open].map(({ method, path }) => `${method} ${template(path)} open`),
    ...world.routes.map(({ method, path, permission }) => `${method} ${template(path)} ${permission}`),
  ];
  assert.deepEqual(described.sort(), mounted.sort());
  for (const { permission } of world.routes) assert.notEqual(grantOf({ role: 'admin' }, permission), 'none');
});

test('a body that the document calls wrong is one that the app refuses, and the other way', async () => {
  const { world, document } = await readDocument();
  const schema = document.paths['/v1/users']?.post?.requestBody?.content['application/json']?.schema;
  assert.ok(schema);
  const isValid = new Ajv2020({ strict: false }).compile(schema);
  for (const body of [
    {},
    { name: 'a' },
    { name: 'a', role: 'root' },
    { name: 'a', role: 'viewer', x: 1 },
    { name: 1, role: 'viewer' },
    [],
    null,
    'x',
    { name: 'zoe', role: 'viewer' },
  ]) {
    const answer = await world.app.request(`${testSite}/v1/users`, {
      method: 'POST',
      headers: { ...bearerHeaders(testLocalAdminToken), 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    assert.equal(answer.status === 400, !isValid(body), JSON.stringify(body));
  }
});
