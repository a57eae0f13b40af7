/** The secrets provider port: where values are kept, and the rules that every value obeys. */
import type { Secret } from '../crypto/secret.ts';
import { SecretsError } from './errors.ts';

/** Shorter values can't be found reliably in text, so they couldn't be kept out of logs and reports. */
export const minSecretBytes = 4;
/** As AWS Secrets Manager has it. */
export const maxSecretBytes = 65_536;

export type SecretVersion = { readonly version: number /** Unix milliseconds. */; readonly createdAt: number };

/** A secret without its value. */
export type SecretInfo = { readonly path: string; readonly current: SecretVersion; readonly versions: number };

export type ListRange = { readonly after?: string | undefined; readonly limit?: number };

export type SecretValue = { readonly version: number; readonly value: Secret<Uint8Array> };

/**
 * Every method throws `SecretsError` `unavailable` when the provider can't be reached. Versions of a path rise by one
 * and are never given twice, also after a delete.
 */
export interface SecretsProvider {
  /** The current version. Throws `not_found`, or `not_authentic` when what is stored was changed. */
  get(path: string): Promise<SecretValue>;
  /** Which of these paths exist; reads no value. */
  existing(paths: readonly string[]): Promise<ReadonlySet<string>>;
  /** By path: all, or at most `limit` of those that come after the path `after`. */
  list(range?: ListRange): Promise<readonly SecretInfo[]>;
  /** Newest first. Throws `not_found`. */
  versions(path: string): Promise<readonly SecretVersion[]>;
  /** Makes `value` the current version. When this returns, it is durable. */
  set(path: string, value: Secret<Uint8Array>): Promise<SecretVersion>;
  /** Destroys every version. Throws `not_found`. */
  delete(path: string): Promise<void>;
  /** Puts everything under a new master key. Resumes one that was cut short. Throws `not_supported` where keys rotate by themselves. */
  rotateMasterKey(): Promise<{ readonly key: string; readonly secrets: number }>;
}

/** Those of the paths that are in the range, in order. */
export function pathsInRange(paths: readonly string[], { after = '', limit }: ListRange = {}): readonly string[] {
  const rest = paths.filter((path) => path > after).sort();
  return limit === undefined ? rest : rest.slice(0, limit);
}

/** Throws `SecretsError` `bad_value`, without the value. */
export function assertValue(value: Secret<Uint8Array>): void {
  const { length } = value.reveal();
  if (length < minSecretBytes) {
    throw new SecretsError('bad_value', `a secret has at least ${minSecretBytes} bytes, this one has ${length}`, {
      hint: 'Shorter ones appear in any text by chance, so they could not be kept out of logs.',
    });
  }
  if (length > maxSecretBytes) {
    throw new SecretsError('bad_value', `a secret has at most ${maxSecretBytes} bytes, this one has ${length}`);
  }
}
