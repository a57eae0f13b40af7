/**
 * Delivery on AWS as two functions in one bundle. `router` is invoked by the table's stream and every minute, and rings
 * for destinations with something to do; `deliver` is invoked by the queue of rings, a message at a time, and delivers
 * until its time is over. Both may run twice, late or side by side.
 */
import { openAuditWriter } from '../../lib/audit/writer.ts';
import { keepMemoryOutOfCores } from '../../lib/secrets/core-dumps.ts';
import { createCredentialReader } from '../../lib/siem/credentials.ts';
import { openDestination } from '../../lib/siem/destinations/open.ts';
import { createOpened } from '../../lib/siem/dispatcher.ts';
import type { RunDeps } from '../../lib/siem/run-port.ts';
import { createSealedReader } from '../../lib/siem/sealed-reader.ts';
import { readFleet } from '../aws/fleet.ts';
import { createFunctionLog } from '../aws/log.ts';
import { once } from '../aws/once.ts';
import { openSecrets, openTable, writerId } from '../aws/resources.ts';
import { readSiemEnvironment } from './environment.ts';
import { openQueue } from './queue.ts';
import { answerRing, parseRing, ringWhereNeeded } from './rings.ts';

keepMemoryOutOfCores();
const environment = readSiemEnvironment(process.env);
const logger = createFunctionLog('siem');
const now = Date.now;
const store = openTable(environment);
const ring = openQueue({
  ...{ url: environment.HOLDFAST_SIEM_QUEUE_URL, region: environment.AWS_REGION, now },
  credentials: () => ({
    accessKeyId: environment.AWS_ACCESS_KEY_ID,
    secretAccessKey: environment.AWS_SECRET_ACCESS_KEY,
    sessionToken: environment.AWS_SESSION_TOKEN,
  }),
});
/** For what is on its way when the time is over: to send, to judge, to write. */
const reserveMs = 45_000;

const open = once(async (): Promise<RunDeps> => {
  const fleet = await readFleet(store);
  if (fleet === undefined) throw new TypeError('the fleet is not founded yet: run "holdfast aws bootstrap"');
  const { origin } = fleet.descriptor.log;
  const owner = writerId('siem');
  // A lane only where there is something to record, which is a change of a destination's state.
  const audit = once(() => openAuditWriter({ store, origin, writerId: owner, now, lanes: 1 }));
  return {
    ...{ store, origin, owner, now, logger },
    audit: { append: async (event, writes) => (await audit()).append(event, writes) },
    reader: createSealedReader({ store, origin }),
    credentials: createCredentialReader(openSecrets(environment, store), now),
    destinationOf: createOpened(openDestination).of,
  };
});

/** Before the fleet is founded there is no log, and nothing to do. */
export async function router(_event: unknown): Promise<{ readonly rung: number }> {
  if ((await readFleet(store)) === undefined) return { rung: 0 };
  return { rung: (await ringWhereNeeded(await open(), ring)).length };
}

type QueueEvent = { readonly Records: readonly { readonly body: string }[] };
type Context = { getRemainingTimeInMillis(): number };

/** Fails as a whole when the store can't be reached: the queue then delivers the ring again. */
export async function deliver(event: QueueEvent, context: Context): Promise<void> {
  const deps = await open();
  const until = now() + Math.max(0, context.getRemainingTimeInMillis() - reserveMs);
  const { signal } = new AbortController();
  for (const { body } of event.Records) await answerRing(deps, parseRing(body), { until, signal }, ring);
}
