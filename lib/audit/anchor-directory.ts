/**
 * An anchor in a directory that belongs to somebody else: another user, another machine's mount, write-once media.
 * Notes are only ever added, by `link`, which never replaces; where the directory is append-only (`chattr +a`), or
 * sticky and owned by another user, the server can't take one back either.
 */
import { constants } from 'node:fs';
import { link, mkdir, open, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Anchor, anchorKey, isSameCheckpoint } from './anchor.ts';
import { maxCheckpointBytes } from './checkpoint.ts';
import { AuditError } from './port.ts';

const namePattern = /^[0-9]{16}\.checkpoint$/;

export async function openAnchorDirectory(directory: string): Promise<Anchor> {
  await mkdir(directory, { recursive: true, mode: 0o755 });
  let serial = 0;

  async function keep(note: string): Promise<void> {
    const path = join(directory, `${anchorKey(note)}.checkpoint`);
    if (await isKept(path, note)) return;
    serial += 1;
    const temporary = join(directory, `.new-${process.pid}-${serial}`);
    await rm(temporary, { force: true });
    try {
      const file = await open(temporary, 'wx', 0o444);
      try {
        await file.writeFile(note);
        await file.sync();
      } finally {
        await file.close();
      }
      await link(temporary, path).catch(async (cause: NodeJS.ErrnoException) => {
        if (cause.code !== 'EEXIST') throw cause;
        await isKept(path, note);
      });
    } catch (cause) {
      if (cause instanceof AuditError) throw cause;
      throw new AuditError('unavailable', `the anchor ${directory} can’t be written to`, { cause });
    } finally {
      // Stays where the directory takes nothing back; it is no anchor by its name.
      await rm(temporary, { force: true }).catch(() => undefined);
    }
    const folder = await open(directory, constants.O_RDONLY);
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  }

  async function isKept(path: string, note: string): Promise<boolean> {
    const held = await readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
      if (cause.code === 'ENOENT') return undefined;
      throw new AuditError('unavailable', `the anchor ${path} can’t be read`, { cause });
    });
    if (held === undefined) return false;
    if (isSameCheckpoint(held, note)) return true;
    throw new AuditError('corrupt', `${path} is anchored already, with another root`);
  }

  return { name: directory, keep, list: () => listAnchors(directory) };
}

/** The checkpoints that a directory keeps: an anchor, or any folder of notes that are named `<size>.checkpoint`. */
export async function* listAnchors(directory: string): AsyncGenerator<string> {
  const names = (await readdir(directory)).filter((name) => namePattern.test(name)).sort();
  for (const name of names) {
    const bytes = await readFile(join(directory, name));
    if (bytes.length > maxCheckpointBytes) throw new AuditError('malformed', `${name} is longer than any checkpoint`);
    yield bytes.toString('utf8');
  }
}
