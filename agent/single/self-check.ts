/**
 * The startup gate of the one file: it measures itself against the signed manifest beside it, before it opens anything
 * else. A program can't vouch for the very code that looks, so this finds damage and carelessness; against an attacker,
 * the launcher verifies what is in a slot before it runs.
 */
import { createHash } from 'node:crypto';
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { refuse } from '../../gate/refusal.ts';
import { ArtifactError } from '../../lib/artifacts/errors.ts';
import { verifyManifest } from '../../lib/artifacts/verify.ts';
import { agentFile } from '../updater/installed.ts';
import { artifact } from '../updater/layout.ts';
import type { Embedded } from './embedded.ts';

/** Exits with 78 and a coded line unless the file is what was signed. */
export function checkSelf({ keys, platform, version }: Embedded, executable: string): void {
  try {
    const note = attempt(() => readFileSync(`${executable}.manifest`));
    // A manifest's last day ends installing it, not running it.
    const manifest = verifyManifest(note, keys, { ...artifact, platform }, 0);
    const { size, sha256 } = agentFile(manifest);
    if (manifest.version !== version) {
      throw new ArtifactError('wrong_artifact', `the manifest is that of ${manifest.version}, and this is ${version}`);
    }
    // The file that runs, whatever its name means by now.
    const running = process.platform === 'linux' ? '/proc/self/exe' : executable;
    const found = measure(running);
    if (found.size !== size || found.sha256 !== sha256) {
      throw new ArtifactError('file_altered', `${executable} is not the file that was signed`);
    }
  } catch (error) {
    refuse(error);
  }
}

function measure(path: string): { readonly size: number; readonly sha256: string } {
  const fd = openSync(path, 'r');
  try {
    const hash = createHash('sha256');
    const buffer = Buffer.allocUnsafe(1024 * 1024);
    let size = 0;
    for (let length = readSync(fd, buffer); length > 0; length = readSync(fd, buffer)) {
      hash.update(buffer.subarray(0, length));
      size += length;
    }
    return { size, sha256: hash.digest('hex') };
  } finally {
    closeSync(fd);
  }
}

function attempt(read: () => Uint8Array): Uint8Array | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
