/** Services of macOS: launchd's system domain, by launchctl(1). */
import { HostError } from '../host.ts';
import { mustRun } from './command.ts';
import type { ServiceManager } from './service-manager.ts';

export const launchd: ServiceManager = {
  tool: 'launchd',
  async status(host, name, signal) {
    const printed = await host.probe({ argv: ['launchctl', 'print', `system/${name}`], signal });
    const isLoaded = printed.exitCode === 0;
    const disabled = await host.probe({ argv: ['launchctl', 'print-disabled', 'system'], signal });
    return {
      exists: isLoaded || (await host.inspect({ path: plistOf(name) })) !== undefined,
      isRunning: isLoaded && /^\s*state = running$/m.test(printed.stdout),
      isEnabled: !isDisabled(disabled.stdout, name),
      isMasked: false,
      isStale: false,
    };
  },
  async act(host, name, action, signal) {
    const target = `system/${name}`;
    switch (action) {
      case 'start':
        if ((await host.probe({ argv: ['launchctl', 'print', target], signal })).exitCode !== 0) {
          await mustRun(host, signal, { argv: ['launchctl', 'bootstrap', 'system', plistOf(name)] });
        }
        return void (await mustRun(host, signal, { argv: ['launchctl', 'kickstart', target] }));
      case 'stop':
        return void (await mustRun(host, signal, { argv: ['launchctl', 'bootout', target] }));
      case 'restart':
      case 'reload':
        return void (await mustRun(host, signal, { argv: ['launchctl', 'kickstart', '-k', target] }));
      case 'enable':
      case 'disable':
        return void (await mustRun(host, signal, { argv: ['launchctl', action, target] }));
      case 'mask':
      case 'unmask':
      case 'load':
        throw new HostError('system', `launchd has no way to ${action} a service`);
      default:
        action satisfies never;
    }
  },
};

function plistOf(name: string): string {
  return `/Library/LaunchDaemons/${name}.plist`;
}

/** Newer releases print `"name" => disabled`, older ones `"name" => true`. */
function isDisabled(printed: string, name: string): boolean {
  return printed
    .split('\n')
    .map((line) => line.trim())
    .some((line) => line === `"${name}" => disabled` || line === `"${name}" => true`);
}
