/** A route of the admin API as one value: method, path, permission, schemas, handler. Without a permission it does not compile. */
import type { z } from 'zod';
import type { Caller } from '../../lib/access/caller.ts';
import type { Permission } from '../../lib/access/permissions.ts';
import type { Principal } from '../../lib/access/principal.ts';
import type { Frozen } from './view.ts';

export type MediaType =
  | 'application/octet-stream'
  | 'application/x-ndjson'
  | 'text/event-stream'
  | 'text/html'
  | 'text/plain';

export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

/** What a handler gets: only what was parsed, and who asks. */
type RouteInput<Params, Filters, Body> = {
  /** Who asks, as the audit log records it. */
  readonly principal: Principal;
  /** The same, with what its credential allows: for routes that ask for more than one permission. */
  readonly caller: Caller;
  readonly params: Params;
  readonly query: Filters;
  readonly body: Body;
  /** From `If-Match`: the revision that the caller saw. */
  readonly revision?: number;
  /** Whatever the client sent as `Last-Event-ID`. */
  readonly lastEventId?: string;
  /** The token that a mutation under this session's cookie must carry. */
  readonly csrf?: string;
  /** Aborts when the client goes away. */
  readonly signal: AbortSignal;
  /** Whether the same credential is still good for this route: for answers that take long. To ask is no use of it. */
  stillAllowed(): Promise<boolean>;
};

type Schemas<Params, Filters, Body> = {
  readonly params?: z.ZodType<Params>;
  readonly query?: z.ZodType<Filters>;
  /** A JSON body; absent: the route takes none. */
  readonly body?: z.ZodType<Body>;
  /** Raw bytes instead of JSON, at most this many. */
  readonly maxBytes?: number;
};

/** What comes back when it succeeds: JSON of a schema, another media type, or, as the caller asks, either. */
export type Answers<Answer> =
  | { readonly answer: z.ZodType<Answer>; readonly produces?: MediaType }
  | { readonly answer?: undefined; readonly produces: MediaType };

type RouteSpec<Params, Filters, Body, Answer> = Answers<Answer> & {
  readonly method: Method;
  /** As `/v1/nodes/:uuid`. */
  readonly path: string;
  readonly permission: Permission;
  readonly schema?: Schemas<Params, Filters, Body>;
  /** Two people may edit it: the answer carries an `ETag`, and a change must name it in `If-Match`. */
  readonly guarded?: true;
  /** A stream of events that goes on where `Last-Event-ID` says. */
  readonly resumes?: true;
  /** The answer as JSON, or a whole `Response`, of which the tests alone know that it is as described. */
  handler(input: RouteInput<Params, Filters, Body>): Promise<Frozen<NoInfer<Answer>> | Response>;
};

/** A route with its input types erased: what the app mounts and the tests walk. */
export type Route = RouteSpec<unknown, unknown, unknown, object>;

/** Declares a route. The types of `params`, `query`, `body` and of the answer follow from the schemas. */
export function route<Params = undefined, Filters = undefined, Body = undefined, Answer = never>(
  spec: RouteSpec<Params, Filters, Body, Answer>,
): Route {
  // Sound because the app gives each handler only what this route's own schemas returned.
  return spec as unknown as Route;
}

/** A route whose body is raw bytes. */
export function bytesRoute<Params = undefined, Answer = never>(
  spec: Omit<RouteSpec<Params, undefined, Uint8Array, Answer>, 'schema' | 'answer'> & {
    readonly schema: { readonly params?: z.ZodType<Params>; readonly maxBytes: number };
    readonly answer: z.ZodType<Answer>;
  },
): Route {
  return spec as unknown as Route;
}

/** An answer that carries its revision as a strong `ETag` (RFC 9110 §8.8.3). */
export function tagged(answer: object, revision: number): Response {
  return Response.json(answer, { headers: { etag: `"${revision}"` } });
}
