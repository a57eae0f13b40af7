/**
 * User names: one normal form, in which they are stored, compared, locked out and recorded. Two spellings of one name
 * are one user, and nothing that merely looks like another name can exist beside it.
 */
import { AccessError } from './errors.ts';

/** ASCII alone after normalisation, so look-alike letters of other scripts are refused rather than told apart. */
const pattern = /^[a-z0-9](?:[a-z0-9._@+-]{0,62}[a-z0-9])?$/;
/** Names that entries of the audit log use for other actors (lib/audit/port.ts), and those that would pass for them. */
const reserved: ReadonlySet<string> = new Set(['local-admin', 'system', 'unauthenticated', 'holdfast', 'root']);
/** Nodes are recorded by their UUIDs. */
const uuidLike = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const maxInputCharacters = 256;

/** A user name in its normal form. */
export type UserName = string & { readonly __brand: 'UserName' };

/**
 * The one normal form of what somebody typed: compatibility-composed (Unicode TR15, NFKC), lower case, without white
 * space at its ends. What comes out need not be a name that a user can have.
 */
export function normalizeName(text: string): string {
  return text.slice(0, maxInputCharacters).normalize('NFKC').toLowerCase().normalize('NFKC').trim();
}

/** A name that a user can have. Throws `AccessError` `malformed`. */
export function parseUserName(text: string): UserName {
  const name = text.length > maxInputCharacters ? '' : normalizeName(text);
  if (!pattern.test(name))
    throw new AccessError('malformed', 'a user name has 1 to 64 letters, digits, dots, hyphens, "_", "@" or "+"');
  if (reserved.has(name) || uuidLike.test(name))
    throw new AccessError('malformed', `${JSON.stringify(name)} is reserved: no user can have that name`);
  return name as UserName;
}
