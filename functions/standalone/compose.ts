/**
 * The embedded control plane: store, keys, audit log, gateway, identity service and admin API in one process, on one
 * state directory. The same parts as everywhere else; only this file knows which adapters they get.
 */
import type { Logger } from 'pino';
import { mintLocalAdmin } from '../../lib/access/local-admin.ts';
import { openPublicationDirectory } from '../../lib/audit/publication-directory.ts';
import { createSealer } from '../../lib/audit/sealer.ts';
import { systemActor } from '../../lib/audit/system-entry.ts';
import { openAuditWriter } from '../../lib/audit/writer.ts';
import type { VerifiedProgram } from '../../lib/crypto/program.ts';
import { pemEncode } from '../../lib/crypto/x509.ts';
import { watchServer } from '../../lib/hardening/record.ts';
import { createNodeCertificates } from '../../lib/identity/certificates.ts';
import { openNodeDirectory } from '../../lib/identity/directory.ts';
import { openLocalKeys } from '../../lib/keys/local.ts';
import { openLocalSecrets } from '../../lib/secrets/local.ts';
import { openBlobDirectory } from '../../lib/store/blobs-directory.ts';
import { openSqliteStore } from '../../lib/store/sqlite.ts';
import { createAdminApp } from '../admin/app.ts';
import { createGate, refusalOf } from '../admin/bad-credentials.ts';
import { unreadableRequest } from '../admin/problem.ts';
import { loginRoutes } from '../admin/routes/login.ts';
import { webPageRoutes } from '../admin/routes/web-page.ts';
import { adminRoutes } from '../admin/routes.ts';
import { sourceAddress } from '../admin/source.ts';
import { sealingHere } from '../gateway/secrets.ts';
import { startGateway } from '../gateway/server.ts';
import { createIdentityApp } from '../identity/app.ts';
import { serveHttps } from '../identity/https.ts';
import { openAccess, startSweeping } from './access.ts';
import { issueServerTls, type ServerTls, serverCertificateLifeMs } from './certificates.ts';
import { closingStack } from './closing.ts';
import { readConfig, type StandaloneConfig, withOverrides, writeConfig } from './config.ts';
import { startDistribution } from './distribution.ts';
import { asStandaloneError, StandaloneError } from './errors.ts';
import { writeWhole } from './files.ts';
import { type Fleet, type Founding, foundFleet, readFleet } from './fleet.ts';
import { takeLock } from './lock.ts';
import { openStateRoot, type StatePaths } from './paths.ts';
import { recordFleet } from './record-fleet.ts';
import { startDelivery } from './siem.ts';

export type StandaloneOptions = {
  readonly stateDirectory: string;
  readonly version: string;
  /** What the startup gate verified: its process is watched. */
  readonly program?: VerifiedProgram;
  readonly logger: Logger;
  readonly now?: () => number;
  /** For the first boot; afterwards the fleet is what it is. */
  readonly founding?: Founding;
  readonly listen?: string;
  readonly names?: readonly string[];
  /** Shorter check-in pacing than the default, as a demonstration and tests want it. */
  readonly checkInIntervalMs?: number;
};

export interface Standalone {
  readonly fleet: Fleet;
  /** Whether this boot founded the fleet. */
  readonly founded: boolean;
  /** Base URL of the admin API and the identity service. */
  readonly url: string;
  /** `host:port` of the gateway, as nodes reach it. */
  readonly gateway: string;
  readonly paths: StatePaths;
  /** Stops in order: no new requests, a `server.stop` entry, a last seal. Idempotent. */
  close(): Promise<void>;
}

/** Opens or founds the control plane. Throws `StandaloneError`, each with its remedy; then nothing is left running. */
export async function startStandalone(options: StandaloneOptions): Promise<Standalone> {
  const closing = closingStack();
  try {
    return await start(options, closing);
  } catch (error) {
    await closing.run();
    throw asStandaloneError(error);
  }
}

async function start(options: StandaloneOptions, closing: ReturnType<typeof closingStack>): Promise<Standalone> {
  const { logger, version } = options;
  const now = options.now ?? Date.now;
  const paths = await openStateRoot(options.stateDirectory);
  closing.add(takeLock(paths.lock));
  const config = withOverrides(await readConfig(paths.config), options, paths.config);

  const keys = await openLocalKeys(paths.keys);
  const known = await readFleet(paths);
  const fleet = known ?? (await foundFleet(paths, foundingOf(options), { keys, now }));
  const { origin } = fleet.descriptor.log;

  const store = openSqliteStore(paths.store, { now });
  closing.add(() => store.close());
  const blobs = openBlobDirectory(paths.blobs);
  const audit = await openAuditWriter({ store, origin, writerId: 'standalone', now });
  closing.add(() => audit.close());
  const publication = await openPublicationDirectory(paths.log);
  const sealer = createSealer({ store, origin, signer: await keys.signer('audit-log'), publication, now, logger });
  const stopSealing = new AbortController();
  await recordFleet({ store, audit }, fleet);
  await audit.append(serverEvent('server.start', fleet, version));
  const { program } = options;
  if (program !== undefined) {
    closing.add(await watchServer({ audit, server: fleet.descriptor.fleet, program, logger, now }));
  }
  // Ends after the sealer, so that the last checkpoint is carried too.
  closing.add(await startDistribution({ config: config.log, log: fleet.descriptor.log, publication, logger }));
  const sealing = sealer.run(stopSealing.signal);
  closing.add(async () => {
    try {
      await audit.append(serverEvent('server.stop', fleet, version));
    } finally {
      stopSealing.abort();
      await sealing;
      await sealer.sealOnce();
    }
  });

  const secrets = await openLocalSecrets({ directory: paths.secrets, sealer: keys.sealer, now });
  closing.add(startDelivery({ store, audit, origin, secrets, now, logger }));
  const directory = await openNodeDirectory({ store, now, logger });
  closing.add(() => directory.close());

  const signer = await keys.signer('fleet-ca');
  const tlsFor = (role: 'gateway' | 'identity') => issueServerTls(role, { fleet, signer, names: config.names, now });
  const { certDer, keyPem } = await tlsFor('gateway');
  const gateway = await orPortTaken(config, 'gateway', paths, () =>
    startGateway(
      { store, blobs, audit, directory, publication, logger, now, secrets: sealingHere({ provider: secrets, audit }) },
      {
        host: config.listen,
        port: config.ports.gateway,
        fleet: fleet.descriptor.fleet,
        tls: { keyPem, certDer, authorityDer: fleet.authority },
        ...(options.checkInIntervalMs === undefined
          ? {}
          : { limits: { checkInIntervalMs: options.checkInIntervalMs } }),
      },
    ),
  );
  closing.add(() => gateway.close());
  const host = config.names[0] ?? config.listen;
  const gatewayAddress = formatAddress(host, gateway.address.port);

  const admin = await mintLocalAdmin(paths.run);
  closing.add(() => admin.remove());
  let url = '';
  const access = await openAccess(config.auth, {
    store,
    audit,
    now,
    sealer: keys.sealer,
    localAdmin: admin,
    fleet: fleet.descriptor.fleet,
  });
  const adminApp = createAdminApp(
    { ...access, logger },
    adminRoutes({
      store,
      blobs,
      audit,
      now,
      version,
      publication,
      startedAt: now(),
      descriptor: fleet.descriptor,
      pin: fleet.pin,
      url: () => url,
      gateway: () => ({ address: gatewayAddress, ready: gateway.ready(), connections: gateway.connections }),
      connected: gateway.isConnected,
      release: directory.release,
      secrets,
      reveals: config.secrets?.reveal === 'two-administrators',
      passwords: access.passwords,
      ...(access.issuer === undefined ? {} : { issuer: access.issuer }),
    }),
    [...webPageRoutes(), ...loginRoutes({ ...access, source: sourceAddress })],
  );
  closing.add(startSweeping(access, logger));
  const identityApp = createIdentityApp({
    store,
    audit,
    now,
    logger,
    certificates: createNodeCertificates({ fleet: fleet.descriptor.fleet, authority: fleet.authority, signer, now }),
    gateway: gatewayAddress,
    descriptor: fleet.bytes,
  });
  const app = {
    fetch: (request: Request, env: unknown) =>
      (identityPaths.has(new URL(request.url).pathname) ? identityApp : adminApp).fetch(request, env as object),
  };
  const https = await orPortTaken(config, 'api', paths, async () =>
    serveHttps({
      app,
      tls: httpsTls(await tlsFor('identity')),
      host: config.listen,
      port: config.ports.api,
      gate: createGate({ audit }, await refusalOf(adminApp)),
      unreadable: unreadableRequest,
    }),
  );
  closing.add(() => https.close());
  url = `https://${formatAddress(host, https.port)}`;

  await writeConfig(paths.config, { ...config, ports: { api: https.port, gateway: gateway.address.port } });
  const local = `https://${formatAddress(isWildcard(config.listen) ? '127.0.0.1' : config.listen, https.port)}`;
  const ca = pemEncode('CERTIFICATE', fleet.authority);
  await writeWhole(paths.endpoint, `${JSON.stringify({ v: 1, url: local, ca })}\n`);

  const renewing = setInterval(async () => {
    try {
      gateway.replaceCertificate(await tlsFor('gateway'));
      https.replaceCertificate(httpsTls(await tlsFor('identity')));
    } catch (error) {
      logger.error({ err: error }, 'The certificates of the listeners could not be renewed');
    }
  }, serverCertificateLifeMs / 7);
  renewing.unref();
  closing.add(() => clearInterval(renewing));

  return { fleet, founded: known === undefined, url, gateway: gatewayAddress, paths, close: closing.run };
}

/** Answered by the identity service, which authenticates each request by what is in it. Everything else is the admin API's. */
const identityPaths: ReadonlySet<string> = new Set(['/v1/fleet', '/v1/enroll', '/v1/renew']);

function foundingOf({ founding }: StandaloneOptions): Founding {
  return founding ?? { name: 'holdfast', operatorKeys: [], threshold: 1 };
}

function serverEvent(type: 'server.start' | 'server.stop', fleet: Fleet, version: string) {
  const object = { kind: 'server', id: fleet.descriptor.fleet };
  return { type, actor: systemActor, object, outcome: 'success', detail: { version } } as const;
}

function httpsTls({ keyPem, certPem }: ServerTls) {
  return { key: keyPem, cert: certPem };
}

function formatAddress(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${isWildcard(host) ? '127.0.0.1' : host}:${port}`;
}

function isWildcard(address: string): boolean {
  return address === '0.0.0.0' || address === '::';
}

async function orPortTaken<T>(
  config: StandaloneConfig,
  listener: 'api' | 'gateway',
  paths: StatePaths,
  listen: () => Promise<T>,
): Promise<T> {
  try {
    return await listen();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const port = config.ports[listener];
    if (code === 'EADDRINUSE')
      throw new StandaloneError('port_taken', `port ${port} of ${config.listen} is taken (the ${listener}'s)`, {
        hint: `stop what listens there, or set ports.${listener} in ${paths.config} to another port (0: any); nodes that joined keep asking for the old one`,
        cause: error,
      });
    if (code === 'EADDRNOTAVAIL' || code === 'EACCES')
      throw new StandaloneError('bad_config', `can't listen on ${config.listen}, port ${port} (${code})`, {
        hint: `give an address of this host with --listen, and a port above 1023 in ${paths.config}`,
        cause: error,
      });
    throw error;
  }
}
