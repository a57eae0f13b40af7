/**
 * What a function is invoked with: a request through the HTTPS API (payload format 2.0), or directly by a principal whom
 * IAM allows to invoke it. API Gateway builds the outer object itself; whatever a client sends is inside its strings.
 */
import { z } from 'zod';

const httpEvent = z.object({
  version: z.literal('2.0'),
  requestContext: z.object({ http: z.object({ method: z.string(), sourceIp: z.string().optional() }) }),
});

export function isHttpEvent(event: unknown): boolean {
  // Anything with a request context came through a front door, even one that this program does not know.
  return httpEvent.safeParse(event).success;
}

/** An invocation that is neither: refused, so that no other event source becomes a way in. */
export function isDirect(event: unknown): event is Record<string, unknown> {
  return (
    typeof event === 'object' &&
    event !== null &&
    !('requestContext' in event) &&
    !('Records' in event) &&
    'holdfast' in event
  );
}

const secretRoute = '/v1/secrets/';

/**
 * API Gateway decodes a path before it hands it over, so a secret's path, which was one segment (`db%2Fkey`), may come as
 * several. They are made one again; all but the setting of a secret ends with a verb. A path that was not decoded stays.
 */
export function withWholeSecretPath<Event>(event: Event): Event {
  const { rawPath, requestContext } = event as { rawPath?: unknown; requestContext: { http: { method: string } } };
  if (typeof rawPath !== 'string' || !rawPath.startsWith(secretRoute)) return event;
  const segments = rawPath.slice(secretRoute.length).split('/');
  const hasVerb = requestContext.http.method !== 'PUT' || (segments.length > 1 && segments.at(-1) === 'rotate');
  const name = segments.slice(0, hasVerb ? -1 : undefined).join('%2F');
  return { ...event, rawPath: [`${secretRoute}${name}`, ...(hasVerb ? segments.slice(-1) : [])].join('/') };
}
