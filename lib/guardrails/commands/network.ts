/** Programs that take the network down, close the firewall, or give a shell to the network. */
import { type Call, findingOfCall, programOf, readOptions, reportCall } from '../shell/call.ts';
import { plain } from '../shell/marks.ts';
import type { Judge, Judges } from './judge.ts';

const virtual =
  /^(?:veth|docker|br-|virbr|dummy|tun|tap|wg|lxc|cni|flannel|cali|vxlan|macvlan|ifb|gre|sit|podman|vnet|kube|nodelocaldns|vmnet|ppp|can|vcan|wlan|wwan|bond0\.|\w+\.\d)/;

/** Cards of the machine by the names that systems give them, what is made of several, and what nobody knows. */
const real =
  /^(?:eth|en[opsxu]|em|p\d+p|bond|team|br\d|bridge\d|vmbr|wl|ww|ib|usb|venet|net\d|lan|wan|ens|eno|bnep|tengig|ovs-system)\w*|[\ue000-\ue003]|^(?:all|any|default|id|uuid|"?Wired|"?System)/i;

function isLink(name: string | undefined): boolean {
  return name !== undefined && real.test(name) && !virtual.test(name);
}

/** Taken down: dangerous, unless the same source takes it up again. */
function takeDown(call: Call, name = ''): void {
  const { down } = call.frame.scan;
  down.set(name, [...(down.get(name) ?? []), findingOfCall(call, 'G0403', name)]);
}

function takeUp(call: Call, name = ''): void {
  call.frame.scan.down.delete(name);
}

const ip: Judge = (call, again) => {
  const args = call.argv.slice(1).map(plain);
  const first = args.findIndex((arg) => !arg.startsWith('-'));
  const [object = '', ...rest] = args.slice(Math.max(first, 0));
  const after = (word: string) => rest[rest.indexOf(word) + 1];
  if (/^l(?:i(?:n(?:k)?)?)?$/.test(object)) {
    const name = rest.includes('dev') ? after('dev') : rest[1];
    if (/^s/.test(rest[0] ?? '') && rest.includes('down') && isLink(name)) takeDown(call, name);
    if (/^s/.test(rest[0] ?? '') && rest.includes('up')) takeUp(call, name);
    if (/^d/.test(rest[0] ?? '') && isLink(name)) reportCall(call, 'G0403', name);
    if (/^s/.test(rest[0] ?? '') && isLink(name)) changeLink(call, name, rest);
  } else if (/^ru(?:le?)?$/.test(object)) {
    const isAll =
      !rest.some((arg) => /^(?:from|to|iif|oif|fwmark|dport|sport|uidrange|tos)$/.test(arg)) ||
      /\b(?:from|to) (?:all|0\/0|0\.0\.0\.0\/0)\b/.test(rest.join(' '));
    if (/^a/.test(rest[0] ?? '') && isAll && rest.some((arg) => /^(?:prohibit|blackhole|unreachable)$/.test(arg)))
      reportCall(call, 'G0403', 'rule');
    if (/^f/.test(rest[0] ?? '')) reportCall(call, 'G0403', 'rule');
  } else if (
    /^n(?:e(?:i(?:g(?:h(?:b(?:our|or)?)?)?)?)?)?$/.test(object) &&
    /^(?:r|ad|ch)/.test(rest[0] ?? '') &&
    rest.includes('lladdr')
  ) {
    // Who else has this address, only the network knows.
    if (rest.includes('permanent') && isLink(after('dev'))) reportCall(call, 'G0403', rest.join(' '), 'unknown');
  } else if (/^a(?:d(?:d(?:r(?:ess)?)?)?)?$/.test(object)) {
    if (/^f/.test(rest[0] ?? '') && (!rest.includes('dev') ? isLink(rest[1]) : isLink(after('dev'))))
      reportCall(call, 'G0403', rest.at(-1));
    if (
      /^d/.test(rest[0] ?? '') &&
      rest.includes('dev') &&
      /^(?:eth|en|ens|eno|enp|bond|em)\d?/.test(after('dev') ?? '')
    )
      reportCall(call, 'G0403', after('dev'));
  } else if (/^r(?:o(?:u(?:t(?:e)?)?)?)?$/.test(object)) {
    if (/^f/.test(rest[0] ?? '') && !rest.includes('cache')) reportCall(call, 'G0403', rest.join(' '));
    if (/^d/.test(rest[0] ?? '') && rest.some((arg) => /^(?:default|0(?:\.0\.0\.0)?\/0|::\/0)$/.test(arg)))
      reportCall(call, 'G0403', 'default');
    if (
      /^(?:add|replace)$/.test(rest[0] ?? '') &&
      /^(?:blackhole|unreachable|prohibit)$/.test(rest[1] ?? '') &&
      /^(?:default|0\.0\.0\.0\/0)$/.test(rest[2] ?? '')
    )
      reportCall(call, 'G0403', 'default');
  } else if (object === 'netns' && rest[0] === 'exec')
    again(call.argv.slice(call.argv.findIndex((arg) => plain(arg) === 'exec') + 2));
};

/** What takes a link from the machine without taking it down. */
function changeLink(call: Call, name: string | undefined, rest: readonly string[]): void {
  const after = (word: string) => rest[rest.indexOf(word) + 1];
  const mtu = rest.includes('mtu') ? Number(after('mtu')) : 1500;
  if (rest.includes('netns') || mtu < 576 || (rest.includes('address') && /^(?:eth|en|em|bond|wl)/.test(name ?? '')))
    reportCall(call, 'G0403', rest.join(' '));
  if (rest.some((arg) => /^xdp(?:generic|drv|offload)?$/.test(arg)) && !rest.includes('off'))
    reportCall(call, 'G0403', rest.join(' '), 'unknown');
}

const ifdown: Judge = (call) => {
  const { operands, flags } = readOptions(call.argv.slice(1), ['-i', '--interfaces']);
  const isAll = flags.has('-a') || flags.has('--all');
  if (programOf(call.argv[0] ?? '') === 'ifup') for (const one of isAll ? ['all'] : operands) takeUp(call, plain(one));
  else if (isAll || operands.some((one) => isLink(plain(one))))
    takeDown(call, isAll ? 'all' : plain(operands[0] ?? ''));
};

const ifconfig: Judge = (call) => {
  const args = call.argv.slice(1).map(plain);
  if ((args.includes('down') || args[1] === '0' || args[1] === '0.0.0.0') && isLink(args[0])) takeDown(call, args[0]);
  if (args.includes('up')) takeUp(call, args[0]);
};

const nmcli: Judge = (call) => {
  const args = call.argv
    .slice(1)
    .map(plain)
    .filter((arg) => !arg.startsWith('-'));
  const [object = '', verb = '', name] = args;
  if (/^n/.test(object) && verb === 'off') takeDown(call, 'networking');
  if (/^n/.test(object) && verb === 'on') takeUp(call, 'networking');
  if (/^r/.test(object) && verb === 'all' && name === 'off') reportCall(call, 'G0403', 'radio');
  if (
    /^c/.test(object) &&
    /^(?:down|delete|del|d)$/.test(verb) &&
    isLink(name === 'id' || name === 'uuid' ? args[3] : name)
  ) {
    if (/^de/.test(verb)) reportCall(call, 'G0403', name);
    else takeDown(call, args.at(-1));
  }
  if (/^d/.test(object) && /^(?:disconnect|delete|down)$/.test(verb) && isLink(name)) takeDown(call, args.at(-1));
  if (/^[cd]/.test(object) && /^(?:up|connect|reapply)$/.test(verb)) takeUp(call, args.at(-1));
};

const route: Judge = (call) => {
  const args = call.argv.slice(1).map(plain);
  if (
    /^(?:del|delete|flush)$/.test(args[0] ?? '') &&
    (args.includes('default') || args.includes('0.0.0.0') || args[0] === 'flush')
  )
    reportCall(call, 'G0403', 'default');
};

const netcat: Judge = (call) => {
  const args = call.argv.slice(1).map(plain);
  const isShell = args.some(
    (arg, i) =>
      /^-[a-z]*[ec]$|^--(?:exec|sh-exec)(?:=|$)/.test(arg) && /sh\b|cmd|\/bin\//.test(`${arg} ${args[i + 1] ?? ''}`),
  );
  if (isShell) reportCall(call, 'G0503', args.join(' '));
};

const socat: Judge = (call) => {
  const text = call.argv.slice(1).map(plain).join(' ');
  if (
    /\b(?:EXEC|SYSTEM|SHELL):/i.test(text) &&
    /\b(?:TCP|UDP|OPENSSL|SSL|SCTP)[\w-]*:/i.test(text) &&
    /sh\b|pty|bin/.test(text)
  )
    reportCall(call, 'G0503', text);
};

const networksetup: Judge = (call) => {
  if (
    /^-(?:setnetworkserviceenabled|setairportpower|setdhcp-off)$/.test(plain(call.argv[1] ?? '')) &&
    /off/i.test(plain(call.argv.at(-1) ?? ''))
  )
    reportCall(call, 'G0403');
};

const systemsetup: Judge = (call) => {
  if (/-setremotelogin off/i.test(call.argv.map(plain).join(' '))) reportCall(call, 'G0402');
};

const tools: Judge = (call) => {
  const name = programOf(call.argv[0] ?? '');
  const text = call.argv.map(plain).join(' ');
  if (name === 'rfkill' && /block (?:all|wlan|wifi)/.test(text)) reportCall(call, 'G0403');
  if (name === 'ethtool' && /-r\b.*down/.test(text)) reportCall(call, 'G0403');
  const isReal = /\bdev\s+(?:eth|en|em|bond|wl)/.test(text);
  if (
    name === 'tc' &&
    isReal &&
    /loss (?:random )?(?:9\d|100)%?|matchall\b.*\baction (?:drop|shot)|\bu32 match u32 0 0\b.*\baction (?:drop|shot)|\brate [1-9]\d?bit\b|\bdelay \d{2,}s\b/.test(
      text,
    )
  )
    reportCall(call, 'G0403');
};

export const networkJudges: Judges = {
  ip,
  ifdown,
  ifup: ifdown,
  ifconfig,
  nmcli,
  route,
  nc: netcat,
  ncat: netcat,
  netcat,
  'nc.traditional': netcat,
  'nc.openbsd': netcat,
  socat,
  networksetup,
  systemsetup,
  rfkill: tools,
  ethtool: tools,
  tc: tools,
  dhclient: (call) => {
    const link =
      call.argv
        .slice(1)
        .map(plain)
        .findLast((arg) => !arg.startsWith('-')) ?? 'all';
    if (call.argv.slice(1).some((arg) => /^-(?:r|x)$/.test(plain(arg)))) takeDown(call, link);
    else takeUp(call, link);
  },
  dhcpcd: (call) => {
    const link =
      call.argv
        .slice(1)
        .map(plain)
        .findLast((arg) => !arg.startsWith('-')) ?? 'all';
    if (call.argv.slice(1).some((arg) => /^(?:-[kx]|--release|--exit)$/.test(plain(arg)))) takeDown(call, link);
    else takeUp(call, link);
  },
  networkctl: (call) => {
    const args = call.argv.slice(1).map(plain);
    if (args[0] === 'down' && isLink(args[1])) takeDown(call, args[1]);
    if (args[0] === 'up') takeUp(call, args[1]);
  },
};
