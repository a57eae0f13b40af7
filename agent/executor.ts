/**
 * The executor contract: how one resource type is checked and applied. Everything else is the engine's (order,
 * guardrails, dry run, verify-after-apply, timeouts, notifications, results), so no author can forget it:
 * nothing is applied without a check that found a difference, and a dry run is that same check.
 */
import type { z } from 'zod';
import type { Host, HostView } from './host.ts';

/** What applying a difference does to the resource. */
export type Change = 'created' | 'updated' | 'removed';

/** What a check found. Each type adds what its own apply and its description need. */
export type Difference = { readonly change: Change };

export type ExecutorContext = {
  /** Fires when the resource's time is up. */
  readonly signal: AbortSignal;
  /** Another resource that changed asked for this one to run again. Never set in the check after an apply. */
  readonly notified: boolean;
  /** The verified bytes of a blob of the release, by SHA-256 (hex). */
  blob(sha256: string): Promise<Uint8Array>;
};

export type Executor<Desired, Found extends Difference> = {
  /** The key that names the type in a crate, such as `file`. */
  readonly name: string;
  /** The strict schema of what is desired, as built into a release. */
  readonly schema: z.ZodType<Desired>;
  /** What tells two resources of this type apart on one node. */
  id(desired: Desired): string;
  /**
   * The paths that apply may make, change or remove: judged by the guard before anything is looked at. Those that
   * follow from the machine, as a home directory, are looked up.
   */
  paths(desired: Desired, host: HostView): readonly string[] | Promise<readonly string[]>;
  /** Files of the system that this type alone keeps, as fstab: never chosen by a crate, so not judged, but cleaned up. */
  readonly keeps?: readonly string[];
  /** For a check and an apply together; ten minutes when left out. */
  readonly timeoutMs?: number;
  /** Compares, and changes nothing. Undefined when the machine is as desired. */
  check(desired: Desired, host: HostView, context: ExecutorContext): Promise<Found | undefined>;
  /** Removes the difference. May be cut short at any step; the next check must see what is left to do. */
  apply(found: Found, desired: Desired, host: Host, context: ExecutorContext): Promise<void>;
  /** The difference in a few words for the report, without contents of files. */
  describe(found: Found): string;
};

// biome-ignore lint/suspicious/noExplicitAny: each executor has its own shapes, which only its own schema and check make
export type AnyExecutor = Executor<any, any>;

export type Executors = ReadonlyMap<string, AnyExecutor>;

type Parsed = ReturnType<AnyExecutor['schema']['safeParse']>;

const parsedOnce = new WeakMap<object, { readonly executor: AnyExecutor; readonly parsed: Parsed }>();

/** What is desired, by the type's own schema. One and the same object is parsed once. */
export function parseDesired(executor: AnyExecutor, desired: unknown): Parsed {
  if (typeof desired !== 'object' || desired === null) {
    return executor.schema.safeParse(desired);
  }
  const known = parsedOnce.get(desired);
  if (known?.executor === executor) {
    return known.parsed;
  }
  const parsed = executor.schema.safeParse(desired);
  parsedOnce.set(desired, { executor, parsed });
  return parsed;
}
