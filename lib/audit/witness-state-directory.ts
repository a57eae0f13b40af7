/** A witness's memory in a directory: one file a log, replaced in one durable step. */
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { WitnessState } from './witness.ts';

export async function openWitnessState(directory: string): Promise<WitnessState> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const pathOf = (origin: string) => join(directory, createHash('sha256').update(origin).digest('hex'));

  return {
    async read(origin) {
      try {
        return await readFile(pathOf(origin), 'utf8');
      } catch (cause) {
        if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined;
        throw cause;
      }
    },
    async write(origin, note) {
      const path = pathOf(origin);
      const temporary = `${path}.new`;
      const file = await open(temporary, 'w', 0o600);
      try {
        await file.writeFile(note);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(temporary, path);
      const folder = await open(directory, constants.O_RDONLY);
      try {
        await folder.sync();
      } finally {
        await folder.close();
      }
    },
  };
}
