/**
 * The identity service as a Lambda function: enrollment and renewal through the HTTPS API; and, for principals whom IAM
 * allows to invoke it directly, founding the fleet and certificates for gateways. The only holder of the CA's signing right.
 */
import type { Context } from 'hono';
import { handle, type LambdaEvent } from 'hono/aws-lambda';
import { z } from 'zod';
import { requireGate } from '../../gate/required.ts';
import { openAuditWriter } from '../../lib/audit/writer.ts';
import { fromBase64url, toBase64url } from '../../lib/crypto/encoding.ts';
import { issueServerCertificate } from '../../lib/crypto/x509.ts';
import { createNodeCertificates } from '../../lib/identity/certificates.ts';
import { readEnvironment } from '../aws/environment.ts';
import { type Fleet, foundFleet, readFleet } from '../aws/fleet.ts';
import { isDirect, isHttpEvent } from '../aws/http-event.ts';
import { createFunctionLog } from '../aws/log.ts';
import { once } from '../aws/once.ts';
import { openKeys, openTable, writerId } from '../aws/resources.ts';
import { createIdentityApp } from './app.ts';

requireGate();
const environment = readEnvironment('identity', process.env);
const logger = createFunctionLog('identity');
const now = Date.now;
const store = openTable(environment);
const keys = openKeys(environment, {
  'fleet-ca': environment.HOLDFAST_CA_KEY_ARN,
  'audit-log': environment.HOLDFAST_LOG_KEY_ARN,
});
const gatewayCertificateLifeMs = 7 * 86_400_000;

const fleet = once(async (): Promise<Fleet> => {
  const found = await readFleet(store);
  if (found === undefined) throw new TypeError('the fleet is not founded yet: run "holdfast aws bootstrap"');
  return found;
});

const http = once(async () => {
  const { descriptor, bytes, authority } = await fleet();
  const { origin } = descriptor.log;
  const audit = await openAuditWriter({ store, origin, writerId: writerId('identity'), now, lanes: 2 });
  const signer = await keys.signer('fleet-ca');
  const app = createIdentityApp({
    store,
    audit,
    now,
    logger,
    certificates: createNodeCertificates({ fleet: descriptor.fleet, authority, signer, now }),
    gateway: environment.HOLDFAST_GATEWAY,
    descriptor: bytes,
    source: sourceAddress,
  });
  return handle(app);
});

const order = z.discriminatedUnion('holdfast', [
  z.strictObject({
    holdfast: z.literal('found-fleet'),
    name: z.string(),
    operatorKeys: z.array(z.string()).min(1).max(64),
    threshold: z.int().min(1).max(64),
  }),
  z.strictObject({ holdfast: z.literal('describe-fleet') }),
  z.strictObject({ holdfast: z.literal('gateway-certificate'), publicKey: z.string().max(200) }),
]);

export async function handler(event: unknown, context: Parameters<ReturnType<typeof handle>>[1]): Promise<unknown> {
  if (isHttpEvent(event)) return (await http())(event as LambdaEvent, context);
  if (!isDirect(event)) throw new TypeError('an event of an unknown kind');
  const parsed = order.parse(event);
  switch (parsed.holdfast) {
    case 'found-fleet': {
      const founded = await foundFleet(parsed, { store, keys, writerId: writerId('identity'), now });
      return { descriptor: toBase64url(founded.bytes), pin: toBase64url(founded.pin) };
    }
    case 'describe-fleet': {
      const { bytes, pin } = await fleet();
      return { descriptor: toBase64url(bytes), pin: toBase64url(pin) };
    }
    case 'gateway-certificate':
      return gatewayCertificate(parsed.publicKey);
    default:
      return parsed satisfies never;
  }
}

/** For the name of the one gateway that this function was deployed with, whatever the caller would like. */
async function gatewayCertificate(publicKey: string) {
  const { descriptor, authority } = await fleet();
  const [host = ''] = environment.HOLDFAST_GATEWAY.split(':');
  const certificate = await issueServerCertificate({
    authority,
    signer: await keys.signer('fleet-ca'),
    fleet: descriptor.fleet,
    role: 'gateway',
    publicKey: fromBase64url(publicKey),
    ...(/^[0-9.]+$/.test(host) ? { ipAddresses: [host] } : { dnsNames: [host] }),
    notBefore: now(),
    notAfter: now() + gatewayCertificateLifeMs,
  });
  return { certificate: toBase64url(certificate) };
}

/** As API Gateway saw it; for the limit on load alone. */
function sourceAddress(context: Context): string {
  const { event } = context.env as { event?: { requestContext?: { http?: { sourceIp?: string } } } };
  return event?.requestContext?.http?.sourceIp ?? 'unknown';
}
