/**
 * Members of an archive as the agent takes them: regular files and directories, each with a path that stays inside.
 * Everything in an archive is its author's: anything else than that refuses the archive as a whole, before anything is
 * written.
 */
import { HostError } from '../host.ts';

export type Member =
  | { readonly kind: 'directory'; readonly path: string; readonly mode: number }
  | { readonly kind: 'file'; readonly path: string; readonly mode: number; readonly content: Uint8Array };

/** So that a small archive can't fill the machine. */
export const archiveLimits = { maxMembers: 50_000, maxBytes: 1024 * 1024 * 1024, maxPathBytes: 3000 } as const;

export function refuse(reason: string): HostError {
  return new HostError('wrong_kind', `the archive is refused: ${reason}`);
}

/** The path in its one spelling, without `strip` leading parts. Undefined when nothing is left. Throws otherwise. */
export function confine(name: string, strip: number): string | undefined {
  const quoted = JSON.stringify(name.slice(0, 200));
  if (name.startsWith('/') || /^[A-Za-z]:/.test(name) || name.includes('\\')) {
    throw refuse(`the member ${quoted} has an absolute path or a backslash`);
  }
  if (/\p{Cc}/u.test(name) || Buffer.byteLength(name) > archiveLimits.maxPathBytes) {
    throw refuse(`the member ${quoted} has a path that no file should have`);
  }
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) {
    throw refuse(`the member ${quoted} leads out of the directory`);
  }
  if (parts.some((part) => Buffer.byteLength(part) > 255)) {
    throw refuse(`the member ${quoted} has a name that is too long`);
  }
  const kept = parts.slice(strip);
  return kept.length === 0 ? undefined : kept.join('/');
}

/** The members with directories that are only implied, sorted so that a directory comes before what is in it. */
export function complete(members: readonly Member[]): readonly Member[] {
  const all = new Map<string, Member>();
  for (const member of members) {
    for (const path of parentsOf(member.path)) {
      const parent = all.get(path);
      if (parent?.kind === 'file') {
        throw refuse(`${JSON.stringify(path)} is a file and a directory`);
      }
      all.set(path, parent ?? { kind: 'directory', path, mode: 0o755 });
    }
    const known = all.get(member.path);
    if (known !== undefined && (known.kind !== 'directory' || member.kind !== 'directory')) {
      throw refuse(`${JSON.stringify(member.path)} is in it twice`);
    }
    all.set(member.path, member);
  }
  return [...all.values()].sort((one, other) => (one.path < other.path ? -1 : 1));
}

function parentsOf(path: string): readonly string[] {
  const parts = path.split('/').slice(0, -1);
  return parts.map((_part, index) => parts.slice(0, index + 1).join('/'));
}
