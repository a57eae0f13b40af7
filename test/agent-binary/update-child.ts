/**
 * One update on a real disk, by the updater and the launcher that ship: staged from files, tried, confirmed. Its parent
 * kills it at any system call. `node update-child.ts ROOT KEYS PROGRAM MANIFEST [launch]`: with `launch`, only the next
 * start. Prints where the build lies that runs, and what is told of it.
 */
import { readFileSync } from 'node:fs';
import { pino } from 'pino';
import { localDisk } from '../../agent/updater/disk.ts';
import type { Installation } from '../../agent/updater/installed.ts';
import { launch } from '../../agent/updater/launcher.ts';
import { layoutAt } from '../../agent/updater/layout.ts';
import { stageBuild } from '../../agent/updater/stage.ts';
import { readUpdateState } from '../../agent/updater/state.ts';
import { parseKeys } from '../../lib/artifacts/keys.ts';
import { parseVersion } from '../../lib/artifacts/version.ts';
import { sha256Hex } from '../../lib/crypto/digest.ts';

const [root = '', keys = '', program = '', manifest = '', only] = process.argv.slice(2);
const installation: Installation = {
  disk: localDisk,
  layout: layoutAt(root),
  keys: parseKeys(readFileSync(keys, 'utf8')),
  platform: 'linux-x64',
  version: parseVersion('1.0.0'),
};
const note = readFileSync(manifest);
const bytes = readFileSync(program);
const version = /^version (.*)$/m.exec(note.toString('utf8'))?.[1] ?? '';
if (only !== 'launch') {
  const half = Math.ceil(bytes.length / 2);
  const parts = new Map([bytes.subarray(0, half), bytes.subarray(half)].map((part) => [sha256Hex(part), part]));
  const source = {
    describe: async () => ({ manifest: note, parts: [...parts.keys()] }),
    part: async (digest: string) => parts.get(digest) ?? new Uint8Array(),
  };
  await stageBuild(installation, { rollout: 1, version, sha256: sha256Hex(bytes) }, source, Date.now());
}
const runs = await launch(installation, { tryBuild: async () => 'healthy' }, pino({ level: 'silent' }));
const outcome = (await readUpdateState(localDisk, installation.layout))?.outcome;
process.stdout.write(`${JSON.stringify({ runs, outcome: outcome?.version })}\n`);
