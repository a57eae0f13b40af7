/** Listings of installed packages, parsed: the databases of dpkg and apk, and what rpm, pacman and brew print. */

export type InstalledPackage = {
  readonly versions: readonly string[];
  /** False when a killed installation left it unpacked or half configured. */
  readonly isComplete: boolean;
};

/** By name, and on multi-architecture systems by `name:architecture` too. */
export type Installed = ReadonlyMap<string, InstalledPackage>;

/** dpkg's own database, deb-control(5) paragraphs with dpkg-query(1)'s `Status`. */
export function parseDpkgStatus(text: string | undefined): Installed {
  const installed = new Map<string, InstalledPackage>();
  for (const paragraph of (text ?? '').split('\n\n')) {
    const name = field(paragraph, 'Package');
    const status = field(paragraph, 'Status')?.split(' ')[2];
    const version = field(paragraph, 'Version');
    // Removed packages whose configuration stayed are listed too.
    if (name === undefined || version === undefined || status === 'not-installed' || status === 'config-files') {
      continue;
    }
    const isComplete = status === 'installed';
    add(installed, name, version, isComplete);
    const architecture = field(paragraph, 'Architecture');
    if (architecture !== undefined) {
      add(installed, `${name}:${architecture}`, version, isComplete);
    }
  }
  return installed;
}

/** apk's database: paragraphs of one-letter fields, `P` the name and `V` the version. `f` marks a broken one. */
export function parseApkInstalled(text: string | undefined): Installed {
  const installed = new Map<string, InstalledPackage>();
  for (const paragraph of (text ?? '').split('\n\n')) {
    const name = /^P:(.+)$/m.exec(paragraph)?.[1];
    const version = /^V:(.+)$/m.exec(paragraph)?.[1];
    if (name !== undefined && version !== undefined) {
      add(installed, name, version, !/^f:/m.test(paragraph));
    }
  }
  return installed;
}

/** Lines of `name version [more]`. A name may stand in several lines, and brew puts several versions into one. */
export function parseNameVersion(text: string): Installed {
  const installed = new Map<string, InstalledPackage>();
  for (const line of text.split('\n')) {
    const [name, version] = line.trim().split(/\s+/);
    if (name !== undefined && name !== '' && version !== undefined) {
      add(installed, name, version, true);
    }
  }
  return installed;
}

function add(installed: Map<string, InstalledPackage>, name: string, version: string, isComplete: boolean): void {
  const known = installed.get(name);
  installed.set(
    name,
    known === undefined
      ? { versions: [version], isComplete }
      : { versions: [...known.versions, version], isComplete: isComplete && known.isComplete },
  );
}

/** A field of one line; those of several are of no interest here. */
function field(paragraph: string, name: string): string | undefined {
  const start = paragraph.startsWith(`${name}: `) ? 0 : paragraph.indexOf(`\n${name}: `) + 1;
  if (start === 0 && !paragraph.startsWith(`${name}: `)) {
    return undefined;
  }
  const end = paragraph.indexOf('\n', start);
  return paragraph.slice(start + name.length + 2, end < 0 ? undefined : end);
}
