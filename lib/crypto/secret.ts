/** A secret value that cannot be printed, logged or serialised by accident: every such road shows `[redacted]`. */

import { inspect } from 'node:util';

const REDACTED = '[redacted]';

/** Invariant: the value is reachable only through `reveal()`, so that a search for it finds every place where a secret is used. */
export class Secret<T> {
  readonly #value: T;

  constructor(value: T) {
    this.#value = value;
  }

  reveal(): T {
    return this.#value;
  }

  toString(): string {
    return REDACTED;
  }

  toJSON(): string {
    return REDACTED;
  }

  [inspect.custom](): string {
    return REDACTED;
  }
}
