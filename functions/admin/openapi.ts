/** The OpenAPI 3.1 document, made from the very schemas that validate: it can't say anything else than what holds. */
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import type { Permission } from '../../lib/access/permissions.ts';
import type { OpenRoute } from './open-route.ts';
import { problemDetails } from './problem.ts';
import { type MediaType, type Route, route } from './route.ts';
import type { View } from './view.ts';

type JsonSchema = { readonly [keyword: string]: unknown };
type Described = Pick<Route, 'method' | 'path' | 'schema'> & {
  readonly permission?: Permission;
  readonly guarded?: true;
  readonly resumes?: true;
  readonly answer?: z.ZodType | undefined;
  readonly produces?: MediaType | 'none';
};
/** Schemas that have a name, by that. */
type Named = Record<string, JsonSchema>;

const documentSchema = z.looseObject({
  openapi: z.literal('3.1.0'),
  info: z.looseObject({}),
  paths: z.record(z.string(), z.record(z.string(), z.looseObject({}))),
  components: z.looseObject({}),
});

export type OpenApiDocument = View<typeof documentSchema>;

/** Behind the same door as everything else: who has no credential learns nothing of what is here. */
export function openApiRoute(routes: readonly Route[], open: readonly OpenRoute[]): Route {
  const self: Route = route({
    method: 'GET',
    path: '/v1/openapi.json',
    permission: 'self.read',
    answer: documentSchema,
    handler: async () => openApiDocument([...routes, self], open),
  });
  return self;
}

export function openApiDocument(routes: readonly Route[], open: readonly OpenRoute[] = []): OpenApiDocument {
  const paths: Record<string, Record<string, JsonSchema>> = {};
  const named: Named = {};
  for (const each of [...open, ...routes] as readonly Described[]) {
    const path = templateOf(each.path);
    paths[path] = { ...paths[path], [each.method.toLowerCase()]: operationOf(each, named) };
  }
  const problem = jsonSchema(problemDetails, 'output', named);
  return {
    openapi: '3.1.0',
    info: {
      title: 'Holdfast admin API',
      version: '1',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      description: 'Every capability of the command line and of the console. Errors are problem details (RFC 9457).',
    },
    servers: [{ url: '/' }],
    security: [{ bearer: [] }, { session: [] }],
    paths,
    components: {
      securitySchemes: {
        bearer: {
          type: 'http',
          scheme: 'bearer',
          description: 'An API token (`vgot_…`), the session of a command line, or the token of local-admin.',
        },
        session: {
          type: 'apiKey',
          in: 'cookie',
          name: '__Host-holdfast',
          description: 'The session of a page. A change under it also needs `Origin` and `X-Holdfast-Csrf`.',
        },
      },
      schemas: Object.fromEntries(Object.entries(named).sort(([a], [b]) => (a < b ? -1 : 1))),
      responses: {
        Problem: {
          description: 'A refusal or a failure, as problem details.',
          content: { 'application/problem+json': { schema: problem } },
        },
      },
    },
  };
}

function operationOf(described: Described, named: Named): JsonSchema {
  const { method, path, schema, permission, guarded, resumes } = described;
  const isChange = method !== 'GET';
  const parameters = [
    ...parametersOf('path', schema?.params, names(path), named),
    ...parametersOf('query', schema?.query, [], named),
    ...(guarded === true && isChange ? [header('If-Match', true, 'The `ETag` of what is changed.')] : []),
    ...(resumes === true ? [header('Last-Event-ID', false, 'The `id` of the newest event that the client has.')] : []),
    ...(permission !== undefined && isChange && schema?.maxBytes === undefined
      ? [header('Idempotency-Key', false, 'Done once, and answered the same when sent again.')]
      : []),
  ];
  return {
    operationId: operationId(described),
    ...(permission === undefined
      ? { security: [], description: 'Open to anybody.' }
      : { description: `Needs the permission \`${permission}\`.`, 'x-permission': permission }),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...bodyOf(schema, named),
    responses: {
      ...successOf(described, named),
      default: { $ref: '#/components/responses/Problem' },
    },
  };
}

function successOf({ answer, produces, guarded }: Described, named: Named): object {
  if (produces === 'none') return { 303: { description: 'Back to the page.' } };
  const content = {
    ...(answer === undefined ? {} : { 'application/json': { schema: jsonSchema(answer, 'output', named) } }),
    ...(produces === undefined ? {} : { [produces]: { schema: {} } }),
  };
  const etag = { ETag: { description: 'For `If-Match`.', schema: { type: 'string' } } };
  return {
    200: { description: 'Done.', content, ...(guarded === true ? { headers: etag } : {}) },
  };
}

function bodyOf(schema: Described['schema'], named: Named): object {
  if (schema?.maxBytes !== undefined)
    return { requestBody: { required: true, content: { 'application/octet-stream': { schema: {} } } } };
  if (schema?.body === undefined) return {};
  const content = { 'application/json': { schema: jsonSchema(schema.body, 'input', named) } };
  return { requestBody: { required: true, content } };
}

/** Every name in the path is a parameter, also where the route left it to its handler. */
function parametersOf(
  place: 'path' | 'query',
  schema: z.ZodType | undefined,
  all: readonly string[],
  named: Named,
): object[] {
  const { properties = {}, required = [] } = (schema === undefined ? {} : jsonSchema(schema, 'input', named)) as {
    readonly properties?: { readonly [name: string]: JsonSchema };
    readonly required?: readonly string[];
  };
  return [...new Set([...all, ...Object.keys(properties)])].map((name) => ({
    name,
    in: place,
    required: place === 'path' || required.includes(name),
    schema: properties[name] ?? { type: 'string' },
  }));
}

function header(name: string, required: boolean, description: string): object {
  return { name, in: 'header', required, description, schema: { type: 'string' } };
}

/**
 * Of what may be sent, the input side of the schema, before defaults and transformations; of what comes back, the output
 * side. What has a name goes into `named`, and is referred to.
 */
function jsonSchema(schema: z.ZodType, io: 'input' | 'output', named: Named): JsonSchema {
  const { $schema: _dialect, $defs = {}, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' });
  for (const [name, definition] of Object.entries($defs)) {
    const moved = referringToComponents(definition);
    if (named[name] !== undefined && !isDeepStrictEqual(named[name], moved))
      throw new TypeError(`two schemas have the name ${name}`);
    named[name] = moved;
  }
  return referringToComponents(rest);
}

function referringToComponents(schema: object): JsonSchema {
  return JSON.parse(JSON.stringify(schema).replaceAll('"#/$defs/', '"#/components/schemas/')) as JsonSchema;
}

/** `/v1/audit/:path{tile/.+}` is `/v1/audit/{path}`. */
function templateOf(path: string): string {
  return path.replace(/:([a-zA-Z0-9]+)(\{[^}]*\})?/g, '{$1}');
}

function names(path: string): string[] {
  return [...path.matchAll(/:([a-zA-Z0-9]+)/g)].map(([, name = '']) => name);
}

/** `POST /v1/users/:name/keys/remove` is `postUsersNameKeysRemove`. */
function operationId({ method, path }: Described): string {
  const words = templateOf(path)
    .split(/[^a-zA-Z0-9]+/)
    .filter((word) => word !== '' && word !== 'v1');
  const title = words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('');
  return `${method.toLowerCase()}${title || 'Root'}`;
}
