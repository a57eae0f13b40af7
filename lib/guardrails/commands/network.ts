/** Programs that take the network down, close the firewall, or give a shell to the network. */
import { findingOfCall, programOf, readOptions, reportCall } from '../shell/call.ts';
import { plain } from '../shell/marks.ts';
import type { Judge, Judges } from './judge.ts';

const virtual =
  /^(?:veth|docker|br-|virbr|dummy|tun|tap|wg|lxc|cni|flannel|cali|vxlan|macvlan|ifb|gre|sit|podman|vnet|kube|nodelocaldns|vmnet|ppp|can|vcan|wlan|wwan|bond0\.|\w+\.\d)/;

function isLink(name: string | undefined): boolean {
  return name !== undefined && !virtual.test(name);
}

const ip: Judge = (call, again) => {
  const args = call.argv.slice(1).map(plain);
  const first = args.findIndex((arg) => !arg.startsWith('-'));
  const [object = '', ...rest] = args.slice(Math.max(first, 0));
  const after = (word: string) => rest[rest.indexOf(word) + 1];
  if (/^l(?:i(?:n(?:k)?)?)?$/.test(object)) {
    const name = rest.includes('dev') ? after('dev') : rest[1];
    if (/^s/.test(rest[0] ?? '') && rest.includes('down') && isLink(name)) reportCall(call, 'G0403', name);
    if (/^d/.test(rest[0] ?? '') && isLink(name)) reportCall(call, 'G0403', name);
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
    if (/^d/.test(rest[0] ?? '') && rest.includes('default')) reportCall(call, 'G0403', 'default');
    if (
      /^(?:add|replace)$/.test(rest[0] ?? '') &&
      /^(?:blackhole|unreachable|prohibit)$/.test(rest[1] ?? '') &&
      /^(?:default|0\.0\.0\.0\/0)$/.test(rest[2] ?? '')
    )
      reportCall(call, 'G0403', 'default');
  } else if (object === 'netns' && rest[0] === 'exec')
    again(call.argv.slice(call.argv.findIndex((arg) => plain(arg) === 'exec') + 2));
};

const ifdown: Judge = (call) => {
  const { operands, flags } = readOptions(call.argv.slice(1), ['-i', '--interfaces']);
  if (flags.has('-a') || flags.has('--all') || operands.some((one) => isLink(plain(one))))
    reportCall(call, 'G0403', operands[0]);
};

const ifconfig: Judge = (call) => {
  const args = call.argv.slice(1).map(plain);
  if ((args.includes('down') || args[1] === '0' || args[1] === '0.0.0.0') && isLink(args[0]))
    reportCall(call, 'G0403', args[0]);
};

const nmcli: Judge = (call) => {
  const args = call.argv
    .slice(1)
    .map(plain)
    .filter((arg) => !arg.startsWith('-'));
  const [object = '', verb = '', name] = args;
  if (/^n/.test(object) && verb === 'off') reportCall(call, 'G0403', 'networking');
  if (/^r/.test(object) && verb === 'all' && name === 'off') reportCall(call, 'G0403', 'radio');
  if (
    /^c/.test(object) &&
    /^(?:down|delete|del|d)$/.test(verb) &&
    isLink(name === 'id' || name === 'uuid' ? args[3] : name)
  )
    reportCall(call, 'G0403', name);
  if (/^d/.test(object) && /^(?:disconnect|delete|down)$/.test(verb) && isLink(name)) reportCall(call, 'G0403', name);
};

const route: Judge = (call) => {
  const args = call.argv.slice(1).map(plain);
  if (
    /^(?:del|delete|flush)$/.test(args[0] ?? '') &&
    (args.includes('default') || args.includes('0.0.0.0') || args[0] === 'flush')
  )
    reportCall(call, 'G0403', 'default');
};

const iptables: Judge = (call) => {
  const args = call.argv.slice(1).map(plain);
  const { scan } = call.frame;
  const text = args.join(' ');
  const target = /(?:-j|--jump)\s+(\w+)/.exec(text)?.[1] ?? '';
  const chain = /(?:-A|-I|--append|--insert|-R)\s+(INPUT|OUTPUT)\b/.exec(text)?.[1];
  const isSsh = /--(?:dport|destination-port|sport|dports)\s+(?:\S*,)?(?:22|ssh)(?:,|\s|$)/.test(text);
  if (target === 'ACCEPT' && (isSsh || /ESTABLISHED/i.test(text) || /-s\s/.test(text))) scan.letsSshThrough = true;
  if (/(?:-P|--policy)\s+(?:INPUT|OUTPUT)\s+(?:DROP|REJECT)/.test(text))
    scan.firewall.push(findingOfCall(call, 'G0404', text));
  if (chain === undefined || !/^(?:DROP|REJECT)$/.test(target)) return;
  if (
    isSsh &&
    !/--(?:limit|hashlimit|hitcount|connlimit-above|update|rcheck)|recent|(?:^|\s)!\s/.test(text) &&
    !/(?:-s|--source)\s/.test(text)
  )
    reportCall(call, 'G0404', text);
  const isAll =
    !/--(?:dport|sport|dports|ctstate|state|limit|icmp-type|tcp-flags|match-set|mac-source|uid-owner|connlimit|hitcount)|(?:^|\s)-(?:s|d|i|o|p|m)\s|--(?:source|destination|protocol|in-interface|match)\s/.test(
      text,
    );
  const isTcp =
    /-p\s+(?:tcp|all)\b/.test(text) &&
    !/--(?:dport|sport|dports|ctstate|state|limit|tcp-flags|syn|match-set)|-[sdm]\s|--source|-i\s+(?!eth|en|\+)/.test(
      text,
    );
  if (isAll || isTcp || /-s\s+0\.0\.0\.0\/0\s+-j/.test(text)) scan.firewall.push(findingOfCall(call, 'G0404', text));
};

/** A whole set of rules at once, on the standard input. */
const iptablesRestore: Judge = (call) => {
  const text = plain(call.frame.stdin);
  const letsIn = /--dport(?:s)?\s+(?:\S*,)?(?:22|ssh)\b.*ACCEPT|ESTABLISHED.*ACCEPT/.test(text);
  if (/^:(?:INPUT|OUTPUT) (?:DROP|REJECT)/m.test(text) && !letsIn)
    call.frame.scan.firewall.push(findingOfCall(call, 'G0404', 'INPUT DROP'));
};

const nft: Judge = (call) => {
  const { scan } = call.frame;
  const text = `${call.argv.slice(1).map(plain).join(' ')} ${plain(call.frame.stdin)}`;
  if (/(?:dport\s+(?:\{[^}]*\b(?:22|ssh)\b[^}]*\}|22|ssh)\b[^;\n]*accept|established[^;\n]*accept)/.test(text))
    scan.letsSshThrough = true;
  if (/dport\s+(?:22|ssh)\b[^;\n]*(?:drop|reject)/.test(text) && !/limit|saddr/.test(text))
    reportCall(call, 'G0404', text);
  if (
    /hook\s+(?:input|output)\b[^}]*policy\s+drop|(?:input|output)\s+(?:counter\s+)?(?:drop|reject)\s*;?\s*(?:$|\})/m.test(
      text,
    )
  )
    scan.firewall.push(findingOfCall(call, 'G0404', text));
};

const ufw: Judge = (call) => {
  const { scan } = call.frame;
  const args = call.argv
    .slice(1)
    .map((arg) => plain(arg).toLowerCase())
    .filter((arg) => !arg.startsWith('-'));
  const text = args.join(' ');
  const isSsh = /\b(?:22(?:\/tcp)?|ssh|openssh)\b/.test(text);
  if (/^(?:insert \d+ )?(?:allow|limit)\b/.test(text) && (isSsh || /\bfrom\b/.test(text) || text === 'default allow'))
    scan.letsSshThrough = true;
  if (/^(?:insert \d+ )?(?:deny|reject)\b/.test(text) && isSsh && !/\bfrom (?!any)/.test(text))
    reportCall(call, 'G0404', text);
  if (/^(?:delete (?:allow|limit))\b/.test(text) && isSsh && !/\bfrom\b/.test(text)) reportCall(call, 'G0404', text);
  if (/^default (?:deny|reject)(?: incoming)?$/.test(text)) scan.firewallDenies = true;
  if (/^default (?:deny|reject) outgoing$/.test(text)) scan.firewallDenies = true;
  if (/^enable$/.test(text) && scan.firewallDenies) scan.firewall.push(findingOfCall(call, 'G0404', text));
};

const firewallCmd: Judge = (call) => {
  const args = call.argv.slice(1).map(plain);
  if (
    args.includes('--panic-on') ||
    args.some((arg) => /^--remove-service=ssh$|^--remove-port=22\/tcp$/.test(arg)) ||
    args.some((arg) => /^--set-(?:default-zone|target)=(?:drop|block|DROP)$/.test(arg))
  )
    reportCall(call, 'G0404', args.join(' '));
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
  if (name === 'tc' && /qdisc (?:add|replace) dev (?:eth|en)\S* .*loss 100/.test(text)) reportCall(call, 'G0403');
};

export const networkJudges: Judges = {
  ip,
  ifdown,
  ifconfig,
  nmcli,
  route,
  iptables,
  ip6tables: iptables,
  'iptables-legacy': iptables,
  'iptables-nft': iptables,
  'ip6tables-nft': iptables,
  'iptables-restore': iptablesRestore,
  'ip6tables-restore': iptablesRestore,
  nft,
  ufw,
  'firewall-cmd': firewallCmd,
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
  networkctl: (call) => {
    const args = call.argv.slice(1).map(plain);
    if (args[0] === 'down' && isLink(args[1])) reportCall(call, 'G0403', args[1]);
  },
};
