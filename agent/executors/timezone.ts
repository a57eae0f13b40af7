/**
 * `timezone`: the machine's time zone, by its name in the tz database. The shortest complete type: a schema, a check
 * that only looks, an apply that removes what the check found. Copy it for a new one.
 */
import { z } from 'zod';
import { readText, writeText } from '../edit/text-file.ts';
import type { Difference, Executor } from '../executor.ts';
import { HostError, type HostView } from '../host.ts';

const link = '/etc/localtime';
/** What Debian's tools go by, where it is there at all. */
const named = '/etc/timezone';

const schema = z.strictObject({
  /** As in the tz database: "Europe/Berlin", "UTC". */
  name: z
    .string()
    .max(100)
    .regex(/^[A-Za-z0-9_+-]+(?:\/[A-Za-z0-9_+-]+){0,2}$/, 'must be a name of the tz database, such as "Europe/Berlin"'),
});

export type Timezone = z.output<typeof schema>;
export type TimezoneDifference = Difference & { readonly reason: string };

export const timezone: Executor<Timezone, TimezoneDifference> = {
  name: 'timezone',
  schema,
  // There is one on each machine.
  id: () => 'timezone',
  paths: () => [],
  keeps: [link],

  async check(desired, host) {
    const zone = zoneOf(desired, host);
    if ((await host.inspect({ path: zone })) === undefined) {
      throw new HostError('not_found', `there is no ${JSON.stringify(zone)}: install the package "tzdata"`);
    }
    const current = await host.inspect({ path: link });
    const text = await readText({ path: named }, host);
    // systemd makes the link relative; it leads to the same place.
    const isLinked = current?.kind === 'symlink' && current.target?.replace(/^\.\.\//, '/') === zone;
    if (isLinked && (text === undefined || text.trim() === desired.name)) {
      return undefined;
    }
    return { change: current === undefined ? 'created' : 'updated', reason: 'another time zone' };
  },

  async apply(_found, desired, host) {
    await host.writeSymlink({ path: link }, zoneOf(desired, host));
    if ((await host.inspect({ path: named })) !== undefined) {
      await writeText({ path: named }, `${desired.name}\n`, host);
    }
  },

  describe: (found) => found.reason,
};

function zoneOf(desired: Timezone, host: HostView): string {
  return `${host.platform === 'darwin' ? '/var/db/timezone/zoneinfo' : '/usr/share/zoneinfo'}/${desired.name}`;
}
