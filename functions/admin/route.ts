/** A route of the admin API as one value: method, path, permission, schemas, handler. Without a permission it does not compile. */
import type { z } from 'zod';
import type { Permission } from '../../lib/access/permissions.ts';
import type { Principal } from '../../lib/access/principal.ts';

type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

/** What a handler gets: only what was parsed, and who asks. */
type RouteInput<Params, Filters, Body> = {
  readonly principal: Principal;
  readonly params: Params;
  readonly query: Filters;
  readonly body: Body;
};

type Schemas<Params, Filters, Body> = {
  readonly params?: z.ZodType<Params>;
  readonly query?: z.ZodType<Filters>;
  /** A JSON body; absent: the route takes none. */
  readonly body?: z.ZodType<Body>;
  /** Raw bytes instead of JSON, at most this many. */
  readonly maxBytes?: number;
};

type RouteSpec<Params, Filters, Body> = {
  readonly method: Method;
  /** As `/v1/nodes/:uuid`. */
  readonly path: string;
  readonly permission: Permission;
  readonly schema?: Schemas<Params, Filters, Body>;
  /** The answer as JSON, or a whole `Response`. */
  handler(input: RouteInput<Params, Filters, Body>): Promise<object>;
};

/** A route with its input types erased: what the app mounts and the tests walk. */
export type Route = RouteSpec<unknown, unknown, unknown>;

/** Declares a route. The types of `params`, `query` and `body` follow from the schemas. */
export function route<Params = undefined, Filters = undefined, Body = undefined>(
  spec: RouteSpec<Params, Filters, Body>,
): Route {
  // Sound because the app gives each handler only what this route's own schemas returned.
  return spec as unknown as Route;
}

/** A route whose body is raw bytes. */
export function bytesRoute<Params = undefined>(
  spec: Omit<RouteSpec<Params, undefined, Uint8Array>, 'schema'> & {
    readonly schema: { readonly params?: z.ZodType<Params>; readonly maxBytes: number };
  },
): Route {
  return spec as unknown as Route;
}
