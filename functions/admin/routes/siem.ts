/** The routes of destinations: where the audit log is delivered, how each stands, and what operators do with them. */
import { z } from 'zod';
import { type Caller, grantFor } from '../../../lib/access/caller.ts';
import type { AuditLog } from '../../../lib/audit/port.ts';
import type { FleetDescriptor } from '../../../lib/identity/descriptor.ts';
import { type DestinationConfig, destinationConfig } from '../../../lib/siem/config.ts';
import { SiemError } from '../../../lib/siem/errors.ts';
import {
  addDestination,
  confirmTest,
  pauseDestination,
  receiverOf,
  removeDestination,
  replayDestination,
  resumeDestination,
  testDestination,
  updateDestination,
} from '../../../lib/siem/manage.ts';
import { createSealedReader } from '../../../lib/siem/sealed-reader.ts';
import { type DestinationStatus, readStatus, readStatuses } from '../../../lib/siem/status.ts';
import type { Store } from '../../../lib/store/port.ts';
import { Problem } from '../problem.ts';
import { type Route, route, tagged } from '../route.ts';
import { isoTime, type PageOf } from './page.ts';

type SiemRouteDeps = {
  readonly store: Store;
  readonly audit: AuditLog;
  readonly now: () => number;
  readonly descriptor: FleetDescriptor;
};

/** A destination as the API shows it. Times are ISO 8601. */
export type DestinationView = {
  readonly name: string;
  readonly kind: DestinationConfig['kind'];
  /** Host and port, bucket or bus. */
  readonly receiver: string;
  readonly state: DestinationStatus['state'];
  readonly since: string;
  /** Sequence of the next entry, and hex C(next − 1) of what was delivered. */
  readonly next: number;
  readonly chain?: string;
  readonly lag: { readonly entries: number; readonly ms: number };
  readonly generation: number;
  readonly delivered: number;
  readonly filtered: number;
  readonly quarantined: number;
  readonly failures: number;
  readonly retryAt?: string;
  readonly lastError?: { readonly at: string; readonly reason: string };
  readonly deliveredAt?: string;
  /** Events a batch, where the receiver takes fewer than usual. */
  readonly limit?: number;
  readonly test?: {
    readonly nonce: string;
    readonly state: 'waiting' | 'unconfirmed' | 'confirmed';
    readonly at: string;
  };
  readonly replay?: { readonly from: number; readonly to: number; readonly next: number };
  readonly config: DestinationConfig;
  /** For `If-Match`. */
  readonly revision: number;
};

export type TestView = { readonly name: string; readonly nonce: string };

// What a name is, the domain judges; here only the shape.
const params = z.strictObject({ name: z.string().min(1).max(64) });
const sequence = z.int().min(0);
const nothing = z.strictObject({});

export function siemRoutes(deps: SiemRouteDeps): Route[] {
  const { origin } = deps.descriptor.log;
  const manage = { ...deps, origin, reader: createSealedReader({ store: deps.store, origin }) };
  const show = async (name: string, caller: Caller) => {
    const status = await readStatus(manage, name);
    if (status === undefined) throw new Problem('not-found', `there is no destination ${JSON.stringify(name)}`);
    return viewOf(status, caller);
  };
  const tag = (view: DestinationView) => tagged(view, view.revision);
  const step = <Body>(path: string, body: z.ZodType<Body>, act: (order: Order, body: Body) => Promise<unknown>) =>
    route({
      method: 'POST',
      path: `/v1/siem/destinations/:name/${path}`,
      permission: 'siem.write',
      schema: { params, body },
      handler: async ({ principal, caller, params: { name }, body: given }) => {
        await act({ name, actor: principal }, given);
        return show(name, caller);
      },
    });
  return [
    route({
      method: 'GET',
      path: '/v1/siem/destinations',
      permission: 'siem.read',
      handler: async ({ caller }): Promise<PageOf<DestinationView>> => ({
        items: (await readStatuses(manage)).map((status) => viewOf(status, caller)),
      }),
    }),
    route({
      method: 'POST',
      path: '/v1/siem/destinations',
      permission: 'siem.write',
      schema: {
        body: z.strictObject({
          config: destinationConfig,
          /** Where delivery begins: a sequence, or an end of the log. */
          start: z.union([z.enum(['oldest', 'newest']), sequence]).default('oldest'),
        }),
      },
      handler: async ({ principal, caller, body }) => {
        await addDestination(manage, { ...body, actor: principal });
        return show(body.config.name, caller);
      },
    }),
    route({
      method: 'GET',
      path: '/v1/siem/destinations/:name',
      permission: 'siem.read',
      schema: { params },
      handler: async ({ caller, params: { name } }) => tag(await show(name, caller)),
    }),
    route({
      method: 'PUT',
      path: '/v1/siem/destinations/:name',
      permission: 'siem.write',
      guarded: true,
      schema: { params, body: z.strictObject({ config: destinationConfig }) },
      handler: async ({ principal, caller, params: { name }, body, revision = 0 }) => {
        await seen(() => updateDestination(manage, { name, actor: principal, revision, config: body.config }));
        return tag(await show(name, caller));
      },
    }),
    route({
      method: 'DELETE',
      path: '/v1/siem/destinations/:name',
      permission: 'siem.write',
      guarded: true,
      schema: { params },
      handler: async ({ principal, params: { name }, revision = 0 }) => {
        await seen(() => removeDestination(manage, { name, actor: principal, revision }));
        return { name };
      },
    }),
    step('pause', nothing, (order) => pauseDestination(manage, order)),
    step('resume', nothing, (order) => resumeDestination(manage, order)),
    step('replay', z.strictObject({ from: sequence, to: sequence.optional() }), (order, body) =>
      replayDestination(manage, { ...order, ...body }),
    ),
    step('test/confirm', z.strictObject({ nonce: z.string().regex(/^[0-9a-f]{32}$/) }), (order, { nonce }) =>
      confirmTest(manage, { ...order, nonce }),
    ),
    route({
      method: 'POST',
      path: '/v1/siem/destinations/:name/test',
      permission: 'siem.write',
      schema: { params, body: nothing },
      handler: async ({ principal, params: { name } }): Promise<TestView> => {
        const { nonce } = await testDestination(manage, { name, actor: principal });
        return { name, nonce };
      },
    }),
  ];
}

type Order = { readonly name: string; readonly actor: Parameters<typeof pauseDestination>[1]['actor'] };

/** A conflict here is about the revision that the caller named. */
async function seen<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (!(error instanceof SiemError) || error.code !== 'conflict') throw error;
    throw new Problem('precondition-failed', error.message, { cause: error });
  }
}

function viewOf(status: DestinationStatus, caller: Caller): DestinationView {
  const { record, since, chain, retryAt, lastError, deliveredAt, limit, test, replay } = status;
  const { config, revision } = record;
  const { state, next, lag, generation, delivered, filtered, quarantined, failures } = status;
  return {
    ...{ name: config.name, kind: config.kind, receiver: receiverOf(config), state, since: isoTime(since) },
    ...{ next, lag, generation, delivered, filtered, quarantined, failures, revision },
    ...(chain !== undefined && { chain }),
    ...(retryAt !== undefined && { retryAt: isoTime(retryAt) }),
    ...(lastError !== undefined && { lastError: { at: isoTime(lastError.at), reason: lastError.reason } }),
    ...(deliveredAt !== undefined && { deliveredAt: isoTime(deliveredAt) }),
    ...(limit !== undefined && { limit }),
    ...(test !== undefined && { test: { ...test, at: isoTime(test.at) } }),
    ...(replay !== undefined && { replay }),
    config: grantFor(caller, 'siem.write') === 'none' ? withoutPath(config) : config,
  };
}

/** A path can be a capability, as those of many webhooks are: who can't change a destination sees its host alone. */
function withoutPath(config: DestinationConfig): DestinationConfig {
  if (!('url' in config) || config.url === undefined) return config;
  return { ...config, url: `${new URL(config.url).origin}/…` };
}
