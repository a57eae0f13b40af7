/**
 * The provider on AWS Secrets Manager: one secret a path below one prefix, under the customer's key. A version's number is
 * the ClientRequestToken that it was written with, so the service itself refuses to give a number twice: of two writers at
 * once the second one is told, and takes the next. An answer that was lost is asked for again with the same token, which
 * changes nothing. What was not written with such a token is not taken for a value.
 */
import {
  CreateSecretCommand,
  DeleteSecretCommand,
  DescribeSecretCommand,
  type DescribeSecretCommandOutput,
  GetSecretValueCommand,
  ListSecretsCommand,
  ListSecretVersionIdsCommand,
  PutSecretValueCommand,
  type SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';
import { Secret } from '../crypto/secret.ts';
import { SecretsError } from './errors.ts';
import { assertValue, pathsInRange, type SecretInfo, type SecretsProvider, type SecretVersion } from './provider.ts';
import { formatReference, isSecretPath, parseSecretPath } from './reference.ts';
import { requestOf } from './secrets-manager-errors.ts';
import type { VersionFloors } from './version-floors.ts';

export type SecretsManagerDeps = {
  readonly client: Pick<SecretsManagerClient, 'send'>;
  /** Such as `holdfast/prod/`. */
  readonly prefix: string;
  /** ARN of the customer's key. */
  readonly keyId: string;
  readonly floors: VersionFloors;
  readonly now: () => number;
};

/** How often a writer that another one overtook tries again. */
const maxAttempts = 8;
const describedAtOnce = 8;
/** API reference, PutSecretValue: a ClientRequestToken has 32 to 64 characters. */
const tokenPrefix = 'holdfast-version-';
const tokenPattern = /^holdfast-version-0{6}([0-9]{10})$/;
const maxVersion = 0xffff_ffff;
/** Until the secret is destroyed by force, right after. */
const recoveryDays = 7;

export function openSecretsManager({ client, prefix, keyId, floors, now }: SecretsManagerDeps): SecretsProvider {
  const nameOf = (path: string) => `${prefix}${parseSecretPath(path)}`;

  /** Undefined for one that is not there; also while it is being deleted. */
  async function describe(path: string): Promise<Described | undefined> {
    const { result } = await requestOf(
      () => client.send(new DescribeSecretCommand({ SecretId: nameOf(path) })),
      ['ResourceNotFoundException'],
    );
    return result && described(result);
  }

  /** The name and its key, without a value: whoever of several comes first makes it. */
  async function create(path: string): Promise<void> {
    await requestOf(
      () => client.send(new CreateSecretCommand({ Name: nameOf(path), KmsKeyId: keyId })),
      ['ResourceExistsException', 'InvalidRequestException'],
    );
  }

  /** False when somebody else took the number, or the secret is gone. */
  async function write(path: string, version: number, bytes: Uint8Array): Promise<boolean> {
    // A copy: the SDK keeps what it sends until the answer is there.
    const SecretBinary = new Uint8Array(bytes);
    const command = new PutSecretValueCommand({
      SecretId: nameOf(path),
      ClientRequestToken: tokenOf(version),
      SecretBinary,
    });
    try {
      const { refused } = await requestOf(
        () => client.send(command),
        ['ResourceExistsException', 'ResourceNotFoundException', 'InvalidRequestException'],
      );
      return refused === undefined;
    } finally {
      SecretBinary.fill(0);
    }
  }

  /** Its door is closed first, so that no version comes in between looking at the last one and destroying it. */
  async function destroy(path: string, seen: Described): Promise<void> {
    await floors.raise(path, seen.version);
    const SecretId = nameOf(path);
    if (!seen.isLeaving) {
      await requestOf(
        () => client.send(new DeleteSecretCommand({ SecretId, RecoveryWindowInDays: recoveryDays })),
        ['ResourceNotFoundException', 'InvalidRequestException'],
      );
      const last = await describe(path);
      if (last !== undefined) await floors.raise(path, last.version);
    }
    await requestOf(
      () => client.send(new DeleteSecretCommand({ SecretId, ForceDeleteWithoutRecovery: true })),
      ['ResourceNotFoundException'],
    );
  }

  return {
    async get(path) {
      const { result } = await requestOf(
        () => client.send(new GetSecretValueCommand({ SecretId: nameOf(path) })),
        // It is being deleted.
        ['ResourceNotFoundException', 'InvalidRequestException'],
      );
      if (result === undefined) throw notFound(path);
      const version = versionOf(result.VersionId);
      if (version === undefined || result.SecretBinary === undefined) throw notOurs(path);
      return { version, value: new Secret(new Uint8Array(result.SecretBinary)) };
    },
    async existing(paths) {
      const found = new Set<string>();
      const wanted = paths.filter(isSecretPath);
      for (let at = 0; at < wanted.length; at += describedAtOnce) {
        const batch = wanted.slice(at, at + describedAtOnce);
        const seen = await Promise.all(batch.map(describe));
        for (const [i, path] of batch.entries()) if (isThere(seen[i])) found.add(path);
      }
      return found;
    },
    async list(range) {
      const infos = new Map<string, SecretInfo>();
      let NextToken: string | undefined;
      do {
        const Filters = [{ Key: 'name' as const, Values: [prefix] }];
        const command = new ListSecretsCommand({ Filters, MaxResults: 100, ...(NextToken && { NextToken }) });
        const { result } = await requestOf(() => client.send(command));
        for (const entry of result?.SecretList ?? []) {
          const path = entry.Name?.startsWith(prefix) ? entry.Name.slice(prefix.length) : '';
          const held = Object.keys(entry.SecretVersionsToStages ?? {}).flatMap((id) => versionOf(id) ?? []);
          if (!isSecretPath(path) || held.length === 0 || entry.DeletedDate !== undefined) continue;
          const createdAt = (entry.LastChangedDate ?? entry.CreatedDate)?.getTime() ?? 0;
          infos.set(path, { path, current: { version: Math.max(...held), createdAt }, versions: held.length });
        }
        NextToken = result?.NextToken;
      } while (NextToken);
      return pathsInRange([...infos.keys()], range).map((path) => infos.get(path)!);
    },
    async versions(path) {
      if (!isThere(await describe(path))) throw notFound(path);
      const versions: SecretVersion[] = [];
      let NextToken: string | undefined;
      do {
        const SecretId = nameOf(path);
        const command = new ListSecretVersionIdsCommand({ SecretId, MaxResults: 100, ...(NextToken && { NextToken }) });
        const { result } = await requestOf(
          () => client.send(command),
          ['ResourceNotFoundException', 'InvalidRequestException'],
        );
        for (const { VersionId, CreatedDate } of result?.Versions ?? []) {
          const version = versionOf(VersionId);
          if (version !== undefined) versions.push({ version, createdAt: CreatedDate?.getTime() ?? 0 });
        }
        NextToken = result?.NextToken;
      } while (NextToken);
      if (versions.length === 0) throw notFound(path);
      return versions.sort((a, b) => b.version - a.version);
    },
    async set(path, value) {
      assertValue(value);
      for (let attempt = 0; attempt < maxAttempts; attempt++) {
        const seen = await describe(path);
        if (seen?.isLeaving) {
          // A deletion that was cut short, or is under way.
          await destroy(path, seen);
          continue;
        }
        const version = Math.max(seen?.version ?? 0, await floors.read(path)) + 1;
        if (version > maxVersion)
          throw new SecretsError('unavailable', `${formatReference(path)} has no more versions`);
        if (seen === undefined) await create(path);
        if (await write(path, version, value.reveal())) return { version, createdAt: now() };
      }
      throw new SecretsError('unavailable', `${formatReference(path)} is being changed or deleted by others`, {
        hint: 'Try again in a minute: Secrets Manager keeps a name for a while after its secret was deleted.',
      });
    },
    async delete(path) {
      const seen = await describe(path);
      if (!isThere(seen)) throw notFound(path);
      await destroy(path, seen);
    },
    async rotateMasterKey() {
      throw new SecretsError(
        'not_supported',
        'values are under a key of AWS KMS, which rotates it every year by itself',
        {
          hint: 'For a new key at once, rotate it in KMS; nothing is to be done here.',
        },
      );
    },
  };
}

/** `version` is 0 for a name that has no value yet. */
type Described = { readonly version: number; readonly isLeaving: boolean };

function isThere(seen: Described | undefined): seen is Described {
  return seen !== undefined && !seen.isLeaving && seen.version > 0;
}

function described({ VersionIdsToStages, DeletedDate }: DescribeSecretCommandOutput): Described {
  const held = Object.keys(VersionIdsToStages ?? {}).flatMap((id) => versionOf(id) ?? []);
  return { version: Math.max(0, ...held), isLeaving: DeletedDate !== undefined };
}

function tokenOf(version: number): string {
  return `${tokenPrefix}${String(version).padStart(16, '0')}`;
}

/** Attacker-controlled, as far as others may write below the prefix. */
function versionOf(id: string | undefined): number | undefined {
  const version = Number(tokenPattern.exec(id ?? '')?.[1]);
  return version >= 1 && version <= maxVersion ? version : undefined;
}

function notFound(path: string): SecretsError {
  return new SecretsError('not_found', `there is no secret ${formatReference(path)}`);
}

function notOurs(path: string): SecretsError {
  return new SecretsError('not_authentic', `the value of ${formatReference(path)} was not written by "secret set"`, {
    hint: 'Set it again with "holdfast secret set": what is changed elsewhere reaches no node.',
  });
}
