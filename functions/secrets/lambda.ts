/**
 * The sealing function: the only place of a deployment where values of secrets are in plaintext, and the only one that may
 * read them. The gateway alone invokes it, and gets bytes that one node can open. It has no door to the network.
 */
import { z } from 'zod';
import { requireGate } from '../../gate/required.ts';
import { openAuditWriter } from '../../lib/audit/writer.ts';
import { keepMemoryOutOfCores } from '../../lib/secrets/core-dumps.ts';
import { readEnvironment } from '../aws/environment.ts';
import { readFleet } from '../aws/fleet.ts';
import { isDirect, isHttpEvent } from '../aws/http-event.ts';
import { createFunctionLog } from '../aws/log.ts';
import { once } from '../aws/once.ts';
import { openBlobs, openSecrets, openTable, writerId } from '../aws/resources.ts';
import { formatAnswer } from './answer.ts';
import { createSealing } from './seal.ts';

keepMemoryOutOfCores();
requireGate();
const environment = readEnvironment('secrets', process.env);
const logger = createFunctionLog('secrets');
const now = Date.now;
const store = openTable(environment);

const open = once(async () => {
  const fleet = await readFleet(store);
  if (fleet === undefined) throw new TypeError('the fleet is not founded yet: run "holdfast aws bootstrap"');
  const { origin } = fleet.descriptor.log;
  const audit = await openAuditWriter({ store, origin, writerId: writerId('secrets'), now, lanes: 2 });
  return createSealing({ store, blobs: openBlobs(environment), audit, provider: openSecrets(environment, store) });
});

const order = z.strictObject({ holdfast: z.literal('seal-secrets'), proof: z.unknown() });

export async function handler(event: unknown): Promise<object> {
  if (isHttpEvent(event) || !isDirect(event)) throw new TypeError('an event of an unknown kind');
  const { proof } = order.parse(event);
  try {
    return formatAnswer(await (await open())(proof));
  } catch (error) {
    logger.error({ err: error }, 'Secrets could not be sealed');
    throw new Error('secrets could not be sealed', { cause: error });
  }
}
