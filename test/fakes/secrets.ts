/** A secrets provider in memory: versions and rules as the real one, and a switch that makes it unreachable. */
import { Secret } from '../../lib/crypto/secret.ts';
import { SecretsError } from '../../lib/secrets/errors.ts';
import { assertValue, pathsInRange, type SecretsProvider } from '../../lib/secrets/provider.ts';
import { isSecretPath, parseSecretPath } from '../../lib/secrets/reference.ts';

export type MemorySecrets = SecretsProvider & {
  reachable: boolean;
  /** Every path whose value was asked for. */
  readonly asked: string[];
};

type Kept = { readonly version: number; readonly createdAt: number; readonly value: Uint8Array };

export function createMemorySecrets(values: { readonly [path: string]: string | Uint8Array } = {}): MemorySecrets {
  const held = new Map<string, Kept[]>();
  const last = new Map<string, number>();
  const assertReachable = () => {
    if (!provider.reachable) throw new SecretsError('unavailable', 'the secrets provider does not answer');
  };
  const versionsOf = (path: string): readonly Kept[] => {
    assertReachable();
    const versions = held.get(path);
    if (versions === undefined) throw new SecretsError('not_found', `there is no secret secret:${path}`);
    return versions;
  };
  const provider: MemorySecrets = {
    reachable: true,
    asked: [],
    async get(path) {
      provider.asked.push(path);
      const { version, value } = versionsOf(path).at(-1) as Kept;
      return { version, value: new Secret(new Uint8Array(value)) };
    },
    async existing(paths) {
      assertReachable();
      return new Set(paths.filter((path) => isSecretPath(path) && held.has(path)));
    },
    async list(range) {
      assertReachable();
      return pathsInRange([...held.keys()], range).map((path) => {
        const versions = versionsOf(path);
        return { path, current: versions.at(-1) as Kept, versions: versions.length };
      });
    },
    async versions(path) {
      return versionsOf(path).toReversed();
    },
    async set(path, value) {
      assertReachable();
      assertValue(value);
      const version = (last.get(parseSecretPath(path)) ?? 0) + 1;
      last.set(path, version);
      const kept = { version, createdAt: 0, value: new Uint8Array(value.reveal()) };
      held.set(path, [...(held.get(path) ?? []), kept]);
      return kept;
    },
    async delete(path) {
      versionsOf(path);
      held.delete(path);
    },
    async rotateMasterKey() {
      assertReachable();
      return { key: 'memory', secrets: held.size };
    },
  };
  for (const [path, value] of Object.entries(values)) {
    const bytes = typeof value === 'string' ? new Uint8Array(Buffer.from(value)) : value;
    last.set(path, 1);
    held.set(path, [{ version: 1, createdAt: 0, value: bytes }]);
  }
  return provider;
}
