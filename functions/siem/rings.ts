/**
 * Rings: messages that say of a destination that there may be something to do. They may be lost, late or doubled: what
 * is to be done stands in the store, the lease lets one worker in, and the router looks at every destination each minute.
 */
import { z } from 'zod';
import { destinationName } from '../../lib/siem/config.ts';
import { readRecords } from '../../lib/siem/record.ts';
import { type RunLimits, runDestination, withoutLease } from '../../lib/siem/run-destination.ts';
import type { RunDeps, RunOutcome } from '../../lib/siem/run-port.ts';

/** Sends a ring; it arrives after the delay. */
export type Ring = (name: string, delaySeconds: number) => Promise<void>;

const message = z.strictObject({ v: z.literal(1), destination: destinationName });

export function formatRing(destination: string): string {
  return JSON.stringify({ v: 1, destination } satisfies z.infer<typeof message>);
}

/** Throws `TypeError` for what is no ring. */
export function parseRing(text: string): string {
  try {
    return message.parse(JSON.parse(text)).destination;
  } catch (cause) {
    throw new TypeError('a message that is no ring', { cause });
  }
}

/** Rings for each destination that has something to do now; returns their names. */
export async function ringWhereNeeded(
  deps: Pick<RunDeps, 'store' | 'reader' | 'now'>,
  ring: Ring,
): Promise<readonly string[]> {
  const names: string[] = [];
  for (const { config } of await readRecords(deps.store)) {
    // As nobody: a lease that anybody holds is another's.
    const outcome = await withoutLease({ ...deps, owner: '' }, config.name);
    if (outcome !== undefined) continue;
    await ring(config.name, 0);
    names.push(config.name);
  }
  return names;
}

/** The router looks again this often; what is due sooner needs a ring of its own. */
const routedEveryMs = 60_000;

/** Delivers until there is nothing to do or the time is over, and rings for what is left. */
export async function answerRing(deps: RunDeps, name: string, limits: RunLimits, ring: Ring): Promise<RunOutcome> {
  const outcome = await runDestination(deps, name, limits);
  if (outcome.kind === 'more') await ring(name, 0);
  // Of doubled rings one gets the lease, and the others end here: they do not multiply.
  if (outcome.kind === 'backing_off') {
    const waitMs = Math.max(0, outcome.until - deps.now());
    if (waitMs < routedEveryMs) await ring(name, Math.ceil(waitMs / 1000));
  }
  return outcome;
}
