/**
 * Listings: what programs print that show what a machine has. Nobody knows the names on it, but some stand on every
 * one: the path of a program, a disk below the root, a process that all need, root, a package that nothing runs without.
 */
import { protectedPaths } from '../protected-paths.ts';
import { hole, plain } from './marks.ts';

/** A disk of which only the kind is known. */
const someDisk = `/dev/sd${hole}`;
const everyProcess = `pid-of-everything${hole}`;
// The first of them is unknown, so that what looks at the first line knows nothing.
const everyAccount = `${hole}\nroot:x:0:0\n`;
const everyPackage = `${hole}\nlibc6\nglibc\n`;

/** Undefined: the program lists nothing of the kind. */
export function listing(program: string, args: readonly string[]): string | undefined {
  const text = args.map(plain);
  switch (program) {
    case 'which':
    case 'type':
      return text
        .filter((arg) => !arg.startsWith('-'))
        .map((name) => `${whereIs(name)}\n`)
        .join('');
    case 'lsblk':
      return text.some((arg) => /^-\w*p/.test(arg)) && /\bNAME\b/.test(text.join(' ')) ? `${someDisk}\n` : undefined;
    case 'blkid':
      return text.some((arg) => arg === 'device') || text.some((arg) => /^-(?:L|U)$/.test(arg))
        ? `${someDisk}\n`
        : undefined;
    case 'findfs':
      return `${someDisk}\n`;
    case 'findmnt':
      return /\bSOURCE\b/i.test(text.join(' ')) ? `${someDisk}\n` : undefined;
    case 'df':
      return text.includes('/') ? `${someDisk}\n` : undefined;
    case 'ps':
      return isOfAll(text) ? `${everyProcess}\n` : undefined;
    case 'ls':
      return text.includes('/proc') || text.includes('/proc/') ? `${everyProcess}\n` : undefined;
    case 'getent':
      if (text[0] === 'passwd' && /^(?:0|root)$/.test(text[1] ?? '')) return 'root:x:0:0:root:/root:/bin/bash\n';
      return text[0] === 'passwd' && text.length === 1 ? everyAccount : undefined;
    case 'id': {
      const isOther = text.some((arg) => !arg.startsWith('-') && !/^(?:0|root)$/.test(arg));
      if (isOther || text.length === 0) return undefined;
      return text.some((arg) => /^-\w*n/.test(arg))
        ? 'root\n'
        : text.some((arg) => /^-\w*[ug]/.test(arg))
          ? '0\n'
          : undefined;
    }
    case 'zfs':
      return text[0] === 'list' && /(?:^|\s)-t\s*snap/.test(text.join(' ')) ? `${hole}@${hole}\n` : undefined;
    case 'whoami':
    case 'logname':
      return 'root\n';
    case 'dpkg-query':
      return text.some((arg) => /^(?:-\w*W|--show|-l|--list)/.test(arg)) && text.every(isOption)
        ? everyPackage
        : undefined;
    case 'dpkg':
      if (text[0] === '--compare-versions') return '';
      return text.length === 1 && /^(?:-l|--list|--get-selections)$/.test(text[0] ?? '') ? everyPackage : undefined;
    case 'rpm':
      return text.length > 0 && text.every((arg) => /^-(?:qa|-qf|-queryformat)/.test(arg) || arg.startsWith('%'))
        ? everyPackage
        : undefined;
    case 'pacman':
      return text.length === 1 && /^-Qq?$/.test(text[0] ?? '') ? everyPackage : undefined;
    default:
      return undefined;
  }
}

/** The content of a file that is on every machine, as far as it is the same on all. */
export function wellKnownContent(path: string): string | undefined {
  return path === '/etc/passwd' ? everyAccount : undefined;
}

/** Whether a program of `awk` only picks a column: whatever comes in comes out, in part. */
export function picksColumn(program: string): boolean {
  return /^\s*(?:NR\s*(?:==|>|>=)\s*\d+\s*|\/\^ii(?: \+)?\/\s*)?\{\s*print\s+\$(?:\d|NF)\s*;?\s*\}\s*$/.test(program);
}

/** Where a program is, if it is one that every machine has; under `/usr/bin` otherwise. */
function whereIs(name: string): string {
  if (name.includes('/')) return name;
  return (
    protectedPaths.find(({ path, protection }) => protection === 'program' && path.endsWith(`/${name}`))?.path ??
    `/usr/bin/${name}`
  );
}

function isOfAll(args: readonly string[]): boolean {
  if (args.some((arg) => /^(?:-[CpGgu]|--ppid|--pid|--user)/.test(arg))) return false;
  return args.some((arg) => /^-?[a-z]*(?:e|A|ax|aux)[a-zA-Z]*$/.test(arg) && !/^-o/.test(arg));
}

function isOption(arg: string): boolean {
  return arg.startsWith('-') || arg.startsWith('$') || arg.includes('{');
}
