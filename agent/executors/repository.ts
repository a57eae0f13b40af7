/**
 * `repository`: where the package manager takes packages from, with the one key that must have signed them, or none at
 * all. There is no unsigned repository: a key is required, and it is good for this repository alone where the tool can
 * say so (apt).
 */
import { dirname } from 'node:path';
import { z } from 'zod';
import { readText } from '../edit/text-file.ts';
import type { Difference, Executor } from '../executor.ts';
import { type Host, HostError, type HostView } from '../host.ts';
import { packageToolOf } from '../platform/detect.ts';
import { type RepositoryFile, repositoryFiles } from '../platform/repositories.ts';
import { absolutePath, ownershipDrift, state } from './fields.ts';

const fileMode = 0o644;
const directoryMode = 0o755;

const word = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._/:+~-]{0,199}$/, 'must be one word');

const schema = z
  .strictObject({
    /** Names its files. */
    name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,63}$/, 'must be small letters, digits and "-"'),
    state,
    /** Without a password in it: a URL is seen by everybody. */
    uri: z
      .string()
      .max(1000)
      .regex(
        /^(?:https?:\/\/[^\s/@"'\\]+(?:\/[^\s"'\\]*)?|file:\/\/\/[^\s"'\\]*)$/,
        'must be an http(s) or file URL without an account',
      )
      .optional(),
    /** apt: such as "bookworm", or a path that ends in a slash. */
    suites: z.array(word).min(1).max(20).optional(),
    /** apt: such as "main". */
    components: z.array(word).max(20).optional(),
    /** apt: only these. */
    architectures: z
      .array(z.string().regex(/^[a-z0-9-]{1,30}$/))
      .min(1)
      .max(10)
      .optional(),
    /** The public key: ASCII-armored for apt, dnf and zypper, PEM for apk. */
    key: z
      .string()
      .max(100_000)
      .regex(
        /^-----BEGIN PGP PUBLIC KEY BLOCK-----\n[\s\S]*-----END PGP PUBLIC KEY BLOCK-----\n?$|^-----BEGIN PUBLIC KEY-----\n[A-Za-z0-9+/=\n]*-----END PUBLIC KEY-----\n?$/,
        'must be a public key',
      )
      .optional(),
    /** A key that is on the machine already, in place of `key`. */
    key_path: absolutePath.optional(),
  })
  .refine((desired) => desired.state === 'absent' || desired.uri !== undefined, {
    message: 'is required, unless the state is "absent"',
    path: ['uri'],
  })
  .refine((desired) => desired.state === 'absent' || (desired.key === undefined) !== (desired.key_path === undefined), {
    message: 'either key or key_path is required: there is no unsigned repository',
    path: ['key'],
  });

export type Repository = z.output<typeof schema>;
export type RepositoryDifference = Difference & { readonly reasons: readonly string[] };

export const repository: Executor<Repository, RepositoryDifference> = {
  name: 'repository',
  schema,
  id: (desired) => desired.name,
  keeps: ['/etc/apt/keyrings', '/etc/pki/rpm-gpg', '/etc/apk/repositories.d'],
  paths: async (desired, host) => (await filesOf(desired, host)).map(({ path }) => path),

  async check(desired, host) {
    const reasons: string[] = [];
    let isThere = false;
    for (const file of await filesOf(desired, host)) {
      const status = await host.inspect({ path: file.path });
      isThere ||= status !== undefined;
      const isWanted = desired.state === 'present' && file.text !== undefined;
      if (!isWanted ? status !== undefined : !(await isAsWanted(file, host))) {
        reasons.push(status === undefined ? `no ${file.what}` : `another ${file.what}`);
      }
    }
    if (reasons.length === 0) {
      return undefined;
    }
    const change = desired.state === 'absent' ? 'removed' : isThere ? 'updated' : 'created';
    return { change, reasons: change === 'removed' ? ['there is one'] : reasons };
  },

  async apply(_found, desired, host) {
    // The key first: without it the list would be refused by the tool.
    for (const file of await filesOf(desired, host)) {
      if (desired.state === 'absent' || file.text === undefined) {
        await host.removeFile({ path: file.path });
      } else if (!(await isAsWanted(file, host))) {
        await makeParent(file.path, host);
        await host.writeFile({ path: file.path }, Buffer.from(file.text), { mode: fileMode, ...host.self });
      }
    }
  },

  describe: (found) => found.reasons.join(', '),
};

async function filesOf(desired: Repository, host: HostView): Promise<readonly RepositoryFile[]> {
  const tool = await packageToolOf(host);
  const files = repositoryFiles(tool, desired);
  if (files === undefined) {
    throw new HostError('system', `repositories of ${tool} are not kept by the agent`);
  }
  return files;
}

/** Not every release of a system has them from the start. */
async function makeParent(path: string, host: Host): Promise<void> {
  const place = { path: dirname(path) };
  if ((await host.inspect(place)) === undefined) {
    await host.makeDirectory(place, { mode: directoryMode, ...host.self });
  }
}

async function isAsWanted(file: RepositoryFile, host: HostView): Promise<boolean> {
  const place = { path: file.path };
  const status = await host.inspect(place);
  return (
    status?.kind === 'file' &&
    ownershipDrift(status, { mode: fileMode, ...host.self }).length === 0 &&
    (await readText(place, host)) === Buffer.from(file.text ?? '').toString('latin1')
  );
}
