/** Services by their scripts: OpenRC, and SysV init with Debian's update-rc.d. */
import { HostError, type HostView } from '../host.ts';
import { mustRun } from './command.ts';
import type { ServiceAction, ServiceManager, ServiceStatus } from './service-manager.ts';

/** LSB 3.2, Init Script Actions: 0 is running; 1 and 2 dead with left-overs, 3 not running, 4 unknown. */
const runningExit = 0;

export const openrc: ServiceManager = {
  tool: 'openrc',
  async status(host, name, signal) {
    if (!(await hasScript(host, name))) {
      return absent;
    }
    const { exitCode } = await host.probe({ argv: ['rc-service', name, 'status'], signal });
    const link = await host.inspect({ path: `/etc/runlevels/default/${name}` });
    return { ...absent, exists: true, isRunning: exitCode === runningExit, isEnabled: link !== undefined };
  },
  async act(host, name, action, signal) {
    switch (action) {
      case 'start':
      case 'stop':
      case 'restart':
      case 'reload':
        return void (await mustRun(host, signal, { argv: ['rc-service', name, action] }));
      case 'enable':
        return void (await mustRun(host, signal, { argv: ['rc-update', 'add', name, 'default'] }));
      case 'disable':
        return void (await mustRun(host, signal, { argv: ['rc-update', 'del', name, 'default'] }));
      case 'mask':
      case 'unmask':
      case 'load':
        throw noSuchAction('OpenRC', action);
      default:
        action satisfies never;
    }
  },
};

export const sysv: ServiceManager = {
  tool: 'sysv',
  async status(host, name, signal) {
    if (!(await hasScript(host, name))) {
      return absent;
    }
    const { exitCode } = await host.probe({ argv: ['service', name, 'status'], signal });
    return { ...absent, exists: true, isRunning: exitCode === runningExit, isEnabled: await isLinked(host, name) };
  },
  async act(host, name, action, signal) {
    switch (action) {
      case 'start':
      case 'stop':
      case 'restart':
      case 'reload':
        return void (await mustRun(host, signal, { argv: ['service', name, action] }));
      case 'enable':
        // Without `defaults`, `enable` does nothing for a script that was never installed: update-rc.d(8).
        await mustRun(host, signal, { argv: ['update-rc.d', name, 'defaults'] });
        return void (await mustRun(host, signal, { argv: ['update-rc.d', name, 'enable'] }));
      case 'disable':
        return void (await mustRun(host, signal, { argv: ['update-rc.d', name, 'disable'] }));
      case 'mask':
      case 'unmask':
      case 'load':
        throw noSuchAction('SysV init', action);
      default:
        action satisfies never;
    }
  },
};

const absent: ServiceStatus = { exists: false, isRunning: false, isEnabled: false, isMasked: false, isStale: false };

async function hasScript(host: HostView, name: string): Promise<boolean> {
  return (await host.inspect({ path: `/etc/init.d/${name}` })) !== undefined;
}

/** Started in runlevel 2, 3, 4 or 5: the links `S??name` of Debian's multi-user runlevels. */
async function isLinked(host: HostView, name: string): Promise<boolean> {
  for (const level of ['2', '3', '4', '5']) {
    const links = (await host.list({ path: `/etc/rc${level}.d` })) ?? [];
    if (links.some((link) => /^S[0-9][0-9]/.test(link) && link.slice(3) === name)) {
      return true;
    }
  }
  return false;
}

function noSuchAction(manager: string, action: ServiceAction): HostError {
  return new HostError('system', `${manager} has no way to ${action} a service`);
}
