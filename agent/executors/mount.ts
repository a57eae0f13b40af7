/**
 * `mount`: a file system at this path, in fstab(5) for every boot, and mounted now. The directory must exist.
 *
 * `mounted` is both; `fstab` only the entry; `unmounted` the entry, but not mounted now; `absent` neither. A mount that
 * lost one of the flags asked for (as `ro` or `noexec`) is remounted with them.
 */
import { z } from 'zod';
import { asBytes, readText, writeText } from '../edit/text-file.ts';
import type { Difference, Executor } from '../executor.ts';
import { HostError, type HostView } from '../host.ts';
import { mustRun } from '../platform/command.ts';
import { editFstab, type FstabEntry, type LiveMount, missingFlags, parseMountinfo } from '../platform/mounts.ts';
import { absolutePath, hasControlCharacters } from './fields.ts';

const fstab = '/etc/fstab';
const live = '/proc/self/mountinfo';

const word = z
  .string()
  .min(1)
  .max(1024)
  .refine((text) => !hasControlCharacters(text) && !text.startsWith('-') && !text.startsWith('#'), 'must be one word');

const schema = z
  .strictObject({
    path: absolutePath,
    state: z.enum(['mounted', 'fstab', 'unmounted', 'absent']).default('mounted'),
    /** A device, `UUID=…`, `LABEL=…`, a directory to bind, or what a network file system calls its own. */
    source: word.optional(),
    /** The type of the file system: "ext4", "tmpfs", "nfs"; "none" for a bind mount. */
    fstype: z
      .string()
      .regex(/^[a-z0-9][a-z0-9._,-]{0,63}$/, 'must be the type of a file system')
      .optional(),
    options: z
      .string()
      .max(2000)
      .regex(/^[^\s#][^\s]*$/, 'must be a list without spaces, such as "noexec,nosuid"')
      .default('defaults'),
    /** As in fstab(5). */
    dump: z.int().min(0).max(1).default(0),
    pass: z.int().min(0).max(2).default(0),
  })
  .refine((desired) => desired.state === 'absent' || (desired.source !== undefined && desired.fstype !== undefined), {
    message: 'source and fstype are required, unless the state is "absent"',
    path: ['source'],
  });

export type Mount = z.output<typeof schema>;
export type MountDifference = Difference & {
  readonly reasons: readonly string[];
  readonly isFstabWrong: boolean;
  readonly action: 'mount' | 'remount' | 'unmount' | undefined;
};

export const mount: Executor<Mount, MountDifference> = {
  name: 'mount',
  schema,
  id: (desired) => desired.path,
  paths: (desired) => [desired.path],
  keeps: [fstab],

  async check(desired, host) {
    const text = (await readText({ path: fstab }, host)) ?? '';
    const isFstabWrong = edited(text, desired) !== text;
    const mounted = (await host.parsed({ path: live }, parseMountinfo)).get(desired.path);
    const action = actionOf(desired, mounted);
    if (action === 'mount') {
      await requireDirectory(desired, host);
    }
    const reasons = [
      ...(isFstabWrong ? ['another entry in fstab'] : []),
      ...(action === 'mount' ? ['it is not mounted'] : []),
      ...(action === 'remount' ? ['it is mounted otherwise'] : []),
      ...(action === 'unmount' ? ['it is mounted'] : []),
    ];
    if (reasons.length === 0) {
      return undefined;
    }
    const isNew = mounted === undefined && edited(text, { ...desired, state: 'absent' }) === text;
    const change = desired.state === 'absent' ? 'removed' : isNew ? 'created' : 'updated';
    return { change, reasons, isFstabWrong, action };
  },

  async apply(found, desired, host, { signal }) {
    if (found.isFstabWrong) {
      await writeText({ path: fstab }, edited((await readText({ path: fstab }, host)) ?? '', desired), host);
    }
    switch (found.action) {
      case undefined:
        return;
      case 'mount':
        // By its path alone: source, type and options are those of fstab.
        return void (await mustRun(host, signal, { argv: ['mount', desired.path] }));
      case 'remount': {
        const bind = /(?:^|,)r?bind(?:,|$)/.test(desired.options) ? ',bind' : '';
        return void (await mustRun(host, signal, {
          argv: ['mount', '-o', `remount${bind},${desired.options}`, desired.path],
        }));
      }
      case 'unmount':
        return void (await mustRun(host, signal, { argv: ['umount', desired.path] }));
      default:
        found.action satisfies never;
    }
  },

  describe: (found) => found.reasons.join(', '),
};

function edited(text: string, desired: Mount): string {
  const { path, state, source, fstype: type, options, dump, pass } = desired;
  const entry: FstabEntry | undefined =
    state === 'absent' || source === undefined || type === undefined
      ? undefined
      : { source: asBytes(source), path: asBytes(path), type, options, dump, pass };
  return editFstab(text, asBytes(path), entry);
}

function actionOf(desired: Mount, mounted: LiveMount | undefined): MountDifference['action'] {
  switch (desired.state) {
    case 'mounted':
      if (mounted === undefined) {
        return 'mount';
      }
      return missingFlags(desired.options, mounted).length > 0 ? 'remount' : undefined;
    case 'fstab':
      return undefined;
    case 'unmounted':
    case 'absent':
      return mounted === undefined ? undefined : 'unmount';
    default:
      return desired.state satisfies never;
  }
}

async function requireDirectory(desired: Mount, host: HostView): Promise<void> {
  const status = await host.inspect({ path: desired.path });
  if (status === undefined) {
    throw new HostError('not_found', `the directory ${JSON.stringify(desired.path)} does not exist`);
  }
  if (status.kind === 'symlink') {
    throw new HostError('wrong_kind', `${JSON.stringify(desired.path)} is a symlink: name its target instead`);
  }
}
