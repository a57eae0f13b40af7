/** Mounts: fstab(5) edited line by line, and what is mounted now as proc(5) `mountinfo` says it. */

export type FstabEntry = {
  readonly source: string;
  readonly path: string;
  readonly type: string;
  readonly options: string;
  readonly dump: number;
  readonly pass: number;
};

export type LiveMount = { readonly type: string; readonly source: string; readonly options: readonly string[] };

/** fstab's text with exactly this entry at its path; without `entry`, with none. Comments and other lines stay. */
export function editFstab(text: string, path: string, entry: FstabEntry | undefined): string {
  const lines = text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
  const isAt = (line: string) => parseFstabLine(line)?.path === path;
  const first = lines.findIndex(isAt);
  if (entry === undefined) {
    return lines.filter((line) => !isAt(line)).join('');
  }
  const wanted = formatFstabEntry(entry);
  if (first < 0) {
    return `${text}${text === '' || text.endsWith('\n') ? '' : '\n'}${wanted}\n`;
  }
  const isSame = (line: string) => formatFstabEntry(parseFstabLine(line) ?? entry) === wanted;
  return lines
    .filter((line, index) => index === first || !isAt(line))
    .map((line) => (isAt(line) && !isSame(line) ? `${wanted}\n` : line))
    .join('');
}

/** Undefined for comments, empty lines and what is no entry. */
function parseFstabLine(line: string): FstabEntry | undefined {
  const [source, path, type, options, dump, pass] = line.trim().split(/[ \t]+/);
  if (source === undefined || source === '' || source.startsWith('#') || path === undefined || type === undefined) {
    return undefined;
  }
  return {
    source: unescapeOctal(source),
    path: unescapeOctal(path),
    type,
    options: options ?? 'defaults',
    dump: Number(dump ?? 0),
    pass: Number(pass ?? 0),
  };
}

function formatFstabEntry({ source, path, type, options, dump, pass }: FstabEntry): string {
  return `${escapeOctal(source)} ${escapeOctal(path)} ${type} ${options} ${dump} ${pass}`;
}

/** All mounts by their path; of several on one path the last counts, as it hides the others. */
export function parseMountinfo(text: string | undefined): ReadonlyMap<string, LiveMount> {
  const mounts = new Map<string, LiveMount>();
  for (const line of (text ?? '').split('\n')) {
    // 36 35 98:0 /root /path options tags… - type source superOptions
    const [own, rest] = line.split(' - ');
    const [, , , , path, options] = (own ?? '').split(' ');
    const [type, source, superOptions] = (rest ?? '').split(' ');
    if (path !== undefined && options !== undefined && type !== undefined && source !== undefined) {
      const all = [...options.split(','), ...(superOptions ?? '').split(',')];
      mounts.set(unescapeOctal(path), { type, source: unescapeOctal(source), options: all });
    }
  }
  return mounts;
}

/**
 * The flags that were asked for, and that the live mount doesn't have. Only those that every file system shows: others
 * are printed in ways of their own.
 */
export function missingFlags(options: string, live: LiveMount): readonly string[] {
  return options.split(',').filter((option) => {
    const opposite = oppositeOf.get(option);
    if (opposite !== undefined) {
      return live.options.includes(opposite);
    }
    return shown.has(option) && !live.options.includes(option);
  });
}

const shown: ReadonlySet<string> = new Set(['ro', 'nosuid', 'nodev', 'noexec', 'noatime', 'nodiratime']);

/** Flags that are shown only by the absence of their opposite. `rw` is shown, but `ro` of a bind mount beside it. */
const oppositeOf: ReadonlyMap<string, string> = new Map([
  ['rw', 'ro'],
  ['suid', 'nosuid'],
  ['dev', 'nodev'],
  ['exec', 'noexec'],
  ['atime', 'noatime'],
]);

/** fstab(5) and proc(5) write space, tab, newline and backslash in octal. */
function escapeOctal(text: string): string {
  return text.replace(/[ \t\n\\]/g, (character) => `\\${character.charCodeAt(0).toString(8).padStart(3, '0')}`);
}

function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_whole, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
