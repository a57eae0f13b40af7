/**
 * `npm run build:agent`: the agent as one file, for running and testing this checkout, in dist/agent/. It is signed with
 * a key that the first build here made, in .cache/agent-keys/, and trusts builds that have its signature and no others: a
 * development build passes through the same checks as any. `npm run release` makes the one that ships.
 *
 *     node build/agent.ts [--deb] [--out DIR] [--version V] [--keys FILE --key FILE] [--entry FILE] [--trial-seconds N]
 *
 * `--keys` and `--key` take the place of the development key: a list of artifact keys (lib/artifacts/keys.ts) and an
 * Ed25519 key of it, repeatable. `--deb` makes a Debian package beside it.
 */
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { artifact, fileName, noteFile } from '../agent/updater/layout.ts';
import { parseKeys } from '../lib/artifacts/keys.ts';
import { formatManifest } from '../lib/artifacts/manifest.ts';
import { parseVersion } from '../lib/artifacts/version.ts';
import { sha256Hex } from '../lib/crypto/digest.ts';
import { developmentSigner, type Signing } from './develop.ts';
import { signDirectory } from './manifest.ts';
import { buildOneFile, debOf, oneFilePlatform } from './one-file.ts';
import { sourceRoot, sourceVersion } from './programs.ts';
import { fileSigner, named } from './signers.ts';

/** How long a build may be installed; what is installed goes on running. */
const lifetimeDays = 365;
const dayMs = 86_400_000;

const { values } = parseArgs({
  options: {
    out: { type: 'string', default: join(sourceRoot, 'dist/agent') },
    version: { type: 'string', default: sourceVersion() },
    keys: { type: 'string' },
    key: { type: 'string', multiple: true, default: [] },
    entry: { type: 'string' },
    'trial-seconds': { type: 'string', default: '300' },
    deb: { type: 'boolean', default: false },
  },
});

const platform = oneFilePlatform();
if (platform === undefined) {
  process.stderr.write('error: the one-file agent is built on Linux, with the Node that `npm ci` brings there\n');
  process.exit(1);
}
const directory = resolve(values.out);
const { keys, signers } = signing();
const program = join(directory, fileName);
mkdirSync(directory, { recursive: true });
rmSync(program, { force: true });
await buildOneFile(directory, {
  version: values.version,
  keys,
  entry: values.entry,
  trialSeconds: Number(values['trial-seconds']),
});
const text = textOf(readFileSync(program));
await signDirectory(directory, text, signers, noteFile);
writeFileSync(join(directory, 'artifact-keys'), keys);
if (values.deb) {
  const { name, bytes } = debOf(directory, platform, values.version);
  writeFileSync(join(directory, name), bytes);
}
process.stdout.write(`${program}: ${statSync(program).size} bytes\n${text}`);

function signing(): Pick<Signing, 'keys' | 'signers'> {
  if (values.keys === undefined) return developmentSigner(join(sourceRoot, '.cache/agent-keys/key.pem'));
  const keys = readFileSync(values.keys, 'utf8');
  return { keys, signers: values.key.flatMap((path) => named(fileSigner(path), parseKeys(keys))) };
}

/** Of the one file alone, whatever else lies beside it. */
function textOf(bytes: Uint8Array): string {
  return formatManifest({
    ...artifact,
    version: parseVersion(values.version),
    platform: platform as string,
    notAfter: Math.floor(Date.now() / dayMs + lifetimeDays) * dayMs,
    files: [{ path: fileName, size: bytes.length, sha256: sha256Hex(bytes) }],
  });
}
