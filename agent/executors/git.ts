/**
 * `git`: a checkout of a repository at this commit, tag or branch. With a commit's full id nothing is asked of the
 * network once it is there; a branch or tag is looked up at each run.
 *
 * Nothing of the repository is run: no hooks, no submodules, no filters or helpers of a configuration that isn't the
 * agent's, and no redirect is followed. Tracked files that were changed by hand are put back; others are left alone.
 */
import { z } from 'zod';
import type { Difference, Executor, ExecutorContext } from '../executor.ts';
import { HostError, type HostView } from '../host.ts';
import { mustProbe, mustRun } from '../platform/command.ts';
import { checkout, gitCommand, isCommitId } from '../platform/git.ts';
import { absolutePath, account, declaredOwner, hasControlCharacters, mode, resolveOwnership } from './fields.ts';

/** As `git clone` would make it. */
const defaultMode = '0755';

/** No scheme that runs a command of its own (`ext::`), no account in the URL, no option. */
const repository = z
  .string()
  .max(2000)
  .refine((text) => !hasControlCharacters(text) && !/[\s'"\\]/.test(text), 'must have no spaces and quotes')
  .regex(
    /^(?:https:\/\/[^@/]+\/|ssh:\/\/(?:[A-Za-z0-9_.-]+@)?[A-Za-z0-9[][^@/]*\/|[A-Za-z0-9_.-]+@[A-Za-z0-9][A-Za-z0-9.-]*:(?!:)|file:\/\/\/|\/)/,
    'must be an https, ssh or file URL without a password, user@host:path, or an absolute path',
  );

const schema = z.strictObject({
  path: absolutePath,
  repository,
  /** A commit's full id, or the name of a branch or tag, or a full reference ("refs/…"). */
  ref: z
    .string()
    .max(250)
    .regex(/^[A-Za-z0-9_][A-Za-z0-9._/+@-]*$/, 'must be a commit id, branch or tag')
    .refine((text) => !/\.\.|@\{|\/\/|\.lock(?:\/|$)|[./]$/.test(text), 'must be a name that git allows'),
  /** Who git runs as, and whom the checkout belongs to. */
  owner: account.optional(),
  group: account.optional(),
  /** Of the directory; 0755 when left out. */
  mode: mode.optional(),
});

export type Git = z.output<typeof schema>;
export type GitDifference = Difference & { readonly reasons: readonly string[]; readonly wanted: Wanted };

/** `reference` is undefined when the commit itself was asked for. */
type Wanted = { readonly commit: string; readonly reference: string | undefined };

export const git: Executor<Git, GitDifference> = {
  name: 'git',
  schema,
  id: (desired) => desired.path,
  paths: (desired) => [desired.path],
  timeoutMs: 30 * 60_000,

  async check(desired, host, context) {
    const place = { path: desired.path, owner: await declaredOwner(desired.owner, host) };
    const status = await host.inspect(place);
    if (status !== undefined && status.kind !== 'directory') {
      throw new HostError('wrong_kind', `${JSON.stringify(desired.path)} is there and no directory: remove it first`);
    }
    const inside = status === undefined ? [] : ((await host.list(place)) ?? []);
    if (inside.length > 0 && !inside.includes('.git')) {
      throw new HostError('not_empty', `${JSON.stringify(desired.path)} holds something else than a checkout`);
    }
    const wanted = await wantedCommit(desired, host, context);
    if (status === undefined || inside.length === 0) {
      return { change: 'created', reasons: ['there is no checkout'], wanted };
    }
    const state = await checkout(host, await commandOf(desired, host), place, context.signal);
    const reasons = [
      ...(state.head === wanted.commit
        ? []
        : [`${state.head?.slice(0, 12) ?? 'nothing'} instead of ${wanted.commit.slice(0, 12)}`]),
      ...(state.isChanged ? ['files were changed'] : []),
    ];
    return reasons.length === 0 ? undefined : { change: 'updated', reasons, wanted };
  },

  async apply(found, desired, host, context) {
    const place = { path: desired.path, owner: await declaredOwner(desired.owner, host) };
    if ((await host.inspect(place)) === undefined) {
      const ownership = await resolveOwnership({ ...desired, mode: desired.mode ?? defaultMode }, host);
      await host.makeDirectory(place, ownership);
    }
    const command = await commandOf(desired, host);
    const run = (...args: string[]) => mustRun(host, context.signal, command(args));
    // Each step does nothing when it was done before, so that a run that was killed goes on from there.
    await run('init', '--quiet', '--template=');
    await host.removeFile({ ...place, path: `${desired.path}/.git/index.lock` });
    await host.removeFile({ ...place, path: `${desired.path}/.git/HEAD.lock` });
    const { commit, reference } = found.wanted;
    const has = await host.probe({ ...command(['cat-file', '-e', `${commit}^{commit}`]), signal: context.signal });
    if (has.exitCode !== 0) {
      // A commit needn't be at the tip of a reference, and not every server gives it out by itself.
      const fetch = ['fetch', '--quiet', '--no-tags', '--no-recurse-submodules', '--no-write-fetch-head'];
      const wanted = reference === undefined ? '+refs/*:refs/holdfast/*' : `+${reference}:refs/holdfast/wanted`;
      await run(...fetch, '--', desired.repository, wanted);
    }
    await run('checkout', '--quiet', '--force', '--detach', '--no-recurse-submodules', commit, '--');
  },

  describe: (found) => found.reasons.join(', '),
};

async function commandOf(desired: Git, host: HostView) {
  const uid = await declaredOwner(desired.owner, host);
  const gid = desired.group === undefined ? undefined : await host.groupId(desired.group);
  const isOther = uid !== undefined && uid !== host.self.uid;
  const as = isOther ? { uid, gid: gid ?? (await primaryGroup(desired, host, uid)) } : undefined;
  return gitCommand(desired.path, as);
}

/** Of an owner by number there may be no account: its group is then the agent's. */
async function primaryGroup(desired: Git, host: HostView, uid: number): Promise<number> {
  const status = await host.inspect({ path: desired.path, owner: uid });
  return status?.uid === uid ? status.gid : host.self.gid;
}

/** The commit that the reference names now. */
async function wantedCommit(desired: Git, host: HostView, context: ExecutorContext): Promise<Wanted> {
  if (isCommitId(desired.ref)) {
    return { commit: desired.ref, reference: undefined };
  }
  const command = gitCommand(undefined, (await commandOf(desired, host))([]).as);
  // `^{}` is the commit that an annotated tag names.
  const names = desired.ref.startsWith('refs/')
    ? [desired.ref, `${desired.ref}^{}`]
    : [`refs/heads/${desired.ref}`, `refs/tags/${desired.ref}`, `refs/tags/${desired.ref}^{}`];
  const printed = await mustProbe(host, context.signal, command(['ls-remote', '--', desired.repository, ...names]));
  const found = new Map(printed.split('\n').map((line) => [line.split('\t')[1], line.split('\t')[0]]));
  const name = names.toReversed().find((one) => isCommitId(found.get(one) ?? ''));
  const commit = name === undefined ? undefined : found.get(name);
  if (name === undefined || commit === undefined) {
    const quoted = JSON.stringify(desired.repository);
    throw new HostError('system', `${quoted} has no branch or tag ${JSON.stringify(desired.ref)}`);
  }
  return { commit, reference: name.replace(/\^\{\}$/, '') };
}
