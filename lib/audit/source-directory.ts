/** A published log in a directory, to be verified: a publication, an export, or a download of either. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { AuditError } from './port.ts';
import type { LogSource } from './publication.ts';

/** A bundle of 256 entries of the longest length that its format can say. */
export const maxFileBytes = 256 * (2 + 0xffff);

export function openDirectorySource(directory: string): LogSource {
  return { read: (path) => readPublishedFile(join(directory, path)) };
}

async function readPublishedFile(path: string): Promise<Uint8Array | undefined> {
  try {
    const { size } = await stat(path);
    if (size > maxFileBytes) throw new AuditError('malformed', `${path} has ${size} bytes, more than any tile`);
    return await readFile(path);
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw cause;
  }
}
