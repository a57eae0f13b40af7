/** The manifest of a built agent, and its signature: with the release key, or with a key that the build made. */
import { createPrivateKey, type KeyObject } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { formatKeys, parseKeys } from '../lib/artifacts/keys.ts';
import { formatManifest } from '../lib/artifacts/manifest.ts';
import { parseVersion } from '../lib/artifacts/version.ts';
import { sha256Hex } from '../lib/crypto/digest.ts';
import { generateEd25519, publicKeyOf, signEd25519 } from '../lib/crypto/ed25519.ts';
import { formatVerifierKey, signNote } from '../lib/crypto/note.ts';

/** How long a build may be installed; what is installed goes on running. */
const lifetimeDays = 365;

export type AgentBuild = {
  readonly file: Uint8Array;
  readonly version: string;
  readonly platform: string;
  /** The key list that was compiled in. */
  readonly keys: string;
  /** PEM of a key of that list. */
  readonly key?: string | undefined;
  readonly now?: number;
};

/** The manifest's text and, when there is a key, the signed note. */
export async function signAgent(build: AgentBuild): Promise<{ readonly text: string; readonly note?: string }> {
  const { file, version, platform, keys, key, now = Date.now() } = build;
  const text = formatManifest({
    kind: 'agent',
    name: 'holdfast-agent',
    version: parseVersion(version),
    platform,
    notAfter: Math.floor(now / 86_400_000 + lifetimeDays) * 86_400_000,
    files: [{ path: 'holdfast-agent', size: file.length, sha256: sha256Hex(file) }],
  });
  if (key === undefined) return { text };
  const privateKey = createPrivateKey(key);
  return { text, note: await signNote(text, nameOf(keys, privateKey), noteSigner(privateKey)) };
}

/** The key of this checkout's own builds, made once. Nothing but those builds trusts it. */
export function developmentKeys(directory: string): { readonly keys: string; readonly key: string } {
  const [keyFile, listFile] = [join(directory, 'key.pem'), join(directory, 'artifact-keys')];
  if (!existsSync(listFile)) {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const { privateKey, publicKey } = generateEd25519();
    writeFileSync(keyFile, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
    const keys = [formatVerifierKey('holdfast-development', publicKey)];
    writeFileSync(listFile, formatKeys({ number: 1, threshold: 1, keys }));
  }
  return { keys: readFileSync(listFile, 'utf8'), key: readFileSync(keyFile, 'utf8') };
}

function noteSigner(privateKey: KeyObject) {
  return {
    publicKey: publicKeyOf(privateKey),
    sign: async (message: Uint8Array) => signEd25519(privateKey, message),
  };
}

function nameOf(list: string, privateKey: KeyObject): string {
  const publicKey = publicKeyOf(privateKey);
  for (const key of parseKeys(list).keys) {
    const name = key.slice(0, key.indexOf('+'));
    if (formatVerifierKey(name, publicKey) === key) return name;
  }
  throw new TypeError('the key is not in the list that is compiled in');
}
