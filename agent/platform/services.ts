/** Service managers behind one port: what a service is doing, and the commands that change it. */
import { HostError, type HostView } from '../host.ts';
import { mustProbe, mustRun } from './command.ts';
import { type ServiceTool, serviceToolOf } from './detect.ts';
import { openrc, sysv } from './init-scripts.ts';
import { launchd } from './launchd.ts';
import type { ServiceAction, ServiceManager } from './service-manager.ts';

const systemd: ServiceManager = {
  tool: 'systemd',
  async status(host, name, signal) {
    const unit = unitOf(name);
    const printed = await mustProbe(host, signal, {
      argv: ['systemctl', 'show', '--no-pager', `--property=${properties.join(',')}`, '--', unit],
    });
    const shown = parseProperties(printed);
    const fileState = shown.get('UnitFileState') ?? '';
    const isOneshot = shown.get('Type') === 'oneshot' && shown.get('RemainAfterExit') !== 'yes';
    return {
      exists: shown.get('LoadState') !== 'not-found',
      isRunning: ['active', 'reloading'].includes(shown.get('ActiveState') ?? ''),
      // A SysV script behind systemd is "generated"; whether it is enabled is asked of its own tool.
      isEnabled: fileState === 'generated' ? await isEnabledScript(host, unit, signal) : enabledStates.has(fileState),
      isMasked: fileState === 'masked' || fileState === 'masked-runtime' || shown.get('LoadState') === 'masked',
      isStale: shown.get('NeedDaemonReload') === 'yes',
      ...(fileState === 'static' ? { cannotEnable: 'its unit has no [Install] section' } : {}),
      ...(isOneshot ? { cannotRun: 'it is a oneshot unit, which ends by itself' } : {}),
    };
  },
  async act(host, name, action, signal) {
    const unit = unitOf(name);
    const argv = action === 'load' ? (['daemon-reload'] as const) : ([systemctlVerbs[action], '--', unit] as const);
    await mustRun(host, signal, { argv: ['systemctl', '--no-ask-password', ...argv] });
  },
};

const properties = [
  'LoadState',
  'ActiveState',
  'UnitFileState',
  'NeedDaemonReload',
  'Type',
  'RemainAfterExit',
] as const;

/** systemctl(1), `is-enabled`: those for which it exits with 0, but for "static", "indirect" and "generated". */
const enabledStates: ReadonlySet<string> = new Set(['enabled', 'enabled-runtime', 'linked', 'linked-runtime', 'alias']);

const systemctlVerbs: { readonly [Action in Exclude<ServiceAction, 'load'>]: string } = {
  start: 'start',
  stop: 'stop',
  restart: 'restart',
  reload: 'reload-or-restart',
  enable: 'enable',
  disable: 'disable',
  mask: 'mask',
  unmask: 'unmask',
};

const managers: { readonly [Tool in ServiceTool]: ServiceManager } = { systemd, openrc, sysv, launchd };

/** The service manager that runs this machine. */
export async function serviceManagerOf(host: HostView): Promise<ServiceManager> {
  return managers[await serviceToolOf(host)];
}

/** As systemctl(1): a name without a suffix is a service. */
function unitOf(name: string): string {
  return /\.(?:service|socket|timer|target|path|mount)$/.test(name) ? name : `${name}.service`;
}

function parseProperties(printed: string): ReadonlyMap<string, string> {
  const shown = new Map<string, string>();
  for (const line of printed.split('\n')) {
    const equals = line.indexOf('=');
    if (equals > 0) {
      shown.set(line.slice(0, equals), line.slice(equals + 1).trim());
    }
  }
  if (!shown.has('LoadState')) {
    throw new HostError('system', `systemctl says nothing about the unit: ${JSON.stringify(printed.slice(0, 200))}`);
  }
  return shown;
}

async function isEnabledScript(host: HostView, unit: string, signal: AbortSignal): Promise<boolean> {
  const { exitCode } = await host.probe({ argv: ['systemctl', 'is-enabled', '--quiet', '--', unit], signal });
  return exitCode === 0;
}
