/**
 * The lock on the state directory: two runs never overlap. The file names its holder by process id and start time, so
 * that a holder that was killed, even if its id is used again, doesn't keep the lock.
 */
import { createHash, randomBytes } from 'node:crypto';
import { link, lstat, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { AgentError, fromStateWrite, systemCode } from './errors.ts';

const fileName = 'lock';
const maxAttempts = 5;

export type Lock = { release(): Promise<void> };

/** Takes the lock of a state directory, or throws `busy` or `state_unwritable`. */
export async function takeLock(directory: string): Promise<Lock> {
  const path = join(directory, fileName);
  const own = `${process.pid} ${(await startTime(process.pid)) ?? 'unknown'} ${randomBytes(8).toString('hex')}\n`;
  const draft = `${path}.${process.pid}.${randomBytes(4).toString('hex')}`;
  try {
    await writeFile(draft, own, { mode: 0o600, flag: 'wx' });
    for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
      try {
        // A link, so that the lock has its content from the first moment.
        await link(draft, path);
        return { release: () => releaseIfOwn(path, own) };
      } catch (error) {
        if (systemCode(error) !== 'EEXIST') {
          throw error;
        }
      }
      await removeIfStale(path);
    }
  } catch (error) {
    throw fromStateWrite(error, directory);
  } finally {
    await rm(draft, { force: true }).catch(() => undefined); // Where it could not be made it can't be removed either.
  }
  throw busy(undefined);
}

/** Runs `work` under the lock. */
export async function withLock<T>(directory: string, work: () => Promise<T>): Promise<T> {
  const lock = await takeLock(directory);
  try {
    return await work();
  } finally {
    await lock.release();
  }
}

async function removeIfStale(path: string): Promise<void> {
  const content = await readFile(path, 'utf8').catch(() => undefined);
  if (content === undefined) {
    return;
  }
  const [pid, started] = content.trim().split(' ');
  if (await isHeld(Number(pid), started)) {
    throw busy(Number(pid));
  }
  await removeStale(path, content);
}

/**
 * Of those that found the same stale lock one alone removes it: who made the one hard link whose name comes from its
 * content. Whoever else wants to is sent back to look again, so a lock taken meanwhile is never touched.
 */
async function removeStale(path: string, content: string): Promise<void> {
  const claim = `${path}.stale.${createHash('sha256').update(content).digest('hex').slice(0, 16)}`;
  try {
    await link(path, claim);
  } catch (error) {
    if (systemCode(error) === 'EEXIST') await forgetAbandoned(claim);
    else if (systemCode(error) !== 'ENOENT') throw error;
    return;
  }
  try {
    // Only under this claim may the stale lock go: what is linked, if it is the stale one, is what stands there.
    if ((await readFile(claim, 'utf8')) === content) await rm(path, { force: true });
  } finally {
    await rm(claim, { force: true });
  }
}

const claimLifeMs = 10_000;

/** A claim lasts for two system calls; one that is old belongs to a process that was killed between them. */
async function forgetAbandoned(claim: string): Promise<void> {
  const status = await lstat(claim).catch(() => undefined);
  // Making a link changes the time of the inode.
  if (status !== undefined && Date.now() - status.ctimeMs > claimLifeMs) await rm(claim, { force: true });
  else await setImmediate();
}

async function isHeld(pid: number, started: string | undefined): Promise<boolean> {
  if (!Number.isSafeInteger(pid) || pid < 1) {
    return false;
  }
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (systemCode(error) === 'ESRCH') {
      return false;
    }
  }
  const now = await startTime(pid);
  return now === undefined || started === 'unknown' || now === started;
}

/** When a process started, in clock ticks since boot: field 22 of proc(5) `stat`. Undefined where there is no /proc. */
async function startTime(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  // The second field is the program's name in parentheses, and may itself hold spaces and parentheses.
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
}

async function releaseIfOwn(path: string, own: string): Promise<void> {
  if ((await readFile(path, 'utf8').catch(() => undefined)) === own) {
    await rm(path, { force: true });
  }
}

function busy(pid: number | undefined): AgentError {
  const who = pid === undefined ? '' : ` (process ${pid})`;
  return new AgentError('busy', `another run is under way on this machine${who}`, {
    hint: 'wait until it is done, or stop the agent first',
  });
}
