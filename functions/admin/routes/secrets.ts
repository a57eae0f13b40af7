/**
 * The routes about secrets: names, versions and who may have them, never a value. Values come in as raw bytes, so that
 * nothing that keeps or compares requests sees them; there is no route by which one comes out.
 */
import { z } from 'zod';
import type { AuditLog } from '../../../lib/audit/port.ts';
import { Secret } from '../../../lib/crypto/secret.ts';
import { characterSets, generateSecret } from '../../../lib/secrets/generate.ts';
import { deleteSecret, rotateMasterKey, rotateSecret, setSecret } from '../../../lib/secrets/manage.ts';
import { maxSecretBytes, type SecretsProvider, type SecretVersion } from '../../../lib/secrets/provider.ts';
import { type PastRead, type PossibleReader, pastReads, possibleReaders } from '../../../lib/secrets/readers.ts';
import { isSecretPath } from '../../../lib/secrets/reference.ts';
import type { BlobStore } from '../../../lib/store/blobs.ts';
import type { Store } from '../../../lib/store/port.ts';
import { bytesRoute, type Route, route } from '../route.ts';
import { isoTime, type PageOf, pageOf, pageQuery, positionOf } from './page.ts';

export type SecretRouteDeps = {
  readonly store: Store;
  readonly blobs: BlobStore;
  readonly audit: AuditLog;
  readonly secrets: SecretsProvider;
  readonly origin: string;
};

export type VersionView = { readonly version: number; readonly created: string };
export type SecretView = { readonly path: string; readonly versions: number; readonly current: VersionView };
/** `read` is what the sealed log says, newest first; `size` is how many entries that rests on. */
export type ReadersView = {
  readonly path: string;
  readonly can: readonly PossibleReader[];
  readonly read: readonly PastRead[];
  readonly size: number;
  readonly next?: string;
};

const params = z.strictObject({
  path: z.string().refine(isSecretPath, 'not the path of a secret, such as db/password'),
});
const sets = Object.keys(characterSets) as [keyof typeof characterSets];
const generateBody = z.strictObject({
  length: z.int().min(1).max(4096).default(32),
  characters: z.enum(sets).default('alphanumeric'),
  /** Only for a secret that exists. */
  rotate: z.boolean().default(false),
});
const readersQuery = z.strictObject({
  limit: pageQuery.limit,
  cursor: z
    .string()
    .regex(/^(0|[1-9][0-9]{0,15})$/, 'not one that this list gave')
    .transform(Number)
    .optional(),
});

export function secretRoutes(deps: SecretRouteDeps): Route[] {
  const manage = { provider: deps.secrets, audit: deps.audit };
  return [
    ...readRoutes(deps),
    bytesRoute({
      method: 'PUT',
      path: '/v1/secrets/:path',
      permission: 'secrets.write',
      schema: { params, maxBytes: maxSecretBytes },
      handler: ({ principal, params: { path }, body }) =>
        using(body, (value) => setSecret(manage, { path, value, actor: principal })),
    }),
    bytesRoute({
      method: 'PUT',
      path: '/v1/secrets/:path/rotate',
      permission: 'secrets.rotate',
      schema: { params, maxBytes: maxSecretBytes },
      handler: ({ principal, params: { path }, body }) =>
        using(body, (value) => rotateSecret(manage, { path, value, actor: principal })),
    }),
    route({
      method: 'POST',
      path: '/v1/secrets/:path/generate',
      permission: 'secrets.write',
      schema: { params, body: generateBody },
      handler: ({ principal, params: { path }, body }) =>
        using(generateSecret(body), (value) =>
          (body.rotate ? rotateSecret : setSecret)(manage, { path, value, actor: principal }),
        ),
    }),
    route({
      method: 'POST',
      path: '/v1/secrets/:path/delete',
      permission: 'secrets.write',
      schema: { params },
      handler: async ({ principal, params: { path } }) => {
        await deleteSecret(manage, { path, actor: principal });
        return { path };
      },
    }),
    route({
      method: 'POST',
      path: '/v1/secrets-master-key/rotate',
      permission: 'secrets.rotate',
      handler: ({ principal }) => rotateMasterKey(manage, { actor: principal }),
    }),
  ];
}

function readRoutes(deps: SecretRouteDeps): Route[] {
  const { secrets } = deps;
  return [
    route({
      method: 'GET',
      path: '/v1/secrets',
      permission: 'secrets.list',
      schema: { query: z.strictObject(pageQuery) },
      handler: async ({ query: { limit, cursor } }): Promise<PageOf<SecretView>> => {
        const after = positionOf('secrets', cursor, (text) => text);
        // One more tells whether there is a following page.
        const found = await secrets.list({ after, limit: limit + 1 });
        const items = found.slice(0, limit).map((info) => ({ ...info, current: versionView(info.current) }));
        return pageOf('secrets', items, found.length > limit ? items.at(-1)?.path : undefined);
      },
    }),
    route({
      method: 'GET',
      path: '/v1/secrets/:path/versions',
      permission: 'secrets.list',
      schema: { params },
      handler: async ({ params: { path } }): Promise<PageOf<VersionView>> => ({
        items: (await secrets.versions(path)).map(versionView),
      }),
    }),
    // It reads the audit log, so it asks for that right, and leaves what every reading of the log leaves.
    route({
      method: 'GET',
      path: '/v1/secrets/:path/readers',
      permission: 'audit.read',
      schema: { params, query: readersQuery },
      handler: async ({ principal, params: { path }, query }): Promise<ReadersView> => {
        const { limit, cursor } = query;
        const can = await possibleReaders(deps, path);
        const past = await pastReads(deps, path, { limit, ...(cursor === undefined ? {} : { from: cursor }) });
        const detail = { from: cursor ?? Math.max(0, past.size - 1), count: past.reads.length };
        const object = { kind: 'secret', id: path };
        await deps.audit.append({ type: 'audit.read', actor: principal, object, outcome: 'success', detail });
        const next = past.next === undefined ? {} : { next: String(past.next) };
        return { path, can, read: past.reads, size: past.size, ...next };
      },
    }),
  ];
}

/** The bytes are zeroed when the operation is over, whatever came of it. */
async function using(
  bytes: Uint8Array,
  act: (value: Secret<Uint8Array>) => Promise<SecretVersion>,
): Promise<VersionView> {
  try {
    return versionView(await act(new Secret(bytes)));
  } finally {
    bytes.fill(0);
  }
}

function versionView({ version, createdAt }: SecretVersion): VersionView {
  return { version, created: isoTime(createdAt) };
}
