/** Signed agent builds of a few bytes, and an installation in memory that they can be offered to. */
import { createHash } from 'node:crypto';
import type { Installation } from '../../agent/updater/installed.ts';
import { layoutAt } from '../../agent/updater/layout.ts';
import type { BuildSource, WantedBuild } from '../../agent/updater/stage.ts';
import type { ArtifactKeys } from '../../lib/artifacts/keys.ts';
import { type ArtifactManifest, formatManifest } from '../../lib/artifacts/manifest.ts';
import { parseVersion } from '../../lib/artifacts/version.ts';
import { type Ed25519KeyPair, generateEd25519, signEd25519 } from '../../lib/crypto/ed25519.ts';
import { formatVerifierKey, signNote } from '../../lib/crypto/note.ts';
import { createFakeDisk, type FakeDisk } from './update-disk.ts';

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

export const builtAt = Date.parse('2026-11-01T12:00:00Z');

export type OfferedBuild = {
  readonly wanted: WantedBuild;
  readonly note: string;
  readonly program: Uint8Array;
  readonly source: BuildSource;
};

export type BuildChange = {
  readonly program?: Uint8Array;
  readonly platform?: string;
  readonly notAfter?: number;
  readonly rollout?: number;
  readonly size?: number;
  readonly key?: Ed25519KeyPair;
  readonly kind?: ArtifactManifest['kind'];
};

/** A release key and the builds that it signs. */
export function createBuilds() {
  const key = generateEd25519();
  const keys: ArtifactKeys = { number: 1, threshold: 1, keys: [formatVerifierKey('release', key.publicKey)] };

  async function build(version: string, change: BuildChange = {}): Promise<OfferedBuild> {
    const program = change.program ?? new TextEncoder().encode(`the agent, version ${version}, and all of its bytes`);
    const signer = change.key ?? key;
    const text = formatManifest({
      kind: change.kind ?? 'agent',
      name: 'holdfast-agent',
      version: parseVersion(version),
      platform: change.platform ?? 'linux-x64',
      notAfter: change.notAfter ?? builtAt + 86_400_000,
      files: [{ path: 'holdfast-agent', size: change.size ?? program.length, sha256: sha256(program) }],
    });
    const note = await signNote(text, 'release', {
      publicKey: signer.publicKey,
      sign: async (message) => signEd25519(signer.privateKey, message),
    });
    const wanted = { rollout: change.rollout ?? 1, version, sha256: sha256(program) };
    return { wanted, note, program, source: sourceOf(note, program) };
  }
  return { key, keys, build };
}

/** The program in parts of 16 bytes. */
export function sourceOf(note: string, program: Uint8Array): BuildSource {
  const parts: Uint8Array[] = [];
  for (let at = 0; at < program.length; at += 16) parts.push(program.subarray(at, at + 16));
  return {
    describe: async () => ({ manifest: new TextEncoder().encode(note), parts: parts.map(sha256) }),
    part: async (digest) => parts.find((part) => sha256(part) === digest) ?? new Uint8Array(),
  };
}

export type FakeInstallation = Installation & { readonly disk: FakeDisk };

export function createInstallation(keys: ArtifactKeys, version = '1.0.0'): FakeInstallation {
  const layout = layoutAt('/opt/holdfast-agent');
  return { disk: createFakeDisk(), layout, keys, platform: 'linux-x64', version: parseVersion(version) };
}
