/** What the tests of policy share: small resource types, a policy directory on disk, operators with keys. */

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { generateEd25519 } from '../../lib/crypto/ed25519.ts';
import { formatSshPublicKey, sshPublicKeyOf } from '../../lib/crypto/ssh-key.ts';
import { signSshSignature } from '../../lib/crypto/sshsig.ts';
import { PolicyError, type PolicyErrorCode } from '../../lib/policy/errors.ts';
import { formatManifest, type Manifest } from '../../lib/policy/model.ts';
import { noPrevious } from '../../lib/policy/names.ts';
import type { ResourceType, ResourceTypes } from '../../lib/policy/resource-types.ts';
import { releaseNamespace } from '../../lib/policy/sign.ts';

/** Like the real ones in shape, and far from them in what they can do. */
export const types: ResourceTypes = new Map(
  (
    [
      {
        name: 'file',
        schema: z.strictObject({
          path: z.string().startsWith('/'),
          content: z.strictObject({ sha256: z.string(), bytes: z.int() }).optional(),
          mode: z.string().optional(),
        }),
        id: (desired) => desired.path,
      },
      { name: 'directory', schema: z.strictObject({ path: z.string() }), id: (desired) => desired.path },
      {
        name: 'exec',
        schema: z
          .strictObject({ name: z.string(), unless: z.string().optional() })
          .refine((desired) => desired.unless !== undefined, { message: 'a guard is required', path: ['unless'] }),
        id: (desired) => desired.name,
      },
      {
        name: 'note',
        schema: z.strictObject({ name: z.string(), extra: z.json().optional() }),
        id: (desired) => desired.name,
      },
    ] satisfies ResourceType[]
  ).map((type) => [type.name, type]),
);

type Teardown = { after(fn: () => Promise<void>): void };

/** A directory that is removed after the test. */
export async function temporaryDirectory(t: Teardown): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'holdfast-policy-'));
  t.after(() => rm(path, { recursive: true, force: true }));
  return path;
}

/** Writes files by their path below a new temporary directory, and returns that. */
export async function writeTree(t: Teardown, files: { readonly [path: string]: string | Uint8Array }): Promise<string> {
  const root = await temporaryDirectory(t);
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), content);
  }
  return root;
}

export type Operator = {
  readonly line: string;
  readonly sign: (message: Uint8Array, namespace?: string) => string;
};

export function createOperator(): Operator {
  const { publicKey, privateKey } = generateEd25519();
  const sshKey = sshPublicKeyOf(publicKey, 'operator');
  return {
    line: formatSshPublicKey(sshKey),
    sign: (message, namespace = releaseNamespace) =>
      signSshSignature({ message, namespace, privateKey, publicKey: sshKey }),
  };
}

export const day = 24 * 3600 * 1000;
/** The time at which the tests happen. */
export const noon = Date.UTC(2030, 0, 1, 12);

/** The bytes of a release for fleet "demo" without any crate. */
export function manifestBytes(change: Partial<Manifest> = {}): Uint8Array {
  return formatManifest({
    fleet: 'demo',
    number: 1,
    previous: noPrevious,
    created: noon,
    expires: noon + 90 * day,
    bindings: [],
    crates: [],
    ...change,
  });
}

/** For `assert.throws` and `assert.rejects`. */
export function policyError(code: PolicyErrorCode): (error: unknown) => boolean {
  return (error) => {
    if (!(error instanceof PolicyError)) throw error;
    if (error.code !== code) throw new Error(`PolicyError ${error.code}, not ${code}: ${error.message}`);
    return true;
  };
}
