/** The routes of destinations: where the audit log is delivered, how each stands, and what operators do with them. */
import { z } from 'zod';
import { type Caller, grantFor } from '../../../lib/access/caller.ts';
import type { AuditLog } from '../../../lib/audit/port.ts';
import type { FleetDescriptor } from '../../../lib/identity/descriptor.ts';
import { type DestinationConfig, destinationConfig, destinationKinds, shownConfig } from '../../../lib/siem/config.ts';
import { feedStates } from '../../../lib/siem/cursor.ts';
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
import { count, pageSchema, sha256, time, type View } from '../view.ts';
import { isoTime, type PageOf } from './page.ts';

type SiemRouteDeps = {
  readonly store: Store;
  readonly audit: AuditLog;
  readonly now: () => number;
  readonly descriptor: FleetDescriptor;
};

const destinationView = z
  .strictObject({
    name: z.string(),
    kind: z.enum(destinationKinds),
    /** Host and port, bucket or bus. */
    receiver: z.string(),
    state: z.enum([...feedStates, 'paused']),
    since: time,
    /** Sequence of the next entry, and C(next − 1) of what was delivered. */
    next: count,
    chain: sha256.optional(),
    lag: z.strictObject({ entries: count, ms: count }),
    generation: count,
    delivered: count,
    filtered: count,
    quarantined: count,
    failures: count,
    retryAt: time.optional(),
    lastError: z.strictObject({ at: time, reason: z.string() }).optional(),
    deliveredAt: time.optional(),
    /** Events a batch, where the receiver takes fewer than usual. */
    limit: count.optional(),
    test: z
      .strictObject({ nonce: z.string(), state: z.enum(['waiting', 'unconfirmed', 'confirmed']), at: time })
      .optional(),
    replay: z.strictObject({ from: count, to: count, next: count }).optional(),
    config: shownConfig,
    /** For `If-Match`. */
    revision: z.int().min(1),
  })
  .meta({ id: 'Destination', description: 'Where the audit log is delivered, and how that stands.' });
/** A destination as the API shows it. */
export type DestinationView = Omit<View<typeof destinationView>, 'config'> & { readonly config: DestinationConfig };

const testView = z.strictObject({ name: z.string(), nonce: z.string() }).meta({ id: 'DestinationTest' });
export type TestView = View<typeof testView>;

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
      answer: destinationView,
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
      answer: pageSchema(destinationView),
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
      answer: destinationView,
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
      answer: destinationView,
      handler: async ({ caller, params: { name } }) => tag(await show(name, caller)),
    }),
    route({
      method: 'PUT',
      path: '/v1/siem/destinations/:name',
      permission: 'siem.write',
      guarded: true,
      schema: { params, body: z.strictObject({ config: destinationConfig }) },
      answer: destinationView,
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
      answer: z.strictObject({ name: z.string() }),
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
      answer: testView,
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
