/** The packet filter: rules that close it for those who administer the machine. */
import { type Call, findingOfCall, reportCall } from '../shell/call.ts';
import { plain } from '../shell/marks.ts';
import { contentOf } from '../shell/redirect.ts';
import type { Judge, Judges } from './judge.ts';

/** Chains that every packet for this machine goes through, or comes from. */
const entrances = new Set(['INPUT', 'OUTPUT', 'PREROUTING']);

/** Whether a list such as `20:25,443` has port 22 in it. */
export function hasSshPort(list: string): boolean {
  return list.split(',').some((one) => {
    const [from = '', to = from] = one.trim().split(/[:-]/);
    if (from === 'ssh' || to === 'ssh') return true;
    const [low, high] = [Number(from === '' ? '0' : from), Number(to === '' ? '65535' : to)];
    return /\d/.test(one) && low <= 22 && high >= 22;
  });
}

function optionOf(text: string, ...names: readonly string[]): string | undefined {
  return new RegExp(`(?:^|\\s)(?:${names.join('|')})[\\s=]+(\\S+)`).exec(text)?.[1];
}

/** A rule, as text with one blank between its words. */
function judgeRule(call: Call, text: string): void {
  const { scan } = call.frame;
  const policy = /(?:^|\s)(?:-P|--policy)\s+(\w+)\s+(DROP|REJECT)/.exec(text)?.[1];
  if (policy !== undefined && /^(?:INPUT|OUTPUT)$/.test(policy)) scan.firewall.push(findingOfCall(call, 'G0404', text));
  const chain = optionOf(text, '-A', '-I', '--append', '--insert', '-R', '--replace');
  const target = optionOf(text, '-j', '--jump', '-g', '--goto') ?? '';
  if (chain === undefined) return;
  if (!entrances.has(chain)) scan.chains.set(chain, [...(scan.chains.get(chain) ?? []), text]);
  if (!entrances.has(chain) && !scan.chains.has(`${chain} in use`)) {
    judgeAccept(call, text, target);
    return;
  }
  judgeAccept(call, text, target);
  judgeEffect(call, text, target);
  // A chain of its own is as good as this one from now on.
  if (/^(?:ACCEPT|DROP|REJECT|RETURN|LOG|REDIRECT|DNAT|MARK|NFLOG)$/.test(target) || isNarrow(text)) return;
  const rules = scan.chains.get(target) ?? [];
  if (scan.chains.has(`${target} in use`)) return;
  scan.chains.set(`${target} in use`, []);
  for (const rule of rules) judgeEffect(call, rule, optionOf(rule, '-j', '--jump', '-g', '--goto') ?? '');
}

function judgeAccept(call: Call, text: string, target: string): void {
  const ports = optionOf(
    text,
    '--dport',
    '--dports',
    '--destination-port',
    '--destination-ports',
    '--sport',
    '--sports',
  );
  const isSsh = ports !== undefined && hasSshPort(ports);
  if (target === 'ACCEPT' && (isSsh || /ESTABLISHED/i.test(text) || /(?:^|\s)(?:-s|--source|--src)\s/.test(text)))
    call.frame.scan.letsSshThrough = true;
}

const limits = /--(?:limit|hashlimit|hitcount|connlimit-above|update|rcheck)|recent/;

function isNarrow(text: string): boolean {
  return /--(?:dport|sport|dports|sports|destination-port|ctstate|state|limit|icmp-type|tcp-flags|syn|match-set|mac-source|uid-owner|gid-owner|connlimit|hitcount|string|length|ttl|physdev-\w+)\b|(?:^|\s)(?:-s|-d|--source|--src|--destination|--dst)\s/.test(
    text.replace(/(?:-s|-d|--source|--src)\s+(?:0\.0\.0\.0\/0|0\/0|::\/0|any)(?=\s|$)/g, ''),
  );
}

function judgeEffect(call: Call, text: string, target: string): void {
  const { scan } = call.frame;
  const ports = optionOf(
    text,
    '--dport',
    '--dports',
    '--destination-port',
    '--destination-ports',
    '--sport',
    '--sports',
  );
  const isSsh =
    ports !== undefined && hasSshPort(ports) && !/!\s+--?(?:dport|destination-port|dports|sport)/.test(text);
  const isFrom = /(?:^|\s)(?:-s|--source|--src)\s+(?!0\.0\.0\.0\/0|0\/0|::\/0|any)/.test(text);
  if (
    /^(?:REDIRECT|DNAT)$/.test(target) &&
    isSsh &&
    /PREROUTING|INPUT/.test(text) &&
    !/(?:^|\s)(?:-i|-d|-s)\s/.test(text)
  )
    reportCall(call, 'G0404', text);
  if (!/^(?:DROP|REJECT)$/.test(target)) return;
  // Whoever the packets belong to may be the agent.
  if (
    /--uid-owner|--pid-owner|--cmd-owner|--gid-owner/.test(text) &&
    /holdfast/i.test(`${text} ${call.frame.source.text}`)
  )
    reportCall(call, 'G0401', text);
  if (isSsh && !limits.test(text) && !isFrom) reportCall(call, 'G0404', text);
  if (isNarrow(text)) return;
  const link = /(!\s+)?(?:-i|--in-interface|-o|--out-interface)\s+(\S+)/.exec(text);
  const isAllLinks =
    link === null || (link[1] !== undefined ? /^lo$/.test(link[2] ?? '') : /^(?:\+|eth|en)/.test(link[2] ?? ''));
  const protocol = optionOf(text, '-p', '--protocol', '--proto') ?? 'all';
  const isAllKinds = /^(?:all|tcp|ip|ipv4|IPv4|0|6)$/.test(protocol) && !/!\s+-p/.test(text);
  if (isAllLinks && isAllKinds) scan.firewall.push(findingOfCall(call, 'G0404', text));
}

/** `-PINPUT` is `-P INPUT`. */
function spelledOut(args: readonly string[]): string {
  return args.map((arg) => plain(arg).replace(/^-([PAIDRjgpsdiotm])(?=[A-Za-z\d])/, '-$1 ')).join(' ');
}

const iptables: Judge = (call) => judgeRule(call, spelledOut(call.argv.slice(1)));

/** A whole set of rules at once. */
const iptablesRestore: Judge = (call) => {
  const file = call.argv.slice(1).find((arg) => !plain(arg).startsWith('-'));
  const text = plain(file === undefined ? call.frame.stdin : contentOf(call.frame, file));
  for (const line of text.split('\n').slice(0, 500)) {
    const policy = /^:(INPUT|OUTPUT) (DROP|REJECT)/.exec(line);
    if (policy !== null) judgeRule(call, `-P ${policy[1]} ${policy[2]}`);
    else if (/^-[AIR]\s/.test(line)) judgeRule(call, line.replace(/\s+/g, ' ').trim());
  }
};

const nft: Judge = (call) => {
  const { scan } = call.frame;
  const args = call.argv.slice(1).map(plain);
  const file = args[args.findIndex((arg) => /^-[a-z]*f$|^--file$/.test(arg)) + 1] ?? '';
  const written =
    args.some((arg) => /^-[a-z]*f$|^--file$/.test(arg)) && file.startsWith('/')
      ? plain(contentOf(call.frame, file))
      : '';
  const text = `${args.join(' ')} ${plain(call.frame.stdin)} ${written}`;
  const ports = [...text.matchAll(/\bdport\s+(?:!=\s*)?(?:\{([^}]*)\}|(\S+))([^;\n}]*)/g)];
  for (const [whole = '', set, one = '', rest = ''] of ports) {
    const isSsh = hasSshPort((set ?? one).replace(/\s+/g, ''));
    if (!isSsh) continue;
    if (/\baccept\b/.test(rest)) scan.letsSshThrough = true;
    const isClosed = /\b(?:drop|reject)\b|\bredirect\b|\bdnat\b/.test(rest) && !/!=/.test(whole);
    if (
      isClosed &&
      !/limit|saddr|meter/.test(`${rest}${text.slice(Math.max(0, text.indexOf(whole) - 80), text.indexOf(whole))}`)
    )
      reportCall(call, 'G0404', whole);
  }
  if (/established[^;\n]*accept|\bsaddr\b[^;\n]*accept/.test(text)) scan.letsSshThrough = true;
  if (
    /hook\s+(?:input|output|prerouting|ingress)\b[^}]*policy\s+drop|(?:input|output|prerouting)\s+(?:(?:handle|position|index)\s+\d+\s+)?(?:counter\s+)?(?:drop|reject)\s*;?\s*(?:$|\})|"hook"\s*:\s*"(?:input|output|prerouting)"[^}]*"policy"\s*:\s*"drop"/m.test(
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
  if (/^(?:insert \d+ )?(?:deny|reject)\b/.test(text) && /\bfrom any\b/.test(text) && !/\bport\b/.test(text))
    reportCall(call, 'G0404', text);
  if (/^(?:delete (?:allow|limit))\b/.test(text) && isSsh && !/\bfrom\b/.test(text)) reportCall(call, 'G0404', text);
  if (/^default (?:deny|reject)(?: incoming)?$/.test(text)) scan.firewallDenies = true;
  if (/^default (?:deny|reject) outgoing$/.test(text)) scan.firewallDenies = true;
  if (/^enable$/.test(text) && scan.firewallDenies) scan.firewall.push(findingOfCall(call, 'G0404', text));
};

const firewallCmd: Judge = (call) => {
  const args = call.argv.slice(1).map(plain);
  const text = args.join(' ');
  if (
    args.includes('--panic-on') ||
    args.some((arg) => /^--remove-service=ssh$|^--remove-port=22\/tcp$/.test(arg)) ||
    args.some((arg) => /^--set-(?:default-zone|target)=(?:drop|block|DROP)$/.test(arg)) ||
    /--(?:change|add)-interface=\S+\s.*--zone=(?:drop|block)\b|--zone=(?:drop|block)\b.*--(?:change|add)-interface/.test(
      text,
    ) ||
    (/--add-rich-rule/.test(text) &&
      /service name=["']?ssh|port=["']?22\b/.test(text) &&
      /\b(?:drop|reject)\b/.test(text) &&
      !/source address/.test(text))
  )
    reportCall(call, 'G0404', text);
  const direct = /--direct.*--add-rule\s+\S+\s+\S+\s+(\S+)\s+\d+\s+(.+)$/.exec(text);
  if (direct !== null) judgeRule(call, `-A ${direct[1]} ${direct[2]}`);
};

export const firewallJudges: Judges = {
  ...Object.fromEntries(
    'iptables ip6tables iptables-legacy ip6tables-legacy iptables-nft ip6tables-nft ebtables ebtables-nft ebtables-legacy arptables'
      .split(' ')
      .map((name) => [name, iptables]),
  ),
  'iptables-restore': iptablesRestore,
  'ip6tables-restore': iptablesRestore,
  'iptables-nft-restore': iptablesRestore,
  'iptables-legacy-restore': iptablesRestore,
  nft,
  ufw,
  'firewall-cmd': firewallCmd,
};
