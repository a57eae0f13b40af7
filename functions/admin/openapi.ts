/** The OpenAPI 3.1 document, made from the very schemas that validate: it can't say anything else than what holds. */
import { z } from 'zod';
import type { Permission } from '../../lib/access/permissions.ts';
import type { OpenRoute } from './open-route.ts';
import { statuses } from './problem.ts';
import { type MediaType, type Route, route } from './route.ts';

type JsonSchema = { readonly [keyword: string]: unknown };
type Described = Pick<Route, 'method' | 'path' | 'schema'> & {
  readonly permission?: Permission;
  readonly guarded?: true;
  readonly produces?: MediaType | 'none';
};

export type OpenApiDocument = {
  readonly openapi: '3.1.0';
  readonly info: object;
  readonly paths: { readonly [path: string]: { readonly [method: string]: object } };
  readonly components: object;
  readonly [field: string]: unknown;
};

/** Behind the same door as everything else: who has no credential learns nothing of what is here. */
export function openApiRoute(routes: readonly Route[], open: readonly OpenRoute[]): Route {
  const self: Route = route({
    method: 'GET',
    path: '/v1/openapi.json',
    permission: 'self.read',
    handler: async (): Promise<OpenApiDocument> => openApiDocument([...routes, self], open),
  });
  return self;
}

export function openApiDocument(routes: readonly Route[], open: readonly OpenRoute[] = []): OpenApiDocument {
  const paths: Record<string, Record<string, object>> = {};
  for (const each of [...open, ...routes] as readonly Described[]) {
    const path = templateOf(each.path);
    paths[path] = { ...paths[path], [each.method.toLowerCase()]: operationOf(each) };
  }
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
      schemas: { Problem: problemSchema },
      responses: {
        Problem: {
          description: 'A refusal or a failure, as problem details.',
          content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
        },
      },
    },
  };
}

const problemSchema = {
  type: 'object',
  required: ['type', 'title', 'status'],
  properties: {
    type: { type: 'string', enum: Object.keys(statuses).map((name) => `urn:holdfast:problem:${name}`) },
    title: { type: 'string' },
    status: { type: 'integer' },
    detail: { type: 'string' },
    reason: { type: 'string', description: 'The stable code of what refused, where there is one.' },
  },
};

function operationOf(described: Described): object {
  const { method, path, schema, permission, guarded } = described;
  const isChange = method !== 'GET';
  const parameters = [
    ...parametersOf('path', schema?.params, names(path)),
    ...parametersOf('query', schema?.query, []),
    ...(guarded === true && isChange ? [header('If-Match', true, 'The `ETag` of what is changed.')] : []),
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
    ...bodyOf(schema),
    responses: {
      ...successOf(described),
      default: { $ref: '#/components/responses/Problem' },
    },
  };
}

function successOf({ produces, guarded }: Described): object {
  if (produces === 'none') return { 303: { description: 'Back to the page.' } };
  const content =
    produces === undefined ? { 'application/json': { schema: { type: 'object' } } } : { [produces]: { schema: {} } };
  const etag = { ETag: { description: 'For `If-Match`.', schema: { type: 'string' } } };
  return {
    200: { description: 'Done.', content, ...(guarded === true ? { headers: etag } : {}) },
  };
}

function bodyOf(schema: Described['schema']): object {
  if (schema?.maxBytes !== undefined)
    return { requestBody: { required: true, content: { 'application/octet-stream': { schema: {} } } } };
  if (schema?.body === undefined) return {};
  return { requestBody: { required: true, content: { 'application/json': { schema: jsonSchema(schema.body) } } } };
}

/** Every name in the path is a parameter, also where the route left it to its handler. */
function parametersOf(place: 'path' | 'query', schema: z.ZodType | undefined, all: readonly string[]): object[] {
  const { properties = {}, required = [] } = (schema === undefined ? {} : jsonSchema(schema)) as {
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

/** What may be sent: the input side of the schema, before defaults and transformations. */
function jsonSchema(schema: z.ZodType): JsonSchema {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
  return rest;
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
