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
import { pastReads, possibleReaders } from '../../../lib/secrets/readers.ts';
import { isSecretPath } from '../../../lib/secrets/reference.ts';
import type { BlobStore } from '../../../lib/store/blobs.ts';
import type { Store } from '../../../lib/store/port.ts';
import { bytesRoute, type Route, route } from '../route.ts';
import { count, pageSchema, time, uuid, type View } from '../view.ts';
import { isoTime, type PageOf, pageOf, pageQuery, positionOf } from './page.ts';

export type SecretRouteDeps = {
  readonly store: Store;
  readonly blobs: BlobStore;
  readonly audit: AuditLog;
  readonly secrets: SecretsProvider;
  readonly origin: string;
};

const versionView = z.strictObject({ version: z.int().min(1), created: time }).meta({ id: 'SecretVersion' });
export type VersionView = View<typeof versionView>;

const secretView = z
  .strictObject({ path: z.string(), versions: z.int().min(1), current: versionView })
  .meta({ id: 'Secret', description: 'Never its value.' });
export type SecretView = View<typeof secretView>;

const readersView = z
  .strictObject({
    path: z.string(),
    can: z.array(z.strictObject({ uuid, name: z.string() })),
    /** What the sealed log says, newest first. */
    read: z.array(z.strictObject({ uuid, at: time, version: z.int().min(1), release: count })),
    /** How many entries that rests on. */
    size: count,
    next: z.string().optional(),
  })
  .meta({ id: 'SecretReaders', description: 'Who may have a secret now, and who had it, by the audit log.' });
/** `read` is what the sealed log says, newest first; `size` is how many entries that rests on. */
export type ReadersView = View<typeof readersView>;

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
      answer: versionView,
      handler: ({ principal, params: { path }, body }) =>
        using(body, (value) => setSecret(manage, { path, value, actor: principal })),
    }),
    bytesRoute({
      method: 'PUT',
      path: '/v1/secrets/:path/rotate',
      permission: 'secrets.rotate',
      schema: { params, maxBytes: maxSecretBytes },
      answer: versionView,
      handler: ({ principal, params: { path }, body }) =>
        using(body, (value) => rotateSecret(manage, { path, value, actor: principal })),
    }),
    route({
      method: 'POST',
      path: '/v1/secrets/:path/generate',
      permission: 'secrets.write',
      schema: { params, body: generateBody },
      answer: versionView,
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
      answer: z.strictObject({ path: z.string() }),
      handler: async ({ principal, params: { path } }) => {
        await deleteSecret(manage, { path, actor: principal });
        return { path };
      },
    }),
    route({
      method: 'POST',
      path: '/v1/secrets-master-key/rotate',
      permission: 'secrets.rotate',
      answer: z.strictObject({ key: z.string(), secrets: count }),
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
      answer: pageSchema(secretView),
      handler: async ({ query: { limit, cursor } }): Promise<PageOf<SecretView>> => {
        const after = positionOf('secrets', cursor, (text) => text);
        // One more tells whether there is a following page.
        const found = await secrets.list({ after, limit: limit + 1 });
        const items = found.slice(0, limit).map((info) => ({ ...info, current: versionViewOf(info.current) }));
        return pageOf('secrets', items, found.length > limit ? items.at(-1)?.path : undefined);
      },
    }),
    route({
      method: 'GET',
      path: '/v1/secrets/:path/versions',
      permission: 'secrets.list',
      schema: { params },
      answer: pageSchema(versionView),
      handler: async ({ params: { path } }): Promise<PageOf<VersionView>> => ({
        items: (await secrets.versions(path)).map(versionViewOf),
      }),
    }),
    // It reads the audit log, so it asks for that right, and leaves what every reading of the log leaves.
    route({
      method: 'GET',
      path: '/v1/secrets/:path/readers',
      permission: 'audit.read',
      schema: { params, query: readersQuery },
      answer: readersView,
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
    return versionViewOf(await act(new Secret(bytes)));
  } finally {
    bytes.fill(0);
  }
}

function versionViewOf({ version, createdAt }: SecretVersion): VersionView {
  return { version, created: isoTime(createdAt) };
}
