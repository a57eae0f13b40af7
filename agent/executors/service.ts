/**
 * `service`: a service that is running or stopped, and comes up with the machine or doesn't. What is left out stays as
 * it is. When a resource that changed notifies it, a running service is restarted (or reloaded, by `on_notify`).
 */
import { z } from 'zod';
import type { Difference, Executor } from '../executor.ts';
import { HostError } from '../host.ts';
import type { ServiceAction, ServiceStatus } from '../platform/service-manager.ts';
import { serviceManagerOf } from '../platform/services.ts';

const schema = z
  .strictObject({
    /** As the machine's service manager names it; with systemd, units other than services too, with their suffix. */
    name: z
      .string()
      .max(200)
      .regex(/^[A-Za-z0-9_][A-Za-z0-9_.@:\\-]*$/, 'must be the name of a service'),
    state: z.enum(['running', 'stopped']).optional(),
    /** Whether it comes up with the machine. */
    enabled: z.boolean().optional(),
    /** Whether it can't be started at all, not even by others (systemd). */
    masked: z.boolean().optional(),
    /** What a running service does when it is notified. `reload` restarts one that can't reload. */
    on_notify: z.enum(['restart', 'reload']).default('restart'),
  })
  .refine((desired) => desired.masked !== true || (desired.state !== 'running' && desired.enabled !== true), {
    message: 'a masked service can be neither running nor enabled',
    path: ['masked'],
  });

export type Service = z.output<typeof schema>;
export type ServiceDifference = Difference & {
  readonly reasons: readonly string[];
  readonly actions: readonly ServiceAction[];
};

export const service: Executor<Service, ServiceDifference> = {
  name: 'service',
  schema,
  id: (desired) => desired.name,
  paths: () => [],

  async check(desired, host, { signal, notified }) {
    const manager = await serviceManagerOf(host);
    const status = await manager.status(host, desired.name, signal);
    if (!status.exists) {
      if (desired.state !== 'running' && desired.enabled !== true && desired.masked !== true) {
        return undefined;
      }
      throw new HostError('not_found', `${manager.tool} knows no service ${JSON.stringify(desired.name)}`);
    }
    const steps = stepsOf(desired, status, notified);
    return steps.length === 0
      ? undefined
      : { change: 'updated', reasons: steps.map(([, reason]) => reason), actions: steps.map(([action]) => action) };
  },

  async apply(found, desired, host, { signal }) {
    const manager = await serviceManagerOf(host);
    for (const action of found.actions) {
      await manager.act(host, desired.name, action, signal);
    }
  },

  describe: (found) => found.reasons.join(', '),
};

type Step = readonly [ServiceAction, string];

/** In an order in which each is possible: unmasked before started, stopped before masked. */
function stepsOf(desired: Service, status: ServiceStatus, notified: boolean): readonly Step[] {
  const steps: Step[] = [];
  const name = JSON.stringify(desired.name);
  if (status.isStale) {
    steps.push(['load', 'its definition on disk is newer']);
  }
  if (desired.masked === false && status.isMasked) {
    steps.push(['unmask', 'it is masked']);
  }
  if (desired.enabled === true && !status.isEnabled) {
    if (status.cannotEnable !== undefined) {
      throw new HostError('system', `${name} can't be enabled: ${status.cannotEnable}`);
    }
    steps.push(['enable', 'it is not enabled']);
  }
  if (desired.enabled === false && status.isEnabled) {
    steps.push(['disable', 'it is enabled']);
  }
  if (desired.state === 'running' && !status.isRunning) {
    if (status.cannotRun !== undefined) {
      throw new HostError('system', `${name} can't be kept running: ${status.cannotRun}`);
    }
    steps.push(['start', 'it is not running']);
  } else if (desired.state === 'stopped' && status.isRunning) {
    steps.push(['stop', 'it is running']);
  } else if (notified && status.isRunning) {
    steps.push([desired.on_notify, 'notified']);
  }
  if (desired.masked === true && !status.isMasked) {
    steps.push(['mask', 'it is not masked']);
  }
  return steps;
}
