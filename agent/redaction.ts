/**
 * What the agent takes out of everything it says while a run has secrets: reports, errors, its own log. One for the
 * process, so that a line that is written from anywhere passes through it.
 */
import { createRedactor, type RedactedStream, type Redactor } from '../lib/secrets/redaction.ts';

export interface Redaction {
  /** The values of the run under way. */
  set(values: readonly Uint8Array[]): void;
  clear(): void;
  text(text: string): string;
  /** For what comes in chunks, such as the output of a command. */
  stream(): RedactedStream;
}

export function createRedaction(): Redaction {
  const nothing = createRedactor([]);
  let redactor: Redactor = nothing;
  return {
    set(values) {
      redactor = createRedactor(values);
    },
    clear() {
      redactor = nothing;
    },
    text: (text) => redactor.text(text),
    stream: () => redactor.stream(),
  };
}
