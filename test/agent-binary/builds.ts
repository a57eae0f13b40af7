/** Builds of the one-file agent for these tests: made once, by the build that ships, with a key of their own. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { formatKeys } from '../../lib/artifacts/keys.ts';
import { generateEd25519 } from '../../lib/crypto/ed25519.ts';
import { formatVerifierKey } from '../../lib/crypto/note.ts';

export const project = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
export const cache = process.env['HOLDFAST_AGENT_CACHE'] ?? join(project, '.cache/agent-binary');

/** Signed, all of them: what a build does after that is its own matter. */
const entries = {
  good: undefined,
  /** Ends at once. */
  crash: 'test/agent-binary/crash.ts',
  /** Runs, and never checks in. */
  hang: 'test/agent-binary/hang.ts',
} as const;

export type BuiltAgent = {
  readonly program: string;
  readonly manifest: string;
  readonly keys: string;
  readonly version: string;
};

export function releaseKeys(): { readonly keys: string; readonly key: string } {
  const [keys, key] = [join(cache, 'artifact-keys'), join(cache, 'key.pem')];
  if (!existsSync(keys)) {
    mkdirSync(cache, { recursive: true });
    const { privateKey, publicKey } = generateEd25519();
    writeFileSync(key, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
    writeFileSync(keys, formatKeys({ number: 1, threshold: 1, keys: [formatVerifierKey('release', publicKey)] }));
  }
  return { keys, key };
}

/** Built the first time that it is asked for. A build of these has 15 s to prove itself. */
export function agentBuild(
  version: string,
  kind: keyof typeof entries = 'good',
  options: { readonly from?: string; readonly out?: string } = {},
): BuiltAgent {
  const { from = project, out = join(cache, `${version}-${kind}`) } = options;
  const built = { program: join(out, 'holdfast-agent'), manifest: join(out, 'holdfast-agent.manifest'), version };
  const { keys, key } = releaseKeys();
  if (!existsSync(built.manifest)) {
    const entry = entries[kind];
    const args = ['--out', out, '--version', version, '--keys', keys, '--key', key, '--trial-seconds', '15'];
    const all = [join(from, 'build/agent.ts'), ...args, ...(entry === undefined ? [] : ['--entry', entry])];
    const { status, stderr } = spawnSync(process.execPath, all, { encoding: 'utf8', cwd: from });
    if (status !== 0) throw new Error(`the build failed: ${stderr}`);
  }
  return { ...built, keys };
}

export function textOf(path: string): string {
  return readFileSync(path, 'utf8');
}
