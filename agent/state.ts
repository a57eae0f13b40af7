/**
 * The agent's state directory: who this node is, its keys, the fleet it is pinned to, the release it holds, and the
 * reports that wait. 0700, and every file in it 0600; anything looser is refused, because whoever can write here
 * can say what this machine converges to.
 */
import { lstat, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { readIfPresent, removeLeftOvers, syncDirectory, writeDurably } from './durable.ts';
import { AgentError, fromStateWrite, messageOf, systemCode } from './errors.ts';

/** Where the agent keeps its state unless told otherwise. */
export const defaultStateDirectory = '.holdfast-agent';

/** The files of the state directory, one name for each use. */
export const stateFiles = {
  /** Who this node is: see `NodeFile`. Written last by `join`, so its presence means "joined". */
  node: 'node.json',
  /** The fleet descriptor, byte for byte as pinned by the enrollment token. */
  fleet: 'fleet.json',
  /** Node identity key, Ed25519, PKCS#8 PEM. */
  identityKey: 'identity.pem',
  /** Node sealing key, X25519, PKCS#8 PEM. */
  sealingKey: 'sealing.pem',
  /** Key of the client side of mTLS, P-256, PKCS#8 PEM; new at each renewal. */
  tlsKey: 'tls.key.pem',
  /** Node certificate. */
  tlsCertificate: 'tls.cert.pem',
  /** What an enrollment that wasn't answered yet needs to be tried again with the same keys. */
  joining: 'joining.json',
  /** Resources that were notified and haven't run yet. */
  notified: 'notified.json',
  /** The newest checkpoint of the audit log that this node saw, as the signed note. */
  checkpoint: 'checkpoint',
} as const;

/** What the control plane enrolled this node as. Bindings look at this, never at what the machine calls itself. */
export type NodeFile = {
  readonly v: 1;
  readonly uuid: string;
  /** The enrolled hostname. */
  readonly name: string;
  readonly labels: { readonly [label: string]: string };
  readonly fleet: string;
  /** `host:port` of the gateway. */
  readonly gateway: string;
  /** Base URL of the identity service. */
  readonly server: string;
};

const nodeFile = z.strictObject({
  v: z.literal(1),
  uuid: z.string().regex(/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/),
  name: z.string().min(1).max(253),
  labels: z.record(z.string().min(1).max(63), z.string().max(255)),
  fleet: z.string().regex(/^[a-z][a-z0-9-]{0,62}$/),
  gateway: z.string().min(1).max(300),
  server: z.string().min(1).max(2048),
});

/** Parses node.json. Throws `bad_state`. */
export function parseNodeFile(bytes: Uint8Array): NodeFile {
  try {
    return nodeFile.parse(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)));
  } catch (error) {
    throw new AgentError('bad_state', `${stateFiles.node} of the state directory is damaged: ${messageOf(error)}`, {
      hint: 'restore the state directory from a backup, or revoke this node and join again with an empty one',
      cause: error,
    });
  }
}

/** The bytes of node.json. */
export function formatNodeFile(node: NodeFile): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(nodeFile.parse(node), undefined, 2)}\n`);
}

/** An opened state directory; its permissions were checked. Names are those of `stateFiles`, or `folder/name`. */
export type StateDirectory = {
  readonly path: string;
  /** The file's bytes, or undefined when there is none. Throws `loose_permissions`. */
  read(name: string): Promise<Uint8Array | undefined>;
  /** When this returns the file is durable. */
  write(name: string, bytes: Uint8Array): Promise<void>;
  /** Removes a file, if there. */
  remove(name: string): Promise<void>;
  /** Makes a 0700 folder inside, if it isn't there, and returns its path. */
  folder(name: string): Promise<string>;
};

/**
 * Opens the state directory. With `create` it is made when absent; otherwise an absent one is `not_joined`.
 * Throws `loose_permissions` when group or others have any right to it, or when it belongs to somebody else.
 */
export async function openStateDirectory(path: string, options: { create?: boolean } = {}): Promise<StateDirectory> {
  if (options.create === true) {
    await makeFolder(path);
  }
  await refuseLoose(path, 'directory');
  await removeLeftOvers(path);
  return {
    path,
    async read(name) {
      const file = join(path, name);
      const bytes = await readIfPresent(file);
      if (bytes !== undefined) {
        await refuseLoose(file, 'file');
      }
      return bytes;
    },
    write: (name, bytes) => writeDurably(join(path, name), bytes),
    async remove(name) {
      await rm(join(path, name), { force: true });
      await syncDirectory(path);
    },
    async folder(name) {
      const folder = join(path, name);
      await makeFolder(folder);
      await refuseLoose(folder, 'directory');
      await removeLeftOvers(folder);
      return folder;
    },
  };
}

async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    // A recursive mkdir names a read-only file system so.
    const isReadOnly = systemCode(error) === 'ENOENT';
    throw fromStateWrite(
      isReadOnly ? Object.assign(new Error('EROFS', { cause: error }), { code: 'EROFS' }) : error,
      path,
    );
  }
}

/** Who this node is. Throws `not_joined` when it was never enrolled. */
export async function readNode(state: StateDirectory): Promise<NodeFile> {
  const bytes = await state.read(stateFiles.node);
  if (bytes === undefined) {
    throw notJoined(state.path);
  }
  return parseNodeFile(bytes);
}

/** A file that a joined node must have. Throws `bad_state`. */
export async function readRequired(state: StateDirectory, name: string): Promise<Uint8Array> {
  const bytes = await state.read(name);
  if (bytes === undefined) {
    throw new AgentError('bad_state', `${name} is missing from the state directory ${JSON.stringify(state.path)}`, {
      hint: 'restore the state directory from a backup, or revoke this node and join again with an empty one',
    });
  }
  return bytes;
}

function notJoined(path: string): AgentError {
  return new AgentError('not_joined', `no node is joined in ${JSON.stringify(path)}`, {
    hint: 'run `holdfast-agent join --server URL --token TOKEN`, or name another directory with --state',
  });
}

async function refuseLoose(path: string, kind: 'directory' | 'file'): Promise<void> {
  const status = await lstat(path).catch((error: unknown) => {
    if (systemCode(error) === 'ENOENT') {
      throw notJoined(path);
    }
    throw error;
  });
  const quoted = JSON.stringify(path);
  if (kind === 'directory' ? !status.isDirectory() : !status.isFile()) {
    throw new AgentError('bad_state', `${quoted} is not a ${kind}`, { hint: 'name another directory with --state' });
  }
  const self = process.getuid?.();
  if (self !== undefined && status.uid !== self) {
    throw new AgentError(
      'loose_permissions',
      `${quoted} belongs to user ${status.uid}, and the agent runs as ${self}`,
      {
        hint: `run the agent as that user, or: chown -R ${self} ${quoted}`,
      },
    );
  }
  // Windows has no such bits to judge.
  if (self !== undefined && (status.mode & 0o077) !== 0) {
    throw new AgentError(
      'loose_permissions',
      `${quoted} is open to others (mode ${(status.mode & 0o777).toString(8).padStart(4, '0')})`,
      { hint: `chmod ${kind === 'directory' ? '700' : '600'} ${quoted}` },
    );
  }
}
