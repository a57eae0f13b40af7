/**
 * `package`: a package that is installed, at this version if one is named, or that is not. By the machine's own
 * package manager, which brings along what the package depends on.
 *
 * Nothing else goes away: an install that would remove another package is refused (apt), and so is a removal that
 * would take others along, until they are declared absent themselves.
 */
import { z } from 'zod';
import type { Difference, Executor } from '../executor.ts';
import { type Host, HostError } from '../host.ts';
import { failure, mustProbe, mustRun } from '../platform/command.ts';
import { type PackageCommand, type PackageManager, packageManagerOf } from '../platform/packages.ts';
import { state } from './fields.ts';

const schema = z
  .strictObject({
    /** As the machine's package manager names it. */
    name: z
      .string()
      .max(200)
      .regex(/^[A-Za-z0-9@_+][A-Za-z0-9@._+:/-]*$/, 'must be the name of a package'),
    state,
    /** Exactly this one, as the package manager prints it. Any is fine when left out. */
    version: z
      .string()
      .max(200)
      .regex(/^[A-Za-z0-9][A-Za-z0-9.+:~^_-]*$/, 'must be a version')
      .optional(),
  })
  .refine((desired) => desired.state === 'present' || desired.version === undefined, {
    message: 'makes no sense when the state is "absent"',
    path: ['version'],
  });

export type Package = z.output<typeof schema>;
export type PackageDifference = Difference & { readonly reason: string; readonly isBroken: boolean };

export const packageExecutor: Executor<Package, PackageDifference> = {
  name: 'package',
  schema,
  id: (desired) => desired.name,
  paths: () => [],
  timeoutMs: 60 * 60_000,

  async check(desired, host, { signal }) {
    const manager = await packageManagerOf(host);
    if (!manager.name.test(desired.name)) {
      throw new HostError('system', `${manager.tool} would not read ${JSON.stringify(desired.name)} as a name`);
    }
    const installed = (await manager.installed(host, signal)).get(desired.name);
    const isBroken = installed?.isComplete === false;
    if (desired.state === 'absent') {
      return installed === undefined ? undefined : { change: 'removed', reason: 'it is installed', isBroken };
    }
    if (installed === undefined) {
      return { change: 'created', reason: 'it is not installed', isBroken };
    }
    if (isBroken) {
      return { change: 'updated', reason: 'its installation was cut short', isBroken };
    }
    if (desired.version !== undefined && !installed.versions.includes(desired.version)) {
      const reason = `version ${installed.versions.join(', ')} instead of ${desired.version}`;
      return { change: 'updated', reason, isBroken };
    }
    return undefined;
  },

  async apply(found, desired, host, { signal }) {
    const manager = await packageManagerOf(host);
    const as = await manager.account?.(host);
    const command = (one: PackageCommand) => (as === undefined ? one : { ...one, as });
    if (found.isBroken && manager.repair !== undefined) {
      await host.run({ ...manager.repair, signal });
    }
    if (desired.state === 'absent') {
      await refuseMore(manager, desired.name, host, signal);
      await mustRun(host, signal, command(manager.remove(desired.name)));
      return;
    }
    const install = command(manager.install(desired.name, desired.version));
    const first = await host.run({ ...install, signal });
    if (first.exitCode === 0) {
      return;
    }
    // The index may be older than the package, or not be there at all.
    const refreshed = await host.run({ ...command(manager.refresh), signal });
    if (refreshed.exitCode !== 0) {
      throw failure(install, first);
    }
    await mustRun(host, signal, install);
  },

  describe: (found) => found.reason,
};

async function refuseMore(manager: PackageManager, name: string, host: Host, signal: AbortSignal): Promise<void> {
  const simulation = manager.simulateRemoval;
  if (simulation === undefined) {
    return;
  }
  const printed = await mustProbe(host, signal, { ...simulation.command(name), maxOutputBytes: 1024 * 1024 });
  const removed = printed
    .split('\n')
    .filter((line) => line.startsWith(simulation.prefix))
    .map((line) => line.slice(simulation.prefix.length).split(' ')[0] ?? '');
  const own = name.split(':')[0];
  const others = removed.filter((one) => one.split(':')[0] !== own);
  if (others.length > 0) {
    const list = others.slice(0, 10).join(', ');
    throw new HostError('system', `removing it would also remove ${list}: declare these absent first`);
  }
}
