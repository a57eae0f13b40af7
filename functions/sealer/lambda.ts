/**
 * The sealer as a Lambda function, invoked by the table's stream and every 60 s. Both only say that it is time: what is
 * to be sealed is read from the table, so events may come twice, late or not at all.
 */
import { requireGate } from '../../gate/required.ts';
import { createSealer } from '../../lib/audit/sealer.ts';
import { readEnvironment } from '../aws/environment.ts';
import { isLogKeyOf, readFleet } from '../aws/fleet.ts';
import { notifyFunction } from '../aws/invoke.ts';
import { createFunctionLog } from '../aws/log.ts';
import { once } from '../aws/once.ts';
import { openAnchor, openKeys, openPublication, openTable, ownCredentials } from '../aws/resources.ts';

requireGate();
const environment = readEnvironment('sealer', process.env);
const logger = createFunctionLog('sealer');
const store = openTable(environment);
const keys = openKeys(environment, { 'audit-log': environment.HOLDFAST_LOG_KEY_ARN });
const publication = openPublication(environment);
const anchor = openAnchor(environment);
const credentials = ownCredentials(environment);
/** Each anchor is an object that costs, and can't be deleted for years. */
const anchorIntervalMs = 60_000;
let anchoredAt = Number.NEGATIVE_INFINITY;
let anchored: string | undefined;

/** `undefined` before the fleet is founded: then there is no log yet. */
const open = once(async () => {
  const fleet = await readFleet(store);
  if (fleet === undefined) throw new NotFounded();
  const signer = await keys.signer('audit-log');
  if (!isLogKeyOf(fleet, signer.publicKey)) throw new TypeError('the log key is not the one that the fleet has pinned');
  return createSealer({ store, origin: fleet.descriptor.log.origin, signer, publication, now: Date.now, logger });
});

class NotFounded extends Error {}

/** Fails as a whole when it could not seal: the stream then delivers again, and the failure is counted. */
export async function handler(_event: unknown): Promise<{ readonly size?: number }> {
  try {
    const checkpoint = await (await open()).sealOnce();
    await keepAnchor();
    if (checkpoint !== undefined) await ringForDestinations();
    return checkpoint === undefined ? {} : { size: checkpoint.size };
  } catch (error) {
    if (error instanceof NotFounded) return {};
    logger.error({ err: error }, 'The audit log could not be sealed');
    throw error;
  }
}

/** A convenience: the schedule rings every minute in any case, so that nothing here is held up or fails for it. */
async function ringForDestinations(): Promise<void> {
  try {
    await notifyFunction(
      {
        region: environment.AWS_REGION,
        functionArn: environment.HOLDFAST_ROUTER_FUNCTION_ARN,
        endpoint: process.env['AWS_ENDPOINT_URL_LAMBDA'] ?? process.env['AWS_ENDPOINT_URL'],
        credentials,
        now: Date.now,
      },
      { kind: 'sealed' },
    );
  } catch (error) {
    logger.warn({ err: error }, 'The router was not told of what was sealed');
  }
}

/** What stands published, whoever sealed it; also when there was nothing new to seal, as the last one may not be anchored. */
async function keepAnchor(): Promise<void> {
  if (Date.now() - anchoredAt < anchorIntervalMs) return;
  const bytes = await publication.read('checkpoint');
  const note = bytes && Buffer.from(bytes).toString('utf8');
  if (note === undefined || note === anchored) return;
  await anchor.keep(note);
  anchored = note;
  anchoredAt = Date.now();
}
