/**
 * The router: rings for each destination that is served, when something was sealed and once a minute. It reads names and
 * sends rings; it sees no entry and no credential.
 */
import { z } from 'zod';
import { readRecords } from '../../lib/siem/record.ts';
import { readEnvironment } from '../aws/environment.ts';
import { isHttpEvent } from '../aws/http-event.ts';
import { createFunctionLog } from '../aws/log.ts';
import { openRingQueue, openTable } from '../aws/resources.ts';

const environment = readEnvironment('router', process.env);
const logger = createFunctionLog('router');
const store = openTable(environment);
const rings = openRingQueue(environment);
/** From the sealer, or from the schedule. */
const reason = z.object({ kind: z.enum(['sealed', 'heartbeat']) });

export async function handler(event: unknown): Promise<{ readonly rung: number }> {
  if (isHttpEvent(event)) throw new TypeError('an event of an unknown kind');
  reason.parse(event);
  const names = (await readRecords(store)).filter(({ paused }) => !paused).map(({ config }) => config.name);
  const sent = await Promise.allSettled(names.map((name) => rings.ring(name)));
  const failed = sent.flatMap((each) => (each.status === 'rejected' ? [each.reason] : []));
  if (failed.length > 0) {
    logger.error({ err: failed[0], failed: failed.length }, 'Some destinations could not be rung for');
    throw new Error(`${failed.length} of ${names.length} destinations could not be rung for`);
  }
  return { rung: names.length };
}
