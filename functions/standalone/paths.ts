/** The state directory of an embedded control plane: every name in it, in one place. */
import { chmod, lstat, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { StandaloneError } from './errors.ts';

export type StatePaths = ReturnType<typeof statePaths>;

/** Nothing that the control plane writes lies outside of `root`. */
export function statePaths(root: string) {
  return {
    root,
    /** Listeners and names; see config.ts. */
    config: join(root, 'config.json'),
    /** The fleet descriptor, canonical bytes. Its presence means that the fleet exists. */
    fleet: join(root, 'fleet.json'),
    /** Private keys, sealed; see lib/keys. */
    keys: join(root, 'keys'),
    /** Secret values, sealed under master keys that `keys` seals; see lib/secrets. */
    secrets: join(root, 'secrets'),
    store: join(root, 'store.sqlite'),
    blobs: join(root, 'blobs'),
    /** The published audit log: checkpoint and tiles. */
    log: join(root, 'log'),
    /** The operator's own side: its copy of the descriptor, and in the demo its key. The server only ever writes it once. */
    operator: join(root, 'operator'),
    operatorFleet: join(root, 'operator', 'fleet.json'),
    /** What lives for one boot: token, endpoint, lock. */
    run: join(root, 'run'),
    endpoint: join(root, 'run', 'endpoint.json'),
    lock: join(root, 'run', 'lock.sqlite'),
    serverLog: join(root, 'server.log'),
    demo: join(root, 'demo'),
    /** Builds of the checkout that `npm start` runs; see build/develop.ts. */
    build: join(root, 'build'),
  } as const;
}

/** Makes the state directory 0700, or takes one that is ours and empty of others' rights. */
export async function openStateRoot(root: string): Promise<StatePaths> {
  const paths = statePaths(root);
  try {
    await mkdir(root, { recursive: true, mode: 0o700 });
    await requireOwn(root);
    for (const directory of [paths.run, paths.operator]) await mkdir(directory, { recursive: true, mode: 0o700 });
  } catch (error) {
    if (error instanceof StandaloneError) throw error;
    throw unusable(root, error as NodeJS.ErrnoException);
  }
  return paths;
}

async function requireOwn(root: string): Promise<void> {
  const stats = await lstat(root);
  if (!stats.isDirectory())
    throw new StandaloneError('state_unusable', `${JSON.stringify(root)} is not a directory`, {
      hint: 'name another state directory',
    });
  const self = process.getuid?.();
  if (self === undefined) return;
  if (stats.uid !== self)
    throw new StandaloneError(
      'state_unusable',
      `${JSON.stringify(root)} belongs to user ${stats.uid}, not to ${self}`,
      {
        hint: 'run the server as the owner, or name another state directory',
      },
    );
  // A directory that somebody made with an ordinary umask and that holds nothing of ours yet is simply closed.
  if ((stats.mode & 0o077) !== 0) await chmod(root, 0o700);
}

function unusable(root: string, error: NodeJS.ErrnoException): StandaloneError {
  const reason = error.code === 'EROFS' ? 'the file system is read-only' : `${error.code ?? error.message}`;
  return new StandaloneError('state_unusable', `can't use ${JSON.stringify(root)} as state directory: ${reason}`, {
    hint: 'name a directory that this account may write to, with --state',
    cause: error,
  });
}
