/** Holds every answer of the admin API to what its route says that it answers, to the last member. */
import assert from 'node:assert/strict';
import type { OpenRoute } from '../../functions/admin/open-route.ts';
import type { Route } from '../../functions/admin/route.ts';

/** The same route, which fails when it answers anything else than it says. */
export function held<Each extends Route | OpenRoute>(route: Each): Each {
  const handler = async (input: never) => {
    const result = await route.handler(input);
    await assertAnswer(route, result);
    return result;
  };
  return { ...route, handler };
}

async function assertAnswer(route: Route | OpenRoute, result: object): Promise<void> {
  const where = `${route.method} ${route.path}`;
  if (!(result instanceof Response)) return assertJson(route, JSON.parse(JSON.stringify(result)));
  const type = result.headers.get('content-type')?.split(';')[0];
  if (type === 'application/json') return assertJson(route, await result.clone().json());
  if (route.produces === 'none') return assert.equal(result.status, 303, where);
  // What the files of the page are, only each of them knows.
  if (route.path === '/assets/:file') return undefined;
  return assert.equal(type, route.produces, where);
}

function assertJson(route: Route | OpenRoute, json: unknown): void {
  const parsed = route.answer?.safeParse(json);
  assert.ok(parsed, `${route.method} ${route.path} says that it answers no JSON`);
  if (parsed.success) return;
  const message = `${route.method} ${route.path} answers something else than it says: ${parsed.error.message}`;
  // The app makes of it a failure without words.
  process.stderr.write(`${message}\n`);
  assert.fail(message);
}
