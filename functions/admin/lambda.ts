/**
 * The admin API as a Lambda function. Through the HTTPS API every request needs a credential of its own. A principal whom
 * IAM allows to invoke the function directly is what local-admin is on one's own host: that is how the first user comes about.
 */
import { handle, type LambdaEvent } from 'hono/aws-lambda';
import { z } from 'zod';
import { requireGate } from '../../gate/required.ts';
import { createAuthenticate } from '../../lib/access/authenticate.ts';
import { createPasswords } from '../../lib/access/passwords.ts';
import { createBasicProvider } from '../../lib/access/providers/basic.ts';
import { openAuditWriter } from '../../lib/audit/writer.ts';
import { sha256 } from '../../lib/crypto/digest.ts';
import { equalBytes } from '../../lib/crypto/encoding.ts';
import { newOpaqueToken } from '../../lib/crypto/token.ts';
import manifest from '../../package.json' with { type: 'json' };
import { readEnvironment } from '../aws/environment.ts';
import { readFleet } from '../aws/fleet.ts';
import { isDirect, isHttpEvent, withWholeSecretPath } from '../aws/http-event.ts';
import { createFunctionLog } from '../aws/log.ts';
import { once } from '../aws/once.ts';
import { openBlobs, openKeys, openPublication, openSecrets, openTable, writerId } from '../aws/resources.ts';
import { createAdminApp } from './app.ts';
import { loginRoutes } from './routes/login.ts';
import { adminRoutes } from './routes.ts';

requireGate();
const environment = readEnvironment('admin', process.env);
const logger = createFunctionLog('admin');
const now = Date.now;
const startedAt = now();
const store = openTable(environment);
const { sealer } = openKeys(environment, { data: environment.HOLDFAST_DATA_KEY_ARN });

/** Never leaves this process: only a direct invocation is given it, below. */
const directToken = newOpaqueToken('hfla_');
const directDigest = sha256(directToken);
const localAdmin = { verify: (presented: string) => equalBytes(sha256(presented), directDigest) };

type Release = { readonly number: number; readonly digest: string };
let release: Release | undefined;
const storedRelease = z.object({ number: z.int().min(1), digest: z.string() });

const open = once(async () => {
  const fleet = await readFleet(store);
  if (fleet === undefined) throw new TypeError('the fleet is not founded yet: run "holdfast aws bootstrap"');
  const { origin } = fleet.descriptor.log;
  const audit = await openAuditWriter({ store, origin, writerId: writerId('admin'), now, lanes: 2 });
  const passwords = await createPasswords({ store, sealer });
  const access = { store, audit, now, method: 'basic', passwords, sealer };
  const routes = adminRoutes({
    ...access,
    blobs: openBlobs(environment),
    publication: openPublication(environment),
    secrets: openSecrets(environment, store),
    version: manifest.version,
    startedAt,
    descriptor: fleet.descriptor,
    pin: fleet.pin,
    url: () => environment.HOLDFAST_URL,
    // Gateways are watched by the load balancer; this function sees none of them.
    gateway: () => ({ address: environment.HOLDFAST_GATEWAY, ready: true, connections: 0 }),
    release: () => release,
  });
  const login = loginRoutes({ ...access, provider: createBasicProvider(access), source: sourceAddress });
  return createAdminApp(
    { ...access, authenticate: createAuthenticate({ ...access, localAdmin }), logger },
    routes,
    login,
  );
});

const directRequest = z.strictObject({
  holdfast: z.literal('admin'),
  method: z.enum(['GET', 'POST', 'PUT', 'DELETE']),
  path: z.string().regex(/^\/[\x21-\x7e]{0,2000}$/),
  /** JSON. */
  body: z.json().optional(),
});

export async function handler(event: unknown, context: Parameters<ReturnType<typeof handle>>[1]): Promise<unknown> {
  const app = await open();
  release = await currentRelease();
  if (isHttpEvent(event)) return handle(app)(withWholeSecretPath(event as LambdaEvent), context);
  if (!isDirect(event)) throw new TypeError('an event of an unknown kind');
  const { method, path, body } = directRequest.parse(event);
  const response = await app.fetch(
    new Request(new URL(path, environment.HOLDFAST_URL), {
      method,
      headers: {
        authorization: `Bearer ${directToken}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    }),
  );
  return { status: response.status, body: await response.text() };
}

async function currentRelease(): Promise<Release | undefined> {
  return storedRelease.safeParse(await store.get({ pk: 'release', sk: 'current' })).data;
}

/** As API Gateway saw it; for limits on load alone. */
function sourceAddress(env: unknown): string {
  const { event } = (env ?? {}) as { event?: { requestContext?: { http?: { sourceIp?: string } } } };
  return event?.requestContext?.http?.sourceIp ?? 'unknown';
}
