/**
 * The engine: takes resources in order and makes each one so, and owns all that executors must not have to think of.
 * Nothing is applied without a check that found a difference; a dry run is the same check; after an apply the check
 * must find nothing, or the resource failed; what is protected is refused before it is looked at; and a resource that
 * failed takes along only those that need it.
 */
import { formatCycle, orderResources } from '../lib/policy/order.ts';
import { resourceKey } from '../lib/policy/resource-types.ts';
import { sharedDeadlines, within } from './deadlines.ts';
import { AgentError, messageOf } from './errors.ts';
import { type AnyExecutor, type Change, type ExecutorContext, type Executors, parseDesired } from './executor.ts';
import type { Guard } from './guard.ts';
import { type Host, HostError } from './host.ts';
import { type HostLease, leaseHost } from './host-lease.ts';
import type { Moment } from './machine-look.ts';
import type { Notifications } from './notifications.ts';
import { referencesOf } from './references.ts';
import type { LateTemplate } from './resources.ts';
import { sweepTemporaries } from './sweep.ts';

/** One resource of one crate, as built into a release. References are `type/id`, or `crate:type/id`. */
export type Resource = {
  readonly crate: string;
  readonly type: string;
  readonly id: string;
  /** Parsed here, by the executor's own schema. */
  readonly desired: unknown;
  readonly requires?: readonly string[];
  readonly notify?: readonly string[];
  readonly before?: readonly string[];
  /** Decided before the run: its `when` doesn't hold here, or can't be judged. */
  readonly decided?: { readonly result: 'skipped' | 'failed'; readonly reason: string };
  /** Rules by which its command is unknown, where two operators accepted that. */
  readonly accepted?: readonly string[];
  /** A template that shows a secret, in place of the content. */
  readonly late?: LateTemplate;
};

export type ResultKind = 'unchanged' | Change | 'skipped' | 'blocked' | 'failed';

export type ResourceOutcome = {
  /** crate/type/id. */
  readonly resource: string;
  readonly result: ResultKind;
  /** What differed or why it failed; empty when unchanged. */
  readonly reason: string;
  readonly durationMs: number;
};

export type EngineDeps = {
  readonly executors: Executors;
  readonly host: Host;
  readonly guard: Guard;
  readonly notifications: Notifications;
  /** The verified bytes of a blob of the release. */
  blob(sha256: string): Promise<Uint8Array>;
  /** What is desired with its secrets in place. Throws when one can't be had; then only what needs it fails. */
  open?(resource: Resource): Promise<unknown>;
  /** Takes secrets out of what is reported. */
  redact?(text: string): string;
  now(): number;
  /** A signal that fires after so many milliseconds: the time that one resource has. */
  deadline(timeoutMs: number): AbortSignal;
};

export type RunOptions = {
  /** Check only; the outcome says what would change. */
  readonly dryRun: boolean;
  /** When it fires, the resource under way is finished and the rest is skipped. */
  readonly stop?: AbortSignal;
  /** Takes only these and what they notify, as if everything else were as desired. */
  readonly only?: (resource: Resource) => boolean;
  readonly onOutcome?: (outcome: ResourceOutcome) => void;
};

/** For one check and apply, unless the type says otherwise. */
const resourceTimeoutMs = 10 * 60 * 1000;

const maxReasonLength = 2048;

type Planned = Resource & { readonly key: string };

/**
 * Runs all resources and returns one outcome each, in the order in which they were taken. Throws `bad_release` when
 * they can't be ordered; anything else that goes wrong is the outcome of a resource.
 */
export function runResources(
  deps: EngineDeps,
  resources: readonly Resource[],
  options: RunOptions,
): Promise<ResourceOutcome[]> {
  const run = underWay.then(() => runAlone(deps, resources, options));
  underWay = run.catch(() => undefined);
  return run;
}

/** Between processes, the lock of the state directory does this; within one, runs wait for each other. */
let underWay: Promise<unknown> = Promise.resolve();

async function runAlone(
  deps: EngineDeps,
  resources: readonly Resource[],
  options: RunOptions,
): Promise<ResourceOutcome[]> {
  const order = orderResources(resources.map((one): Planned => ({ ...one, key: resourceKey(one.type, one.id) })));
  if (!order.ok) {
    throw new AgentError('bad_release', `resources depend on each other in a circle: ${formatCycle(order.cycle)}`);
  }
  if (!options.dryRun) {
    await sweepTemporaries(
      deps,
      order.sorted.filter(({ decided }) => decided === undefined),
    );
  }
  const run = new Run(deps, order.sorted, options);
  const outcomes: ResourceOutcome[] = [];
  for (const resource of order.sorted) {
    if (!run.isMeant(resource)) {
      continue;
    }
    const started = deps.now();
    const { result, reason } = await run.take(resource);
    const outcome = {
      resource: `${resource.crate}/${resource.key}`,
      result,
      // Before it is cut: a part of a secret would not be found.
      reason: shorten(deps.redact?.(reason) ?? reason),
      durationMs: Math.max(0, Math.round(deps.now() - started)),
    };
    outcomes.push(outcome);
    options.onOutcome?.(outcome);
  }
  return outcomes;
}

/** What a dry run can't tell. */
class Untold extends Error {}

type Taken = { readonly result: ResultKind; readonly reason: string };

/** Invariant: `unmet` holds exactly the resources taken so far that are not as desired, and why it matters to others. */
class Run {
  readonly #deps: EngineDeps;
  readonly #options: RunOptions;
  readonly #needs: ReadonlyMap<string, readonly string[]>;
  readonly #notifies: ReadonlyMap<string, readonly string[]>;
  readonly #unmet = new Map<string, ResultKind>();
  readonly #meant = new Set<string>();
  readonly #deadline: (timeoutMs: number) => AbortSignal;
  /** In a dry run: those that a change would have notified. */
  readonly #wouldNotify = new Set<string>();
  /** Until something is changed. What runs commands may change anything. */
  #moment: Moment = {};
  /** In a dry run: the first that would change. */
  #wouldChange: string | undefined;

  constructor(deps: EngineDeps, resources: readonly Planned[], options: RunOptions) {
    this.#deps = deps;
    this.#deadline = sharedDeadlines(deps);
    this.#options = options;
    const references = referencesOf(resources);
    this.#needs = references.needs;
    this.#notifies = references.notifies;
  }

  /** Whether this run is about the resource. Asked in order, so what notifies it was asked before. */
  isMeant(resource: Planned): boolean {
    const { only } = this.#options;
    const key = fullKey(resource);
    if (only === undefined || only(resource) || this.#meant.has(key)) {
      for (const target of this.#notifies.get(key) ?? []) {
        this.#meant.add(target);
      }
      return true;
    }
    return false;
  }

  async take(resource: Planned): Promise<Taken> {
    const key = fullKey(resource);
    // What is not meant for this machine is nobody's obstacle.
    if (resource.decided?.result === 'skipped') {
      return resource.decided;
    }
    const taken = await this.#attempt(resource, key).catch(
      (error: unknown): Taken => ({
        result: error instanceof Untold ? 'skipped' : 'failed',
        reason: messageOf(error),
      }),
    );
    if (taken.result === 'failed' || taken.result === 'blocked' || taken.result === 'skipped') {
      this.#unmet.set(key, taken.result);
    }
    return taken;
  }

  async #attempt(resource: Planned, key: string): Promise<Taken> {
    if (this.#options.stop?.aborted === true) {
      return { result: 'skipped', reason: 'the agent is stopping' };
    }
    if (resource.decided !== undefined) {
      return resource.decided;
    }
    const missing = this.#needs.get(key)?.find((needed) => this.#unmet.has(needed));
    if (missing !== undefined) {
      return { result: 'skipped', reason: `${missing} is ${this.#unmet.get(missing)}` };
    }
    const executor = this.#deps.executors.get(resource.type);
    if (executor === undefined) {
      return {
        result: 'failed',
        reason: `this agent does not know the resource type ${JSON.stringify(resource.type)}`,
      };
    }
    const desired = this.#deps.open === undefined ? resource.desired : await this.#deps.open(resource);
    const parsed = parseDesired(executor, desired);
    if (!parsed.success) {
      const issue = parsed.error.issues[0];
      return {
        result: 'failed',
        reason: `not a ${resource.type}: ${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`,
      };
    }
    // The guard and the order were decided by the id, so it must be the one of what is applied.
    if (executor.id(parsed.data) !== resource.id) {
      return { result: 'failed', reason: 'the id is not that of what is desired' };
    }
    const blocked = await this.#blocked(executor, parsed.data, resource);
    if (blocked !== undefined) {
      return blocked;
    }
    if (executor.name === 'exec') this.#moment = {};
    return this.#converge(executor, parsed.data, resource);
  }

  async #blocked(executor: AnyExecutor, desired: unknown, { type, accepted }: Planned): Promise<Taken | undefined> {
    const reason = await this.#deps.guard({
      type,
      desired,
      paths: await executor.paths(desired, this.#deps.host),
      ...(accepted === undefined ? {} : { accepted }),
      moment: this.#moment,
    });
    return reason === undefined ? undefined : { result: 'blocked', reason };
  }

  async #converge(executor: AnyExecutor, desired: unknown, resource: Planned): Promise<Taken> {
    const lease = leaseHost(this.#deps.host);
    try {
      return await this.#convergeLeased(executor, desired, resource, lease);
    } finally {
      lease.end();
    }
  }

  async #convergeLeased(executor: AnyExecutor, desired: unknown, resource: Planned, lease: HostLease): Promise<Taken> {
    const { notifications, blob } = this.#deps;
    const key = fullKey(resource);
    const signal = this.#deadline(executor.timeoutMs ?? resourceTimeoutMs);
    const notified = notifications.has(key) || this.#wouldNotify.has(key);
    const context = { signal, blob, notified };

    const found = await within(signal, this.#check(executor, desired, lease, context));
    if (found === undefined) {
      await this.#settle(key);
      return { result: 'unchanged', reason: '' };
    }
    const taken: Taken = { result: found.change, reason: executor.describe(found) };
    const targets = this.#notifies.get(key) ?? [];
    if (this.#options.dryRun) {
      this.#wouldChange ??= key;
      for (const target of targets) {
        this.#wouldNotify.add(target);
      }
      return taken;
    }
    // What was seen when it was judged may be another by now.
    this.#moment = {};
    const blocked = await this.#blocked(executor, desired, resource);
    if (blocked !== undefined) {
      return blocked;
    }
    // Before the change, so that a kill right after it can't lose the notification: at worst it is given in vain.
    await notifications.add(targets);
    try {
      await within(signal, executor.apply(found, desired, lease.host, context));
    } finally {
      this.#moment = {};
    }
    const left = await within(signal, executor.check(desired, lease.view, { ...context, notified: false }));
    if (left !== undefined) {
      return { result: 'failed', reason: `still not as desired after it was applied: ${executor.describe(left)}` };
    }
    await this.#settle(key);
    return taken;
  }

  /**
   * In a dry run, what an earlier resource would have made isn't there: a user, a directory, a unit. That's no failure,
   * only something that can't be told yet.
   */
  async #check(executor: AnyExecutor, desired: unknown, lease: HostLease, context: ExecutorContext) {
    try {
      return await executor.check(desired, lease.view, context);
    } catch (error) {
      const isMissing = error instanceof HostError && (error.code === 'not_found' || error.code === 'unknown_account');
      if (this.#wouldChange === undefined || !isMissing) {
        throw error;
      }
      throw new Untold(`can't be told before ${this.#wouldChange} is applied: ${error.message}`);
    }
  }

  /** The resource is as desired, so whatever asked it to run again has been answered. */
  async #settle(key: string): Promise<void> {
    if (!this.#options.dryRun) {
      await this.#deps.notifications.remove(key);
    }
  }
}

function fullKey(resource: Planned): string {
  return `${resource.crate}:${resource.key}`;
}

function shorten(reason: string): string {
  return reason.length <= maxReasonLength ? reason : `${reason.slice(0, maxReasonLength)}…`;
}
