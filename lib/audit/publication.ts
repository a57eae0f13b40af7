/** Where the log is published: files at the paths of C2SP tlog-tiles, on any medium. */

/** Reads published files; everything it returns is attacker-controlled. */
export interface LogSource {
  /** The bytes at a path such as `checkpoint` or `tile/0/000`, or none. */
  read(path: string): Promise<Uint8Array | undefined>;
}

export interface Publication extends LogSource {
  /**
   * Stores a tile or a bundle. When it returns, the file is durable and whole. A path holds one content for ever:
   * the same bytes again are no error, other bytes are `AuditError` `corrupt`.
   */
  write(path: string, bytes: Uint8Array): Promise<void>;
  /** Replaces the checkpoint in one step, durably; false, and nothing done, when a larger one is published already. */
  publishCheckpoint(note: Uint8Array, size: number): Promise<boolean>;
  /** Drops the partial files of a tile that is full now, as C2SP tlog-tiles allows. `path` is the full tile's. */
  dropPartials(path: string): Promise<void>;
}
