/** What a command may touch of the outside: its streams, the environment and its end, as one value. */

export type Terminal = {
  /** Data: what a script reads. */
  out(text: string): void;
  /** Messages: what a person reads. */
  err(text: string): void;
  /** Columns of standard output when it is a terminal. */
  readonly width: number | undefined;
  /** Whether messages go to a person, so that progress may be shown. */
  readonly interactive: boolean;
  /**
   * A value that must not be seen: all of standard input when that is no terminal, otherwise one line that is typed
   * without being shown.
   */
  secret?(prompt: string): Promise<Uint8Array>;
  readonly environment: {
    readonly HOLDFAST_STATE?: string | undefined;
    readonly HOLDFAST_PROFILE?: string | undefined;
  };
  /** Where profiles are kept unless told; none: there are no profiles. */
  readonly configDirectory?: string | undefined;
  /** Waits; real time unless told. */
  pause?(ms: number): Promise<void>;
  /** Resolves when the process is told to stop. Until it is called, such a signal just ends the process. */
  stopped(): Promise<void>;
};
