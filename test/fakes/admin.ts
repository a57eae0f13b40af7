/** The whole admin API in memory: real access, real routes, a fake audit log; with users and credentials of every kind. */
import { pino } from 'pino';
import { createAdminApp } from '../../functions/admin/app.ts';
import { openApiRoute } from '../../functions/admin/openapi.ts';
import { loginRoutes } from '../../functions/admin/routes/login.ts';
import { webPageRoutes } from '../../functions/admin/routes/web-page.ts';
import { adminRoutes } from '../../functions/admin/routes.ts';
import { createApiToken } from '../../lib/access/api-tokens.ts';
import { createAuthenticate } from '../../lib/access/authenticate.ts';
import { localAdminCaller } from '../../lib/access/caller.ts';
import { csrfHeader, csrfToken } from '../../lib/access/csrf.ts';
import { createPasswords } from '../../lib/access/passwords.ts';
import type { Provider } from '../../lib/access/provider.ts';
import { createBasicProvider } from '../../lib/access/providers/basic.ts';
import { openSession, type Transport } from '../../lib/access/sessions.ts';
import type { User } from '../../lib/access/users.ts';
import type { LogSource } from '../../lib/audit/publication.ts';
import type { FleetDescriptor } from '../../lib/identity/descriptor.ts';
import type { SecretsProvider } from '../../lib/secrets/provider.ts';
import { createMemoryBlobs } from '../../lib/store/blobs-memory.ts';
import type { Store } from '../../lib/store/port.ts';
import { createAccessWorld } from './access.ts';
import { held } from './answers.ts';
import type { FakeAudit } from './audit.ts';
import { createMemorySecrets } from './secrets.ts';

export const testSite = 'https://cp.test';
export const testLocalAdminToken = 'hfla_test-token-of-the-local-admin';

const descriptor: FleetDescriptor = {
  v: 1,
  fleet: 'test',
  ca: '',
  operators: { threshold: 1, keys: ['k'] },
  log: { origin: 'holdfast.local/test', key: 'holdfast.local/test+00000000+AQ==' },
};

const ample = { burst: 1_000_000, perSecond: 1_000_000, maxKeys: 10 };

export type AdminWorldOptions = {
  readonly store?: Store;
  readonly audit?: FakeAudit;
  readonly publication?: LogSource;
  readonly descriptor?: FleetDescriptor;
  readonly secrets?: SecretsProvider;
  /** How answers to bad credentials are held back; not at all unless told. */
  readonly wait?: (ms: number) => Promise<unknown>;
  readonly provider?: (deps: ReturnType<typeof createAccessWorld>['deps']) => Provider;
};

export async function createAdminWorld(options: AdminWorldOptions = {}) {
  const world = createAccessWorld(options);
  const { deps, sealer } = world;
  const passwords = await createPasswords({ ...deps, sealer });
  const provider = options.provider?.(deps) ?? createBasicProvider({ ...deps, passwords });
  const sessions = { ...deps, method: provider.method };
  const localAdmin = { verify: (token: string) => token === testLocalAdminToken };
  const blobs = createMemoryBlobs();
  const routeDeps = {
    ...deps,
    passwords,
    blobs,
    publication: options.publication ?? { read: async () => undefined },
    version: '0.0.0',
    startedAt: 0,
    descriptor: options.descriptor ?? descriptor,
    pin: new Uint8Array(32),
    url: () => testSite,
    gateway: () => ({ address: '127.0.0.1:2', ready: true, connections: 0 }),
    release: () => undefined,
    secrets: options.secrets ?? createMemorySecrets({ 'db/password': 'x' }),
    reveals: true,
  };
  const routes = adminRoutes(routeDeps).map(held);
  const open = [
    ...webPageRoutes(),
    ...loginRoutes({ ...sessions, provider, source: () => 'test', rateLimit: ample }),
  ].map(held);
  const makeApp = () =>
    createAdminApp(
      {
        ...deps,
        sealer,
        authenticate: createAuthenticate({ ...sessions, localAdmin }),
        logger: pino({ level: 'silent' }),
        rateLimit: ample,
        wait: options.wait ?? (async () => undefined),
      },
      routes,
      open,
    );
  return {
    ...world,
    /** Every route that is mounted, with the one that describes them. */
    routes: [...routes, openApiRoute(routes, open)],
    routeDeps,
    open,
    blobs,
    passwords,
    provider,
    sessions,
    /** A process of its own on the same store. */
    makeApp,
    app: makeApp(),
    session: async (user: User, transport: Transport = 'cookie') => (await openSession(sessions, user, transport)).id,
    apiToken: (user: User, limits: { readonly scope?: readonly never[]; readonly ttlMs?: number } = {}) =>
      createApiToken(deps, { name: 'test', owner: user, caller: localAdminCaller, ...limits }),
  };
}

export type AdminWorld = Awaited<ReturnType<typeof createAdminWorld>>;

/** The headers that our own page sends with a session cookie. */
export function pageHeaders(session: string): Record<string, string> {
  return {
    cookie: `__Host-holdfast=${session}`,
    origin: testSite,
    'sec-fetch-site': 'same-origin',
    [csrfHeader]: csrfToken(session),
  };
}

export function bearerHeaders(token: string): Record<string, string> {
  return { authorization: `Bearer ${token}` };
}
