/**
 * The local provider: one file per version of a secret, AES-256-GCM under a master key, with path and version bound as
 * additional data. A version appears under its name whole or not at all, so a kill at any step leaves the old one or the
 * new one. What was written is read back and opened before it counts (modelled on CVE-2023-0690, where rotated
 * credentials were stored unwrapped).
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { concatBytes, equalBytes, utf8 } from '../crypto/encoding.ts';
import { Secret } from '../crypto/secret.ts';
import { type DataSealer, KeysError } from '../keys/port.ts';
import { SecretsError } from './errors.ts';
import { type MasterKey, type MasterKeys, openMasterKeys, prefixed, splitStored } from './master-keys.ts';
import { listNames, openPrivateDirectory, readWhole, removeFile, replaceWhole, type Step } from './private-store.ts';
import { assertValue, pathsInRange, type SecretInfo, type SecretsProvider, type SecretVersion } from './provider.ts';
import { formatReference, isSecretPath, parseSecretPath } from './reference.ts';

/** Versions that are kept; older ones are destroyed with the next set. */
const versionsKept = 10;
const versionName = /^[0-9]{10}$/;
/** What a deleted secret leaves: it hides the versions up to its own, and the next one is above it. */
const tombstoneName = /^[0-9]{10}\.deleted$/;

export type LocalProviderDeps = {
  readonly directory: string;
  readonly sealer: DataSealer;
  readonly now: () => number;
  readonly step?: Step;
};

/** Opens the directory (0700), making it when it is not there. One process at a time may write. */
export async function openLocalSecrets(deps: LocalProviderDeps): Promise<SecretsProvider> {
  const { directory, sealer, now, step = () => undefined } = deps;
  const values = join(directory, 'values');
  await openPrivateDirectory(directory);
  await openPrivateDirectory(values);
  const keys = await openMasterKeys(join(directory, 'keys'), sealer, step);
  let turn: Promise<unknown> = Promise.resolve();

  /** One change at a time: two sets at once must not get one version. */
  function inTurn<T>(act: () => Promise<T>): Promise<T> {
    const next = turn.then(act, act);
    turn = next.catch(() => undefined);
    return next;
  }

  const folderOf = (path: string) => join(values, parseSecretPath(path).replaceAll('/', '+'));

  async function names(path: string): Promise<readonly string[]> {
    const folder = folderOf(path);
    const found = (await listNames(values)).includes(path.replaceAll('/', '+'));
    return found ? listNames(folder) : [];
  }

  async function versionsOf(path: string): Promise<readonly number[]> {
    return liveVersions(await names(path));
  }

  async function open(path: string, version: number): Promise<Stored> {
    const bytes = await readWhole(join(folderOf(path), formatVersion(version)));
    if (bytes === undefined) throw notFound(path);
    return unseal(keys, path, version, bytes);
  }

  async function write(path: string, version: number, stored: Stored, key: MasterKey): Promise<void> {
    const file = join(folderOf(path), formatVersion(version));
    const plain = concatBytes(utf8(`${new Date(stored.createdAt).toISOString()}\n`), stored.value);
    const sealed = key.box.seal(plain, additional(path, version, key.id));
    plain.fill(0);
    const bytes = concatBytes(utf8(key.id), sealed);
    const back = await unseal(keys, path, version, bytes);
    if (!equalBytes(back.value, stored.value) || Buffer.from(sealed).includes(Buffer.from(stored.value))) {
      throw new SecretsError('unavailable', 'a secret could not be sealed, so it was not written');
    }
    back.value.fill(0);
    await replaceWhole(file, bytes, prefixed(step, 'value'));
    const written = await readWhole(file);
    if (written === undefined || !equalBytes(written, bytes)) {
      throw new SecretsError('unavailable', `what was written for ${formatReference(path)} could not be read back`);
    }
  }

  return {
    async get(path) {
      const version = (await versionsOf(path)).at(-1);
      if (version === undefined) throw notFound(path);
      const { value } = await open(path, version);
      return { version, value: new Secret(value) };
    },
    async existing(paths) {
      const found = new Set<string>();
      for (const path of paths) if (isSecretPath(path) && (await versionsOf(path)).length > 0) found.add(path);
      return found;
    },
    async list({ after, limit } = {}) {
      const infos: SecretInfo[] = [];
      const paths = (await listNames(values)).map((folder) => folder.replaceAll('+', '/')).filter(isSecretPath);
      for (const path of pathsInRange(paths, { after })) {
        if (infos.length === limit) break;
        const versions = await versionsOf(path);
        const version = versions.at(-1);
        if (version === undefined) continue;
        infos.push({ path, current: await describe(path, version), versions: versions.length });
      }
      return infos;
    },
    async versions(path) {
      const versions = await versionsOf(path);
      if (versions.length === 0) throw notFound(path);
      return Promise.all(versions.toReversed().map((version) => describe(path, version)));
    },
    set: (path, value) =>
      inTurn(async () => {
        assertValue(value);
        const folder = folderOf(path);
        const key = await keys.current();
        await mkdir(folder, { recursive: true, mode: 0o700 });
        await openPrivateDirectory(folder);
        const held = await names(path);
        const version = Math.max(0, ...held.map((name) => Number(name.slice(0, 10)) || 0)) + 1;
        const createdAt = now();
        await write(path, version, { createdAt, value: value.reveal() }, key);
        const live = liveVersions(held).map(formatVersion);
        const kept = new Set(live.slice(-(versionsKept - 1)));
        // What a tombstone hides goes before the tombstone.
        const [tombs, old] = [held.filter(isTombstone), held.filter((name) => !isTombstone(name) && !kept.has(name))];
        for (const name of [...old, ...tombs]) await removeFile(join(folder, name), prefixed(step, 'old version'));
        return { version, createdAt };
      }),
    delete: (path) =>
      inTurn(async () => {
        const versions = await versionsOf(path);
        const last = versions.at(-1);
        if (last === undefined) throw notFound(path);
        const folder = folderOf(path);
        await replaceWhole(
          join(folder, `${formatVersion(last)}.deleted`),
          new Uint8Array(0),
          prefixed(step, 'tombstone'),
        );
        for (const version of versions.toReversed()) {
          await removeFile(join(folder, formatVersion(version)), prefixed(step, 'value'));
        }
      }),
    rotateMasterKey: () =>
      inTurn(async () => {
        const key = await keys.create();
        let secrets = 0;
        for (const folder of await listNames(values)) {
          const path = folder.replaceAll('+', '/');
          if (!isSecretPath(path)) continue;
          for (const version of await versionsOf(path)) {
            const stored = await open(path, version);
            await write(path, version, stored, key);
            stored.value.fill(0);
            secrets += 1;
          }
        }
        await keys.removeOthers();
        return { key: key.id, secrets };
      }),
  };

  async function describe(path: string, version: number): Promise<SecretVersion> {
    const { createdAt, value } = await open(path, version);
    value.fill(0);
    return { version, createdAt };
  }
}

type Stored = { readonly createdAt: number; readonly value: Uint8Array };

/** Attacker-controlled: what the disk holds. The time stands before the value, inside what is sealed. */
async function unseal(keys: MasterKeys, path: string, version: number, bytes: Uint8Array): Promise<Stored> {
  try {
    const { id, sealed } = splitStored(bytes);
    const { box } = await keys.byId(id);
    const plain = box.open(sealed, additional(path, version, id));
    const end = plain.indexOf(0x0a);
    const createdAt = Date.parse(Buffer.from(plain.subarray(0, end)).toString('latin1'));
    return { createdAt, value: plain.subarray(end + 1) };
  } catch (cause) {
    if (!(cause instanceof KeysError) && !(cause instanceof SecretsError && cause.code === 'not_authentic'))
      throw cause;
    const what = `what is stored for version ${version} of ${formatReference(path)}`;
    throw new SecretsError('not_authentic', `${what} is not what was written`, { cause });
  }
}

function additional(path: string, version: number, keyId: string): string {
  return `holdfast/secret-at-rest/v1|${keyId}|${version}|${path}`;
}

function liveVersions(names: readonly string[]): readonly number[] {
  const deleted = Math.max(0, ...names.filter(isTombstone).map((name) => Number(name.slice(0, 10))));
  const versions = names.filter((name) => versionName.test(name)).map(Number);
  return versions.filter((version) => version > deleted);
}

function isTombstone(name: string): boolean {
  return tombstoneName.test(name);
}

function formatVersion(version: number): string {
  return String(version).padStart(10, '0');
}

function notFound(path: string): SecretsError {
  return new SecretsError('not_found', `there is no secret ${formatReference(path)}`);
}
