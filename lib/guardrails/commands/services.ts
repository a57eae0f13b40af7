/** Service managers: what stops, disables or masks a service that the machine or its administrators need. */
import { isAgentName, isNetworkService, isReachService, isVitalService } from '../protected-names.ts';
import type { RuleId } from '../rules.ts';
import { type Call, programOf, readOptions, reportCall } from '../shell/call.ts';
import { laterCode } from '../shell/later.ts';
import { hasGlob, hole, patternOf, plain, withGlobs } from '../shell/marks.ts';
import { contentOf } from '../shell/redirect.ts';
import { runCode } from '../shell/shells.ts';
import type { Judge, Judges } from './judge.ts';

/** The rule that protects a service from being stopped, disabled or masked. */
export function ruleOfService(unit: string): RuleId | undefined {
  if (isAgentName(unit)) return 'G0401';
  if (isReachService(unit)) return 'G0402';
  if (isNetworkService(unit)) return 'G0403';
  return isVitalService(unit) ? 'G0406' : undefined;
}

const samples = [
  'holdfast-agent.service',
  'sshd.service',
  'ssh.service',
  'NetworkManager.service',
  'systemd-networkd.service',
  'dbus.service',
  'systemd-journald.service',
];

function stop(call: Call, units: readonly string[]): void {
  for (const unit of units) {
    // Service managers fill in patterns themselves.
    const name = withGlobs(plain(unit).replaceAll('\\', ''));
    // A file may match in the working directory, but hardly ever does.
    const named = hasGlob(name)
      ? samples.filter((one) => patternOf(name).test(one) || patternOf(name).test(one.replace(/\.service$/, '')))
      : [name];
    for (const one of named) {
      const rule = ruleOfService(one);
      if (rule !== undefined) reportCall(call, rule, one);
    }
    if (name === hole) reportCall(call, 'G0603', name);
  }
}

const stops = /^(?:stop|disable|mask|kill|freeze|clean|revert)$/;
const powers =
  /^(?:poweroff|reboot|halt|kexec|suspend|hibernate|hybrid-sleep|suspend-then-hibernate|emergency|rescue|soft-reboot|switch-root|exit|sleep)$/;

const systemctl: Judge = (call) => {
  const { operands, flags } = readOptions(call.argv.slice(1), [
    '-t',
    '-p',
    '-s',
    '-n',
    '-o',
    '-H',
    '-M',
    '--type',
    '--property',
    '--signal',
    '--state',
    '--root',
    '--host',
    '--machine',
    '--kill-who',
    '--lines',
    '--output',
    '--job-mode',
    '--what',
  ]);
  const [verb = '', ...units] = operands.map(plain);
  if (flags.has('--user')) return;
  // A unit from another place.
  if (/^(?:link|enable|start|restart|reenable)$/.test(verb)) for (const unit of units) runUnit(call, unit);
  if (powers.test(verb)) reportCall(call, 'G0301', verb);
  else if (stops.test(verb)) stop(call, operands.slice(1));
  else if (/^(?:isolate|start|restart|try-restart|reload-or-restart|enable|set-default|add-wants|default)$/.test(verb))
    targets(call, verb, units);
  else if (/^(?:set-property|edit)$/.test(verb) && isAgentName(units[0] ?? '')) reportCall(call, 'G0401', units[0]);
  else if (verb === '' || verb === hole) return;
};

/** What a unit runs, that the source itself has written somewhere else. */
function runUnit(call: Call, unit: string): void {
  if (!unit.startsWith('/')) return;
  const content = contentOf(call.frame, unit);
  for (const code of laterCode(`/etc/systemd/system/${programOf(unit)}`, content)) runCode(call, code);
}

function targets(call: Call, verb: string, units: readonly string[]): void {
  for (const unit of units) {
    const name = unit.replace(/\.(?:target|service)$/, '');
    const isDown =
      /^(?:poweroff|reboot|halt|shutdown|kexec|emergency|rescue|runlevel[016]|systemd-(?:poweroff|reboot|halt|kexec|suspend|hibernate)|ctrl-alt-del|suspend|hibernate|sleep)$/.test(
        name,
      );
    if (isDown) reportCall(call, verb === 'set-default' || verb === 'enable' ? 'G0305' : 'G0301', unit);
    else if (verb === 'isolate' && !/^(?:multi-user|graphical|default|runlevel[2345])$/.test(name))
      reportCall(call, 'G0301', unit);
  }
}

const service: Judge = (call, again) => {
  const args = call.argv.slice(1).map(plain);
  // Out of the directory of the scripts.
  if (/(?:^|\/)\.\.\//.test(args[0] ?? '')) again([`/etc/init.d/${args[0]}`, ...call.argv.slice(2)]);
  const isName = programOf(call.argv[0] ?? '') !== 'rc-service' || !args[0]?.startsWith('-');
  const [name = '', verb = ''] = isName ? args : args.slice(1);
  if (/^(?:stop|zap|force-stop|down|shutdown)$/.test(verb)) stop(call, [name]);
};

const initScript =
  (name: string): Judge =>
  (call) => {
    const verb = plain(call.argv[1] ?? '');
    if (call.argv[0]?.includes('init.d/') && /^(?:stop|force-stop)$/.test(verb)) stop(call, [name]);
  };

const rcUpdate: Judge = (call) => {
  const { operands } = readOptions(call.argv.slice(1));
  const [verb = '', ...rest] = operands.map(plain);
  if (/^(?:del|delete|remove)$/.test(verb)) stop(call, rest.slice(0, 1));
};

/** `update-rc.d ssh remove`, `chkconfig sshd off`: the name comes first. */
const nameFirst: Judge = (call) => {
  const args = call.argv
    .slice(1)
    .map(plain)
    .filter((arg) => arg !== '-f' && arg !== '--force' && !/^--level/.test(arg));
  const isDelete = args[0] === '--del';
  const [name = '', verb = ''] = isDelete
    ? [args[1] ?? '', 'off']
    : args[0] === 'remove' || args[0] === 'delete'
      ? [args[1] ?? '', 'off']
      : args;
  if (/^(?:remove|disable|off|stop|delete)$/.test(verb)) stop(call, [name]);
};

const launchctl: Judge = (call) => {
  const args = call.argv.slice(1).map(plain);
  const target = args.at(-1) ?? '';
  if (args[0] === 'reboot') reportCall(call, 'G0301');
  if (/^(?:unload|bootout|disable|remove|stop|kill)$/.test(args[0] ?? '') && /holdfast/i.test(target))
    reportCall(call, 'G0401', target);
  if (/^(?:unload|bootout|disable|remove|stop)$/.test(args[0] ?? '') && /openssh|\/ssh\.plist/i.test(target))
    reportCall(call, 'G0402', target);
};

const sv: Judge = (call) => {
  const args = call.argv.slice(1).map(plain);
  if (/^(?:stop|down|d|exit|force-stop|kill|-d|-dx|-x|-k)$/.test(args[0] ?? ''))
    stop(
      call,
      args.slice(1).map((one) => one.replace(/^.*\//, '')),
    );
};

/** Also for `initctl stop ssh` and `stop ssh` of Upstart. */
const verbFirst: Judge = (call) => {
  const args = call.argv.slice(1).map(plain);
  if (args[0] === 'stop') stop(call, args.slice(1));
};

export const serviceJudges: Judges = {
  systemctl,
  service,
  'rc-service': service,
  'invoke-rc.d': service,
  'rc-update': rcUpdate,
  'update-rc.d': nameFirst,
  chkconfig: nameFirst,
  launchctl,
  sv,
  svc: sv,
  's6-svc': sv,
  initctl: verbFirst,
  supervisorctl: verbFirst,
  loginctl: (call) => {
    const verb = plain(call.argv[1] ?? '');
    if (/^(?:poweroff|reboot|halt|suspend|hibernate)$/.test(verb)) reportCall(call, 'G0301');
    if (verb === 'terminate-user' && plain(call.argv[2] ?? '') === 'root') reportCall(call, 'G0303');
  },
  stop: (call) => stop(call, call.argv.slice(1)),
  ...Object.fromEntries(
    ['sshd', 'networking', 'network', 'dbus', 'holdfast-agent'].map((name) => [name, initScript(name)]),
  ),
};
