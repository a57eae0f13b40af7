/** Fetches the credentials of a destination for a send. They are kept in memory for a minute at most, and by nobody else. */
import { fromUtf8 } from '../crypto/encoding.ts';
import { CryptoError } from '../crypto/errors.ts';
import { Secret } from '../crypto/secret.ts';
import { SecretsError } from '../secrets/errors.ts';
import type { SecretsProvider } from '../secrets/provider.ts';
import { formatReference } from '../secrets/reference.ts';
import { credentialsOf, type DestinationConfig } from './config.ts';
import type { Credentials, SendResult } from './destination.ts';

export type Fetched =
  | { readonly ok: true; readonly credentials: Credentials }
  | { readonly ok: false; readonly result: SendResult };

export interface CredentialReader {
  /** The values, or the outcome of a send that can't be tried without them. */
  fetch(config: DestinationConfig): Promise<Fetched>;
  /** They were not accepted: what is fetched next is fetched anew. */
  forget(config: DestinationConfig): void;
}

const keptMs = 60_000;

export function createCredentialReader(
  secrets: Pick<SecretsProvider, 'get'> | undefined,
  now: () => number,
): CredentialReader {
  const kept = new Map<string, { readonly at: number; readonly value: Secret<string> }>();

  async function fetchOne(path: string): Promise<Secret<string>> {
    const held = kept.get(path);
    if (held !== undefined && now() - held.at < keptMs && now() >= held.at) return held.value;
    if (secrets === undefined) throw new SecretsError('not_found', 'this control plane keeps no secrets');
    const { value } = await secrets.get(path);
    const text = new Secret(fromUtf8(value.reveal()).replace(/\r?\n$/, ''));
    kept.set(path, { at: now(), value: text });
    return text;
  }

  return {
    async fetch(config) {
      const credentials: Record<string, Secret<string>> = {};
      for (const { field, path } of credentialsOf(config)) {
        try {
          credentials[field] = await fetchOne(path);
        } catch (error) {
          return { ok: false, result: refusalOf(error, formatReference(path)) };
        }
      }
      return { ok: true, credentials };
    },
    forget(config) {
      for (const { path } of credentialsOf(config)) kept.delete(path);
    },
  };
}

/** Never with a value; the reference is no secret. */
function refusalOf(error: unknown, reference: string): SendResult {
  if (error instanceof CryptoError) return { kind: 'auth', reason: `${reference} is not text` };
  if (!(error instanceof SecretsError)) throw error;
  if (error.code === 'unavailable') return { kind: 'transient', reason: `${reference} can't be read at the moment` };
  return { kind: 'auth', reason: `${reference}: ${error.code}` };
}
