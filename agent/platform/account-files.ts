/** The account databases, parsed: passwd(5), group(5) and shadow(5). Lines that are none of theirs are left out. */

export type PasswdEntry = {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly comment: string;
  readonly home: string;
  readonly shell: string;
};

export type GroupEntry = { readonly name: string; readonly gid: number; readonly members: readonly string[] };

const numeric = /^(?:0|[1-9][0-9]{0,9})$/;

/** By name; of two entries with one name the first counts, as for the C library. */
export function parsePasswd(text: string | undefined): ReadonlyMap<string, PasswdEntry> {
  return byName(text, ([name, , uid, gid, comment, home, shell]) =>
    name !== undefined && isId(uid) && isId(gid)
      ? { name, uid: Number(uid), gid: Number(gid), comment: comment ?? '', home: home ?? '', shell: shell ?? '' }
      : undefined,
  );
}

export function parseGroup(text: string | undefined): ReadonlyMap<string, GroupEntry> {
  return byName(text, ([name, , gid, members]) =>
    name !== undefined && isId(gid)
      ? { name, gid: Number(gid), members: (members ?? '').split(',').filter((member) => member !== '') }
      : undefined,
  );
}

/** The password fields of shadow(5): hashes, `*`, `!` and the like. Never to be shown. */
export function parseShadow(text: string | undefined): ReadonlyMap<string, string> {
  const entries = byName(text, ([name, password]) =>
    name !== undefined && password !== undefined ? { name, password } : undefined,
  );
  return new Map([...entries].map(([name, { password }]) => [name, password]));
}

function isId(text: string | undefined): text is string {
  return text !== undefined && numeric.test(text);
}

function byName<T extends { readonly name: string }>(
  text: string | undefined,
  parse: (fields: readonly string[]) => T | undefined,
): ReadonlyMap<string, T> {
  const entries = new Map<string, T>();
  for (const line of (text ?? '').split('\n')) {
    const entry = line === '' || line.startsWith('#') ? undefined : parse(line.split(':'));
    if (entry !== undefined && entry.name !== '' && !entries.has(entry.name)) {
      entries.set(entry.name, entry);
    }
  }
  return entries;
}
