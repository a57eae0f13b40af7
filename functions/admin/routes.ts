/** The route table of the admin API: every route there is. */
import type { AccountDeps } from '../../lib/access/accounts.ts';
import type { AuditLog } from '../../lib/audit/port.ts';
import type { LogSource } from '../../lib/audit/publication.ts';
import { toBase64url } from '../../lib/crypto/encoding.ts';
import type { FleetDescriptor } from '../../lib/identity/descriptor.ts';
import type { SecretsProvider } from '../../lib/secrets/provider.ts';
import type { BlobStore } from '../../lib/store/blobs.ts';
import type { Store } from '../../lib/store/port.ts';
import type { Route } from './route.ts';
import { apiTokenRoutes } from './routes/api-tokens.ts';
import { artifactRoutes } from './routes/artifacts.ts';
import { auditRoutes } from './routes/audit.ts';
import { auditEventRoutes } from './routes/audit-events.ts';
import { complianceRoutes } from './routes/compliance.ts';
import { driftRoutes } from './routes/drift.ts';
import { eventRoutes } from './routes/events.ts';
import { factRoutes } from './routes/facts.ts';
import { nodeRoutes } from './routes/nodes.ts';
import { releaseRoutes } from './routes/releases.ts';
import { runRoutes } from './routes/runs.ts';
import { revealRoutes } from './routes/secret-reveals.ts';
import { secretRoutes } from './routes/secrets.ts';
import { sessionRoutes } from './routes/session.ts';
import { siemRoutes } from './routes/siem.ts';
import { type GatewayStatus, statusRoutes } from './routes/status.ts';
import { tokenRoutes } from './routes/tokens.ts';
import { userRoutes } from './routes/users.ts';

export type AdminDeps = AccountDeps & {
  readonly store: Store;
  readonly blobs: BlobStore;
  readonly audit: AuditLog;
  readonly publication: LogSource;
  readonly now: () => number;
  readonly version: string;
  readonly startedAt: number;
  readonly descriptor: FleetDescriptor;
  readonly pin: Uint8Array;
  /** The base URL that nodes reach this host by. */
  readonly url: () => string;
  readonly gateway: () => GatewayStatus;
  /** Whether a node has a session open; not there where the gateways are other processes. */
  readonly connected?: (uuid: string) => boolean;
  /** Where there is none, there are no routes about secrets, and nothing that needs one is published. */
  readonly secrets?: SecretsProvider;
  /** Whether two administrators together may see a value; without it there is no route for that. */
  readonly reveals?: boolean;
  readonly release: () => { readonly number: number; readonly digest: string } | undefined;
};

export function adminRoutes(deps: AdminDeps): readonly Route[] {
  const { secrets } = deps;
  return [
    ...statusRoutes({ ...deps, pin: toBase64url(deps.pin) }),
    ...nodeRoutes(deps),
    ...runRoutes(deps),
    ...factRoutes(deps),
    ...driftRoutes(deps),
    ...tokenRoutes(deps),
    ...releaseRoutes({ ...deps, trust: deps.descriptor }),
    ...(secrets === undefined ? [] : secretRoutes({ ...deps, secrets, origin: deps.descriptor.log.origin })),
    ...(secrets === undefined || deps.reveals !== true ? [] : revealRoutes({ ...deps, provider: secrets })),
    ...artifactRoutes(deps),
    ...auditRoutes(deps),
    ...auditEventRoutes(deps),
    ...siemRoutes(deps),
    ...complianceRoutes(deps),
    ...eventRoutes(deps),
    ...sessionRoutes(deps),
    ...userRoutes(deps),
    ...apiTokenRoutes(deps),
  ];
}
