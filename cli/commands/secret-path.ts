/** The path of a secret on a command line, and in the URLs of the admin API. */
import { InvalidArgumentError } from 'commander';
import { isSecretPath } from '../../lib/secrets/reference.ts';

/** `secret:` before it is taken away: it is what people copy from a crate. */
export function parsePath(text: string): string {
  const path = text.startsWith('secret:') ? text.slice('secret:'.length) : text;
  if (!isSecretPath(path))
    throw new InvalidArgumentError('a path is lower-case names with slashes, such as db/password');
  return path;
}

export function secretUrl(path: string): string {
  return `/v1/secrets/${encodeURIComponent(path)}`;
}
