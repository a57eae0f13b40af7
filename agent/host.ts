/**
 * The host port: the one door between executors and the machine. `HostView` reads; `Host` also changes. A check gets
 * only a view, so a dry run can't write by construction.
 *
 * Contract of every change of a file:
 * - it is whole or not at all: a kill at any step leaves the old state or the new, plus at most one recognisable
 *   temporary that `sweep` removes;
 * - a file has its final owner and mode before its first byte of content;
 * - no symlink is followed that anybody but root or the agent could have placed, and none in the last component;
 * - when it returns, it survives a crash of the machine.
 */

export type HostErrorCode =
  /** There is nothing at that path. */
  | 'not_found'
  /** Something else than expected is at that path: a directory, a device, a socket. */
  | 'wrong_kind'
  /** Somebody else than root, the agent or the declared owner has control over a directory on the way. */
  | 'untrusted_directory'
  | 'too_large'
  | 'not_empty'
  | 'unknown_account'
  | 'timed_out'
  /** The operating system said no: full disk, read-only file system, missing right. */
  | 'system';

export class HostError extends Error {
  override readonly name = 'HostError';
  readonly code: HostErrorCode;
  constructor(code: HostErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/**
 * A path on the machine, absolute and normalised. `owner` is the user id that the resource declares: a directory on
 * the way may belong to it as well as to root and to the agent.
 */
export type Place = { readonly path: string; readonly owner?: number | undefined };

export type Status = {
  readonly kind: 'file' | 'directory' | 'symlink' | 'other';
  /** Permission bits, setuid, setgid and sticky included. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly bytes: number;
  /** Of a symlink: what it points to, verbatim. */
  readonly target: string | undefined;
  /** Differs after every change of what is there: device, inode, size and times. */
  readonly version: string;
};

export type Ownership = { readonly mode: number; readonly uid: number; readonly gid: number };

export type Command = {
  /** Program and arguments; nothing goes through a shell unless the program is one. */
  readonly argv: readonly [string, ...string[]];
  readonly cwd?: string | undefined;
  /** When it fires, the command and everything it started is killed. */
  readonly signal: AbortSignal;
  /** Added to the fixed environment. Never a secret: other users can see it. */
  readonly environment?: { readonly [name: string]: string };
  /** Standard input; none when left out. */
  readonly input?: string | Uint8Array;
  /** Runs as this user and group, with no others. */
  readonly as?: { readonly uid: number; readonly gid: number };
  /** How much of the output is kept; 8 KiB when left out. */
  readonly maxOutputBytes?: number;
};

/**
 * `exitCode` is undefined when a signal ended it. `output` is stdout and stderr together, `stdout` is stdout alone; of
 * both, the last bytes only.
 */
export type CommandResult = {
  readonly exitCode: number | undefined;
  readonly output: string;
  readonly stdout: string;
};

export type HostView = {
  /** Who the agent runs as. */
  readonly self: { readonly uid: number; readonly gid: number };
  /** The kind of operating system, as Node names it. */
  readonly platform: string;
  /** What is there, not following a symlink; undefined when nothing is. */
  inspect(place: Place): Promise<Status | undefined>;
  /** SHA-256 (hex) of a regular file's content. */
  digest(place: Place): Promise<string>;
  /** A regular file's bytes. Throws `too_large` past `maxBytes`. */
  read(place: Place, maxBytes: number): Promise<Uint8Array>;
  /** The names of a directory's entries, in no order; undefined when there is none. */
  list(place: Place): Promise<readonly string[] | undefined>;
  /**
   * What `parse` makes of a file's text (undefined when there is none). Kept until the file changes or a command has
   * run, so that a thousand resources read a database of the system once. `parse` must be one and the same function.
   */
  parsed<T>(place: Place, parse: (text: string | undefined) => T): Promise<T>;
  /** What `make` returned the first time, until a command has run: for a listing that a tool prints. */
  remembered<T>(key: string, make: () => Promise<T>): Promise<T>;
  /** Runs a command that only looks, as a guard does. Throws `timed_out`, or `system` when it can't start. */
  probe(command: Command): Promise<CommandResult>;
  /** The numeric id of a user or group given by name or number. Throws `unknown_account`. */
  userId(account: string | number): Promise<number>;
  groupId(account: string | number): Promise<number>;
};

export type Host = HostView & {
  /**
   * Makes or replaces a regular file (or a symlink) with this content. The directory must exist. `validate` gets the
   * path of the complete temporary before it takes its name; what it throws leaves everything as it was.
   */
  writeFile(
    place: Place,
    content: Uint8Array,
    ownership: Ownership,
    validate?: (temporary: string) => Promise<void>,
  ): Promise<void>;
  /** Makes a directory. Its parent must exist. */
  makeDirectory(place: Place, ownership: Ownership): Promise<void>;
  /** Gives an existing directory this mode and owner. */
  setDirectory(place: Place, ownership: Ownership): Promise<void>;
  /** Makes or replaces a symlink, never following one. */
  writeSymlink(place: Place, target: string): Promise<void>;
  /** Removes a file or symlink; nothing there is fine. */
  removeFile(place: Place): Promise<void>;
  /** Removes a directory: an empty one, or with `recurse` all of it, never across a mount. */
  removeDirectory(place: Place, options: { readonly recurse: boolean }): Promise<void>;
  /** Runs a command that changes the machine. Throws as `probe`. */
  run(command: Command): Promise<CommandResult>;
  /** Removes the temporaries that a killed run of ours left in a directory. Returns how many. */
  sweep(place: Place): Promise<number>;
};

/** The steps at which a change can be cut short, in the order in which each kind of change takes them. */
export type Step =
  | 'create temporary'
  | 'set ownership'
  | 'write'
  | 'sync'
  | 'rename'
  | 'sync directory'
  | 'remove temporary'
  | 'make directory'
  | 'remove'
  | 'run';
