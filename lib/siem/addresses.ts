/**
 * Which addresses a destination may have. Three classes: public ones are open; private ones (RFC 1918, loopback, unique
 * local, and everything else that is not globally reachable by the IANA special-purpose registries) only within a network
 * that an administrator named; and addresses of metadata services, link-local ones, multicast and the like never.
 * Addresses that carry an IPv4 address within an IPv6 one are judged by what they carry.
 */
import { BlockList, isIP } from 'node:net';

/** Cloud metadata and what no receiver can have. An allowed network does not open these. */
const never = blockList([
  '0.0.0.0/8',
  '169.254.0.0/16',
  '100.100.100.200/32',
  '168.63.129.16/32',
  '192.0.0.192/32',
  '224.0.0.0/4',
  '240.0.0.0/4',
  '::/128',
  'fe80::/10',
  'fec0::/10',
  'fd00:ec2::/32',
  'fd20:ce::254/128',
  'fd00:42::42/128',
  'ff00::/8',
  '2001::/32',
  '100::/64',
]);

const restricted = blockList([
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '::1/128',
  '64:ff9b:1::/48',
  'fc00::/7',
  '2001:db8::/32',
  '3fff::/20',
  '5f00::/16',
]);

export type AddressRule = (address: string) => boolean;

/** Makes the rule that says whether an address may be connected to. What is no address may not. */
export function addressRule(allow: readonly string[]): AddressRule {
  const allowed = blockList(allow);
  const isAllowed = (address: string) => {
    const family = address.includes(':') ? 'ipv6' : 'ipv4';
    if (never.check(address, family)) return false;
    return !restricted.check(address, family) || allowed.check(address, family);
  };
  return (text) => {
    const meant = meantAddresses(text);
    return meant.length > 0 && meant.every(isAllowed);
  };
}

/**
 * Without brackets; in place of a mapped, translated, compatible, NAT64 (RFC 6052) or 6to4 (RFC 3056) address the IPv4 one
 * that it carries. Of one within local NAT64 (RFC 8215) or by ISATAP (RFC 5214) both it and that. None when it is no address.
 */
function meantAddresses(text: string): readonly string[] {
  const bare = text.replace(/^\[|\]$/g, '');
  // A zone names an interface, which only link-local addresses have.
  if (isIP(bare) === 0 || bare.includes('%')) return [];
  if (!bare.includes(':')) return [bare];
  const words = ipv6Words(bare);
  const high = words
    .slice(0, 6)
    .map((word) => word.toString(16).padStart(4, '0'))
    .join('');
  if (high === '0'.repeat(24)) return [words[6] === 0 && (words[7] ?? 0) <= 1 ? bare : ipv4(words[6], words[7])];
  if (high === `${'0'.repeat(20)}ffff`) return [ipv4(words[6], words[7])];
  if (high === `${'0'.repeat(16)}ffff0000`) return [ipv4(words[6], words[7])];
  if (high === `0064ff9b${'0'.repeat(16)}`) return [ipv4(words[6], words[7])];
  if (high.startsWith('2002')) return [ipv4(words[1], words[2])];
  const carries = high.startsWith('0064ff9b0001') || /0[02]005efe$/.test(high);
  return carries ? [bare, ipv4(words[6], words[7])] : [bare];
}

function ipv4(high = 0, low = 0): string {
  return [high >> 8, high & 255, low >> 8, low & 255].join('.');
}

/** The eight words of an address that `isIP` has accepted. */
function ipv6Words(address: string): readonly number[] {
  const [head = '', tail] = address.split('::');
  const left = wordsOf(head);
  const right = wordsOf(tail ?? '');
  return tail === undefined ? left : [...left, ...Array(8 - left.length - right.length).fill(0), ...right];
}

function wordsOf(part: string): number[] {
  if (part === '') return [];
  return part.split(':').flatMap((word) => {
    if (!word.includes('.')) return [Number.parseInt(word, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = word.split('.').map(Number);
    return [a * 256 + b, c * 256 + d];
  });
}

function blockList(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address = '', bits] = network.split('/');
    list.addSubnet(address, Number(bits), address.includes(':') ? 'ipv6' : 'ipv4');
  }
  return list;
}
