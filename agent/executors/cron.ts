/**
 * `cron`: a job of cron(8), as a file of its own in /etc/cron.d, or none at all. The file is the agent's: what somebody
 * adds to it goes.
 */
import { z } from 'zod';
import { asBytes, readText } from '../edit/text-file.ts';
import type { Difference, Executor } from '../executor.ts';
import { accountName, oneLine, ownershipDrift, state } from './fields.ts';

const fileMode = 0o644;

/** crontab(5): five fields of numbers, names, ranges, steps and lists, or one of the words. */
const schedule =
  /^(?:@(?:reboot|yearly|annually|monthly|weekly|daily|midnight|hourly)|[0-9*,/-]+ [0-9*,/-]+ [0-9*,/-]+ [0-9A-Za-z*,/-]+ [0-9A-Za-z*,/-]+)$/;

const schema = z
  .strictObject({
    /** Names the file: cron(8) takes only letters, digits, `_` and `-`. */
    name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/, 'must be letters, digits, "_" and "-"'),
    state,
    schedule: z.string().regex(schedule, 'must be five fields as in crontab(5), or a word such as "@daily"').optional(),
    /** One line for /bin/sh. A `%` is only that: it is escaped for cron. */
    command: oneLine.min(1).optional(),
    /** Whose job it is. */
    user: accountName.default('root'),
    /** Set before the job, such as MAILTO or PATH. */
    environment: z.record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,63}$/), oneLine).optional(),
  })
  .refine(
    (desired) => desired.state === 'absent' || (desired.schedule !== undefined && desired.command !== undefined),
    { message: 'schedule and command are required, unless the state is "absent"', path: ['command'] },
  );

export type Cron = z.output<typeof schema>;
export type CronDifference = Difference & { readonly reasons: readonly string[] };

export const cron: Executor<Cron, CronDifference> = {
  name: 'cron',
  schema,
  id: (desired) => desired.name,
  paths: (desired) => [pathOf(desired)],

  async check(desired, host) {
    const place = { path: pathOf(desired) };
    const status = await host.inspect(place);
    if (desired.state === 'absent') {
      return status === undefined ? undefined : { change: 'removed', reasons: ['there is one'] };
    }
    await host.userId(desired.user);
    if (status === undefined) {
      return { change: 'created', reasons: ['there is none'] };
    }
    if (status.kind === 'symlink') {
      return { change: 'updated', reasons: ['a symlink instead of a file'] };
    }
    const reasons = ownershipDrift(status, { mode: fileMode, ...host.self });
    if ((await readText(place, host)) !== asBytes(format(desired))) {
      reasons.push('another job');
    }
    return reasons.length === 0 ? undefined : { change: 'updated', reasons };
  },

  async apply(_found, desired, host) {
    const place = { path: pathOf(desired) };
    if (desired.state === 'absent') {
      await host.removeFile(place);
      return;
    }
    await host.writeFile(place, Buffer.from(format(desired)), { mode: fileMode, ...host.self });
  },

  describe: (found) => found.reasons.join(', '),
};

function pathOf(desired: Cron): string {
  return `/etc/cron.d/${desired.name}`;
}

/** crontab(5): an unescaped `%` would end the command and begin its standard input. */
export function format(desired: Cron): string {
  const environment = Object.entries(desired.environment ?? {})
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([name, value]) => `${name}="${value}"\n`);
  const command = (desired.command ?? '').replaceAll('%', '\\%');
  const header = '# Kept by Holdfast: changes by hand are undone.\n';
  return `${header}${environment.join('')}${desired.schedule} ${desired.user} ${command}\n`;
}
