/**
 * Delivers to the one destination that a ring names, as far as the time of an invocation goes: the dispatcher's own work,
 * with its cursor and its lease in the table. What is not done rings again.
 */
import { z } from 'zod';
import { openAuditWriter } from '../../lib/audit/writer.ts';
import { keepMemoryOutOfCores } from '../../lib/secrets/core-dumps.ts';
import { createCredentialReader } from '../../lib/siem/credentials.ts';
import { openDestination } from '../../lib/siem/destinations/open.ts';
import { createOpened } from '../../lib/siem/dispatcher.ts';
import { runDestination } from '../../lib/siem/run-destination.ts';
import { createSealedReader } from '../../lib/siem/sealed-reader.ts';
import { readEnvironment } from '../aws/environment.ts';
import { readFleet } from '../aws/fleet.ts';
import { createFunctionLog } from '../aws/log.ts';
import { once } from '../aws/once.ts';
import { openRingQueue, openSecrets, openTable, writerId } from '../aws/resources.ts';

keepMemoryOutOfCores();
const environment = readEnvironment('deliver', process.env);
const logger = createFunctionLog('deliver');
const now = Date.now;
const store = openTable(environment);
const rings = openRingQueue(environment);
const owner = writerId('deliver');
const opened = createOpened(openDestination);
/** A send that is begun in the last moment still ends within the invocation's 75 s. */
const shiftMs = 25_000;

const open = once(async () => {
  const fleet = await readFleet(store);
  if (fleet === undefined) throw new TypeError('the fleet is not founded yet: run "holdfast aws bootstrap"');
  const { origin } = fleet.descriptor.log;
  return {
    store,
    audit: await openAuditWriter({ store, origin, writerId: owner, now, lanes: 1 }),
    origin,
    reader: createSealedReader({ store, origin }),
    credentials: createCredentialReader(openSecrets(environment, store), now),
    destinationOf: opened.of,
    now,
    owner,
    logger,
  };
});

const ring = z.strictObject({ destination: z.string().min(1).max(100) });
const rung = z.object({
  Records: z.array(z.object({ eventSource: z.literal('aws:sqs'), body: z.string().max(1000) })).length(1),
});

export async function handler(event: unknown): Promise<{ readonly outcome: string }> {
  const { Records } = rung.parse(event);
  const { destination } = ring.parse(JSON.parse(Records[0]?.body ?? ''));
  const limits = { until: now() + shiftMs, signal: new AbortController().signal };
  const { kind } = await runDestination(await open(), destination, limits);
  if (kind === 'gone') await opened.forget(destination);
  if (kind === 'more') await rings.ring(destination);
  return { outcome: kind };
}
