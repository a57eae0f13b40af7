/** Routes that anybody reaches without a credential: what a log-in needs, and nothing else. The list is reviewed here. */
import type { z } from 'zod';
import type { Answers, Method } from './route.ts';
import type { Frozen } from './view.ts';

/** Everything that is answered without a credential. A route that is not named here can't be mounted as an open one. */
export const openPaths: readonly string[] = [
  /** Whether the process answers. */
  'GET /livez',
  /** The page and its files: the same for everybody, and without data. */
  'GET /',
  'GET /assets/:file',
  /** By which method to log in. */
  'GET /v1/login',
  'POST /v1/login/begin',
  'POST /v1/login/finish',
  'GET /v1/login/callback',
];

type OpenInput<Params, Filters, Body> = {
  readonly params: Params;
  readonly query: Filters;
  readonly body: Body;
  readonly request: Request;
  /** The server's environment of the request, which knows the peer's address. */
  readonly environment: unknown;
};

/** `none`: it sends the browser elsewhere. */
type OpenAnswers<Answer> = Answers<Answer> | { readonly answer?: undefined; readonly produces: 'none' };

type OpenSpec<Params, Filters, Body, Answer> = OpenAnswers<Answer> & {
  readonly method: Method;
  readonly path: string;
  readonly schema?: {
    readonly params?: z.ZodType<Params>;
    readonly query?: z.ZodType<Filters>;
    readonly body?: z.ZodType<Body>;
  };
  handler(input: OpenInput<Params, Filters, Body>): Promise<Frozen<NoInfer<Answer>> | Response>;
};

export type OpenRoute = OpenSpec<unknown, unknown, unknown, object>;

/** Declares an open route; its types follow from the schemas. */
export function openRoute<Params = undefined, Filters = undefined, Body = undefined, Answer = never>(
  spec: OpenSpec<Params, Filters, Body, Answer>,
): OpenRoute {
  // Sound because the app gives each handler only what this route's own schemas returned.
  return spec as unknown as OpenRoute;
}
