/** Giving the process over: the same process id goes on as another build, so a service manager notices nothing. */
import { createHash } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { verifyManifest } from '../../lib/artifacts/verify.ts';
import { agentFile, type Installation } from '../updater/installed.ts';
import { artifact, type BuildPlace, type Slot } from '../updater/layout.ts';

/** The launcher, or whatever is installed as it: the file is the package manager's, and is not judged here. */
export function becomeLauncher({ layout }: Installation, args: readonly string[]): never {
  return replace(layout.program('own'), args);
}

/** A build in a slot. On Linux what runs is the very file that was verified, whatever its name points at by then. */
export async function becomeBuild(installation: Installation, slot: Slot, args: readonly string[]): Promise<never> {
  const { layout, keys, platform } = installation;
  const note = await readFile(layout.manifest(slot));
  const { sha256 } = agentFile(verifyManifest(note, keys, { ...artifact, platform }, 0));
  const path = layout.program(slot);
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  if (!fstatSync(fd).isFile() || hashOf(fd) !== sha256) {
    closeSync(fd);
    throw new TypeError(`the build in slot ${slot} changed after it was verified`);
  }
  return replace(process.platform === 'linux' ? `/proc/self/fd/${fd}` : path, args);
}

export function isBuild(place: BuildPlace | 'stopped'): place is Slot {
  return place === 'a' || place === 'b';
}

function replace(path: string, args: readonly string[]): never {
  if (process.execve === undefined) throw new TypeError('this platform has no execve');
  return process.execve(path, ['holdfast-agent', ...args], process.env);
}

function hashOf(fd: number): string {
  const hash = createHash('sha256');
  const buffer = Buffer.allocUnsafe(1024 * 1024);
  for (let length = readSync(fd, buffer); length > 0; length = readSync(fd, buffer)) {
    hash.update(buffer.subarray(0, length));
  }
  return hash.digest('hex');
}
