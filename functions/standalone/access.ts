/** Access of an embedded control plane: the one configured way to log in, and everything that judges a credential. */
import { readFile } from 'node:fs/promises';
import type { Logger } from 'pino';
import type { AccountDeps } from '../../lib/access/accounts.ts';
import { type Authenticate, createAuthenticate } from '../../lib/access/authenticate.ts';
import type { LocalAdmin } from '../../lib/access/local-admin.ts';
import { createPasswords } from '../../lib/access/passwords.ts';
import type { Provider } from '../../lib/access/provider.ts';
import { createBasicProvider } from '../../lib/access/providers/basic.ts';
import { createIsowebauthProvider } from '../../lib/access/providers/isowebauth.ts';
import { createOidcProvider, type OidcDeps } from '../../lib/access/providers/oidc.ts';
import type { SessionDeps } from '../../lib/access/sessions.ts';
import { sweepExpired } from '../../lib/access/sweep.ts';
import type { AuditLog } from '../../lib/audit/port.ts';
import type { DataSealer } from '../../lib/keys/port.ts';
import type { Store } from '../../lib/store/port.ts';
import type { AuthConfig } from './auth-config.ts';
import { StandaloneError } from './errors.ts';
import { createHttpsFetch } from './https-fetch.ts';

export type Access = SessionDeps &
  AccountDeps & { readonly provider: Provider; readonly authenticate: Authenticate; readonly sealer: DataSealer };

export async function openAccess(
  config: AuthConfig,
  deps: {
    readonly store: Store;
    readonly audit: AuditLog;
    readonly now: () => number;
    readonly sealer: DataSealer;
    readonly localAdmin: LocalAdmin;
    /** Of the fleet: the namespace of signatures unless the configuration names one. */
    readonly fleet: string;
  },
): Promise<Access> {
  const { store, audit, now, sealer, localAdmin } = deps;
  const passwords = await createPasswords({ store, sealer });
  const shared = { store, audit, now, method: config.method };
  return {
    ...shared,
    sealer,
    passwords,
    provider: await openProvider(config, { ...deps, passwords }),
    authenticate: createAuthenticate({ ...shared, localAdmin }),
    ...(config.method === 'oidc' ? { issuer: config.issuer } : {}),
  };
}

async function openProvider(
  config: AuthConfig,
  deps: Parameters<typeof createBasicProvider>[0] & Omit<OidcDeps, 'config' | 'fetch'> & { readonly fleet: string },
): Promise<Provider> {
  switch (config.method) {
    case 'basic':
      return createBasicProvider(deps);
    case 'isowebauth':
      return createIsowebauthProvider({ ...deps, site: config.site ?? deps.fleet });
    case 'oidc': {
      const { caFile, roles, method: _method, ...rest } = config;
      const given = Object.fromEntries(Object.entries(roles).filter(([, values]) => values !== undefined));
      const ca = caFile === undefined ? undefined : await readCa(caFile);
      return createOidcProvider({ ...deps, config: { ...rest, roles: given }, fetch: createHttpsFetch(ca) });
    }
    default:
      return config satisfies never;
  }
}

async function readCa(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new StandaloneError('bad_config', `can't read the CA of the identity provider: ${path} (${code})`, {
      hint: 'correct auth.caFile, or remove it to trust the authorities of the system',
      cause,
    });
  }
}

const sweepIntervalMs = 10 * 60_000;

/** Takes away what has expired, now and then; returns what stops it. */
export function startSweeping(
  deps: { readonly store: Store; readonly now: () => number },
  logger: Pick<Logger, 'warn'>,
): () => void {
  const timer = setInterval(() => {
    sweepExpired(deps).catch((error: unknown) => logger.warn({ err: error }, 'Expired items could not be swept away'));
  }, sweepIntervalMs);
  timer.unref();
  return () => clearInterval(timer);
}
