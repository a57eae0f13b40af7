/** Git, run so that nothing of a repository or of anybody's configuration is executed. */
import type { Command, HostView, Place } from '../host.ts';
import { mustProbe } from './command.ts';

type Wanted = Omit<Command, 'signal'>;

/** Of SHA-1 and of SHA-256 repositories. */
export function isCommitId(text: string): boolean {
  return /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(text);
}

/**
 * git(1), ENVIRONMENT VARIABLES: only the repository's own configuration is read, and of that what runs commands is
 * overruled below. No terminal, no password, no host that isn't known.
 */
const environment = {
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_TERMINAL_PROMPT: '0',
  GIT_ASKPASS: '/bin/false',
  GIT_OPTIONAL_LOCKS: '0',
  GIT_ALLOW_PROTOCOL: 'https:ssh:file',
  GIT_LFS_SKIP_SMUDGE: '1',
  GIT_NO_REPLACE_OBJECTS: '1',
  GIT_SSH_COMMAND: 'ssh -o BatchMode=yes -o StrictHostKeyChecking=yes -o ProxyCommand=none -o PermitLocalCommand=no',
};

/** git-config(1): everything in a repository's configuration that names a program for what is done here. */
const overruled = [
  'core.hooksPath=/dev/null',
  'core.fsmonitor=false',
  'core.gitProxy=',
  'core.attributesFile=/dev/null',
  'core.protectHFS=true',
  'core.protectNTFS=true',
  'credential.helper=',
  'http.followRedirects=false',
  'submodule.recurse=false',
  'fetch.recurseSubmodules=false',
  'transfer.fsckObjects=true',
  'gc.auto=0',
  'maintenance.auto=false',
  'advice.detachedHead=false',
  'init.defaultBranch=holdfast',
];

/** Makes git commands in a directory (none for those that need no repository), run as an account. */
export function gitCommand(
  directory: string | undefined,
  as: { readonly uid: number; readonly gid: number } | undefined,
): (args: readonly string[]) => Wanted {
  const safe = directory === undefined ? [] : [`safe.directory=${directory}`];
  const options = [...overruled, ...safe].flatMap((setting) => ['-c', setting]);
  return (args) => ({
    argv: ['git', ...options, ...args],
    environment,
    ...(directory === undefined ? {} : { cwd: directory }),
    ...(as === undefined ? {} : { as }),
  });
}

/** Which commit is checked out, and whether tracked files differ from it. Writes nothing, not even the index. */
export async function checkout(
  host: HostView,
  command: (args: readonly string[]) => Wanted,
  place: Place,
  signal: AbortSignal,
): Promise<{ readonly head: string | undefined; readonly isChanged: boolean }> {
  // Without a `.git` of its own, git would take the repository of a directory above.
  const status = await host.inspect({ ...place, path: `${place.path}/.git` });
  if (status?.kind !== 'directory') {
    return { head: undefined, isChanged: false };
  }
  const head = await host.probe({ ...command(['--git-dir=.git', 'rev-parse', '--verify', '--quiet', 'HEAD']), signal });
  if (head.exitCode !== 0) {
    return { head: undefined, isChanged: false };
  }
  const changed = await mustProbe(
    host,
    signal,
    command([
      '--git-dir=.git',
      '--work-tree=.',
      'status',
      '--porcelain',
      '--untracked-files=no',
      '--ignore-submodules=all',
    ]),
  );
  return { head: head.stdout.trim(), isChanged: changed.trim() !== '' };
}
