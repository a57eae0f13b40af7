/**
 * The gateway's container on AWS. It may read nodes, releases and blobs and append its lanes; it holds no signing right.
 * On SIGTERM it is no longer ready, asks its nodes to move, spread over 90 s, and ends within the 120 s that ECS gives.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { requireGate } from '../../gate/required.ts';
import { openAuditWriter } from '../../lib/audit/writer.ts';
import { watchServer } from '../../lib/hardening/record.ts';
import { openNodeDirectory } from '../../lib/identity/directory.ts';
import { readEnvironment } from '../aws/environment.ts';
import { type Fleet, readFleet } from '../aws/fleet.ts';
import { createFunctionLog } from '../aws/log.ts';
import { openBlobs, openTable, writerId } from '../aws/resources.ts';
import { requestCertificate } from './certificate.ts';
import { serveHealth } from './health.ts';
import { sealingByFunction } from './sealing-function.ts';
import { type Gateway, startGateway } from './server.ts';

/** A certificate lives for 7 days; a failed renewal has six more tries. */
const renewalMs = 86_400_000;
const retryMs = 5_000;

const program = requireGate();
const environment = readEnvironment('gateway', process.env);
const endpoint = process.env['AWS_ENDPOINT_URL_LAMBDA'];
const logger = createFunctionLog('gateway');
const now = Date.now;
const stopped = new AbortController();
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stopped.abort());

let gateway: Gateway | undefined;
const health = await serveHealth({
  host: environment.HOLDFAST_LISTEN,
  port: environment.HOLDFAST_HEALTH_PORT,
  ready: () => gateway?.ready() ?? false,
});
logger.info({ healthPort: health.port }, 'The gateway starts');
const store = openTable(environment);
const { config } = new DynamoDBClient({ region: environment.AWS_REGION });
const invoking = { region: environment.AWS_REGION, endpoint, credentials: config.credentials, now };
const issue = () => requestCertificate({ ...invoking, functionArn: environment.HOLDFAST_IDENTITY_FUNCTION_ARN });
const secrets = sealingByFunction({ ...invoking, functionArn: environment.HOLDFAST_SECRETS_FUNCTION_ARN });

await run();
await health.close();
await store.close();
// Connections that the SDK keeps alive are nothing to wait for.
process.exit(0);

async function run(): Promise<void> {
  const fleet = await untilStopped(
    'The fleet can not be read; it is founded with "holdfast aws bootstrap"',
    foundedFleet,
  );
  const tls = fleet && (await untilStopped('The identity function issued no certificate', issue));
  if (fleet === undefined || tls === undefined) return;
  const { origin } = fleet.descriptor.log;
  const audit = await openAuditWriter({ store, origin, writerId: writerId('gateway'), now });
  const directory = await openNodeDirectory({ store, now, logger });
  const stopWatching = await watchServer({ audit, server: 'gateway', program, logger, now });
  const started = await startGateway(
    { store, blobs: openBlobs(environment), audit, directory, secrets, logger, now },
    {
      host: environment.HOLDFAST_LISTEN,
      port: environment.HOLDFAST_PORT,
      fleet: fleet.descriptor.fleet,
      tls: { ...tls, authorityDer: fleet.authority },
    },
  );
  gateway = started;
  const renewing = setInterval(() => void renew(started), renewalMs);
  logger.info({ port: started.address.port, healthPort: health.port }, 'The gateway takes connections');
  await new Promise<void>((resolve) => {
    if (stopped.signal.aborted) resolve();
    stopped.signal.addEventListener('abort', () => resolve());
  });
  logger.info({ connections: started.connections }, 'The gateway drains');
  clearInterval(renewing);
  stopWatching();
  await started.drain();
  await directory.close();
  await audit.close();
}

async function foundedFleet(): Promise<Fleet> {
  const fleet = await readFleet(store);
  if (fleet === undefined) throw new Error('the table holds no fleet');
  return fleet;
}

/** Tries until it succeeds; `undefined` when the process is told to stop before. */
async function untilStopped<T>(problem: string, attempt: () => Promise<T>): Promise<T | undefined> {
  while (!stopped.signal.aborted) {
    try {
      return await attempt();
    } catch (error) {
      logger.error({ err: error }, problem);
    }
    await sleep(retryMs, undefined, { signal: stopped.signal }).catch(() => undefined);
  }
  return undefined;
}

async function renew(running: Gateway): Promise<void> {
  try {
    running.replaceCertificate(await issue());
  } catch (error) {
    logger.error({ err: error }, "The gateway's certificate could not be renewed");
  }
}
