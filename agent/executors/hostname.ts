/** `hostname`: the machine's own name, both now and after the next boot. There is one on each machine. */
import { z } from 'zod';
import { readText, writeText } from '../edit/text-file.ts';
import type { Difference, Executor } from '../executor.ts';
import type { HostView } from '../host.ts';
import { mustProbe, mustRun } from '../platform/command.ts';

/** RFC 1123, section 2.1; 64 is what Linux holds: gethostname(2). */
const label = '[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?';
const hostName = new RegExp(`^${label}(?:\\.${label})*$`);

const kept = '/etc/hostname';

const schema = z.strictObject({
  name: z.string().max(64).regex(hostName, 'must be a host name, such as "web-1"'),
});

export type Hostname = z.output<typeof schema>;
export type HostnameDifference = Difference & { readonly reasons: readonly string[] };

export const hostname: Executor<Hostname, HostnameDifference> = {
  name: 'hostname',
  schema,
  // One on each machine, whatever it is to be: two resources can't want different names.
  id: () => 'hostname',
  paths: () => [],
  keeps: [kept],

  async check(desired, host, { signal }) {
    const live = await liveName(host, signal);
    const stored = host.platform === 'darwin' ? live : (await readText({ path: kept }, host))?.trim();
    const reasons = [
      ...(live === desired.name ? [] : [`it is ${JSON.stringify(live)}`]),
      ...(stored === desired.name ? [] : ['another name is kept for the next boot']),
    ];
    return reasons.length === 0 ? undefined : { change: 'updated', reasons };
  },

  async apply(_found, desired, host, { signal }) {
    if (host.platform === 'darwin') {
      await mustRun(host, signal, { argv: ['scutil', '--set', 'HostName', desired.name] });
      return;
    }
    await writeText({ path: kept }, `${desired.name}\n`, host);
    await mustRun(host, signal, { argv: ['hostname', desired.name] });
  },

  describe: (found) => found.reasons.join(', '),
};

async function liveName(host: HostView, signal: AbortSignal): Promise<string> {
  const text =
    host.platform === 'darwin'
      ? (await host.probe({ argv: ['scutil', '--get', 'HostName'], signal })).stdout
      : ((await readText({ path: '/proc/sys/kernel/hostname' }, host)) ??
        (await mustProbe(host, signal, { argv: ['hostname'] })));
  return text.trim();
}
