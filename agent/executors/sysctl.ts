/**
 * `sysctl`: a kernel parameter with this value, both now and after the next boot: a file of its own in /etc/sysctl.d
 * and the live value in /proc/sys. `absent` takes the file away; the live value then stays until the next boot.
 */
import { z } from 'zod';
import { readText } from '../edit/text-file.ts';
import type { Difference, Executor } from '../executor.ts';
import { HostError, type HostView } from '../host.ts';
import { mustRun } from '../platform/command.ts';
import { oneLine, ownershipDrift, state } from './fields.ts';

const fileMode = 0o644;

const schema = z
  .strictObject({
    /** With dots, or with slashes where a part has a dot of its own: `net/ipv4/conf/eth0.100/forwarding`. */
    key: z
      .string()
      .max(200)
      .regex(/^[a-z0-9_][A-Za-z0-9_:-]*(?:[./][A-Za-z0-9_:-]+)+$/, 'must be the name of a kernel parameter'),
    state,
    value: z.union([oneLine.min(1), z.int()]).optional(),
    /** Whether the live value counts too. */
    live: z.boolean().default(true),
  })
  .refine((desired) => desired.state === 'absent' || desired.value !== undefined, {
    message: 'is required, unless the state is "absent"',
    path: ['value'],
  });

export type Sysctl = z.output<typeof schema>;
export type SysctlDifference = Difference & {
  readonly reasons: readonly string[];
  readonly isFileWrong: boolean;
  readonly isLiveWrong: boolean;
};

export const sysctl: Executor<Sysctl, SysctlDifference> = {
  name: 'sysctl',
  schema,
  id: (desired) => partsOf(desired).join('/'),
  paths: (desired) => [fileOf(desired)],

  async check(desired, host) {
    const place = { path: fileOf(desired) };
    const status = await host.inspect(place);
    if (desired.state === 'absent') {
      const found = { reasons: ['it is set'], isFileWrong: true, isLiveWrong: false };
      return status === undefined ? undefined : { change: 'removed', ...found };
    }
    const live = desired.live ? await liveValue(desired, host) : undefined;
    const isLiveWrong = live !== undefined && live !== normal(String(desired.value));
    const isFileWrong =
      status?.kind !== 'file' ||
      ownershipDrift(status, { mode: fileMode, ...host.self }).length > 0 ||
      (await readText(place, host)) !== format(desired);
    const reasons = [
      ...(isLiveWrong ? [`the live value is ${live}`] : []),
      ...(isFileWrong ? ['it is not set for the next boot'] : []),
    ];
    if (reasons.length === 0) {
      return undefined;
    }
    return { change: status === undefined ? 'created' : 'updated', reasons, isFileWrong, isLiveWrong };
  },

  async apply(found, desired, host, { signal }) {
    const place = { path: fileOf(desired) };
    if (desired.state === 'absent') {
      await host.removeFile(place);
      return;
    }
    if (found.isLiveWrong) {
      // Live first: a value that the kernel refuses is not kept for the next boot.
      await mustRun(host, signal, { argv: ['sysctl', '-q', '-w', `${partsOf(desired).join('/')}=${desired.value}`] });
    }
    if (found.isFileWrong) {
      await host.writeFile(place, Buffer.from(format(desired)), { mode: fileMode, ...host.self });
    }
  },

  describe: (found) => found.reasons.join(', '),
};

/** sysctl(8): the first separator of a key decides which one it uses; the other is part of a name. */
function partsOf(desired: Sysctl): readonly string[] {
  return /^[^./]+\//.test(desired.key) ? desired.key.split('/') : desired.key.split('.');
}

/** Late in the order of sysctl.d(5), so that it wins over what packages bring. */
function fileOf(desired: Sysctl): string {
  return `/etc/sysctl.d/90-holdfast-${partsOf(desired).join('-').replaceAll('.', '_')}.conf`;
}

function format(desired: Sysctl): string {
  return `# Kept by Holdfast: changes by hand are undone.\n${partsOf(desired).join('/')} = ${desired.value}\n`;
}

async function liveValue(desired: Sysctl, host: HostView): Promise<string> {
  const path = `/proc/sys/${partsOf(desired).join('/')}`;
  const text = await readText({ path }, host);
  if (text === undefined) {
    throw new HostError('not_found', `this kernel has no parameter ${JSON.stringify(desired.key)}`);
  }
  return normal(text);
}

/** The kernel prints several numbers with tabs between. */
function normal(value: string): string {
  return value.trim().split(/\s+/).join(' ');
}
