/**
 * The contents that a crate brings along: files below its own `files/` folder, and nowhere else. A path in YAML may
 * come from a pull request of a stranger, so it must not be able to publish the operator's private key.
 */
import { constants } from 'node:fs';
import { type FileHandle, lstat, open, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { maxBlobBytes } from '../store/blobs.ts';
import type { ProblemCode } from './problem.ts';

export type Contents =
  | { readonly ok: true; readonly bytes: Uint8Array }
  | { readonly ok: false; readonly code: ProblemCode; readonly message: string; readonly hint?: string };

const pathHint = 'Name a file in the files/ folder beside crate.yaml, such as "files/motd".';
/** Absent on Windows, where the check of each step of the path has to do. */
const noFollow = (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);

/** Reads `files/…` of a crate's folder. What goes wrong is returned, because the caller knows the place in the YAML. */
export async function readContents(crateFolder: string, source: string): Promise<Contents> {
  const steps = source.split('/');
  if (!isConfined(source, steps)) {
    return {
      ok: false,
      code: 'bad_path',
      message: 'not a path inside the folder files/ of this crate',
      hint: pathHint,
    };
  }
  try {
    let path = crateFolder;
    for (const [i, step] of steps.entries()) {
      path = join(path, step);
      const status = await lstat(path);
      if (status.isSymbolicLink()) {
        return {
          ok: false,
          code: 'bad_path',
          message: `${source}: a symbolic link`,
          hint: 'Put the file itself there.',
        };
      }
      if (i < steps.length - 1 && !status.isDirectory())
        throw Object.assign(new Error('not a folder'), { code: 'ENOTDIR' });
    }
    // What the steps showed must also be what the file system says as a whole (case folding, mounts, bind tricks).
    if ((await realpath(path)) !== join(await realpath(crateFolder), ...steps)) {
      return { ok: false, code: 'bad_path', message: `${source} leads out of the crate's folder`, hint: pathHint };
    }
    return await readPlainFile(path, source, maxBlobBytes);
  } catch (error) {
    return unreadable(source, error);
  }
}

/** Reads a whole regular file, never following a link at its end and never waiting on a pipe or device. */
export async function readPlainFile(path: string, shown: string, maxBytes: number): Promise<Contents> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, constants.O_RDONLY | noFollow);
    const status = await file.stat();
    if (!status.isFile()) return { ok: false, code: 'bad_path', message: `${shown} is not a regular file` };
    if (status.size > maxBytes) {
      return { ok: false, code: 'too_large', message: `${shown} has ${status.size} bytes, limit ${maxBytes}` };
    }
    const bytes = new Uint8Array(status.size);
    let filled = 0;
    while (filled < bytes.length) {
      const { bytesRead } = await file.read(bytes, filled, bytes.length - filled, filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return { ok: true, bytes: bytes.subarray(0, filled) };
  } catch (error) {
    return unreadable(shown, error);
  } finally {
    await file?.close();
  }
}

function isConfined(source: string, steps: readonly string[]): boolean {
  if (source.length > 1024 || steps.length < 2 || steps.length > 32 || steps[0] !== 'files') return false;
  // Backslash and colon lead elsewhere on Windows; control characters have no honest use.
  return steps.every((step) => step !== '' && step !== '.' && step !== '..' && /^[^\\:\p{Cc}]{1,255}$/u.test(step));
}

function unreadable(shown: string, error: unknown): Contents {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
  switch (code) {
    case 'ENOENT':
      return {
        ok: false,
        code: 'unreadable_file',
        message: `${shown} does not exist`,
        hint: 'Create it, or correct the path.',
      };
    case 'ENOTDIR':
      return { ok: false, code: 'bad_path', message: `${shown} leads through something that is not a folder` };
    case 'ELOOP':
      return {
        ok: false,
        code: 'bad_path',
        message: `${shown} is a symbolic link`,
        hint: 'Put the file itself there.',
      };
    case 'EACCES':
    case 'EPERM':
      return {
        ok: false,
        code: 'unreadable_file',
        message: `${shown}: no permission to read`,
        hint: 'Make it readable.',
      };
    default:
      return { ok: false, code: 'unreadable_file', message: `${shown} can't be read (${code})` };
  }
}
