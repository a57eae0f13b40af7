/** What answers are made of: the schemas that several of them share, and the types that follow from schemas. */
import { z } from 'zod';
import { permissions } from '../../lib/access/permissions.ts';

/** What an answer of this schema is in TypeScript. Nobody changes an answer. */
export type View<Schema extends z.ZodType> = Frozen<z.output<Schema>>;

export type Frozen<T> = T extends readonly (infer Element)[]
  ? readonly Frozen<Element>[]
  : T extends object
    ? { readonly [Name in keyof T]: Frozen<T[Name]> }
    : T;

export const time = z.iso.datetime({ precision: 3 }).meta({ id: 'Time', description: 'UTC, to the millisecond.' });
export const count = z.int().min(0);
export const sha256 = z
  .string()
  .regex(/^[0-9a-f]{64}$/)
  .meta({ id: 'Sha256', description: 'SHA-256, lower-case hexadecimal.' });
export const base64url = z
  .string()
  .regex(/^[A-Za-z0-9_-]*$/)
  .meta({ id: 'Base64url', description: 'RFC 4648 §5, without padding.' });
/** Of tokens: the first 16 digits of the hash. */
export const shortId = z.string().regex(/^[0-9a-f]{16}$/);
export const uuid = z
  .string()
  .regex(/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/)
  .meta({ id: 'Uuid', description: 'In lower case.' });
export const role = z.enum(['admin', 'viewer', 'compliance']);
export const permission = z.enum(permissions).meta({ id: 'Permission' });
export const labels = z.record(z.string(), z.string());
export const releaseRef = z
  .strictObject({ number: z.int().min(1), digest: sha256 })
  .meta({ id: 'ReleaseRef', description: 'A release by its number and the digest of its manifest.' });
export const json: z.ZodType<z.core.util.JSONType> = z
  .lazy(() => z.union([z.string(), z.number(), z.boolean(), z.null(), z.array(json), z.record(z.string(), json)]))
  .meta({ id: 'Json', description: 'Any JSON.' });

export function pageSchema<Item extends z.ZodType>(item: Item) {
  return z.strictObject({
    items: z.array(item),
    next: z.string().optional().meta({ description: 'The `cursor` of the following page; absent on the last one.' }),
  });
}
