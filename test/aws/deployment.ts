/**
 * A whole deployment on an emulator: table, stream, buckets and keys, and the functions as the bundles that ship, each in
 * a process of its own with exactly the environment that the deployment gives it.
 */
import { type ChildProcess, fork, spawn, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { KMSClient } from '@aws-sdk/client-kms';
import { type FunctionName, readEnvironment, requiredVariables } from '../../functions/aws/environment.ts';
import {
  createBucket,
  createKeys,
  createLockedBucket,
  createRings,
  createTable,
  dynamoClients,
  endpointOf,
  region,
  s3Client,
} from './emulator.ts';
import { type Recorder, startRecorder } from './recorder.ts';

export type Lambda = { invoke<T>(event: object): Promise<T>; stop(): Promise<void> };
export type HttpAnswer = { readonly statusCode: number; readonly body: string; readonly isBase64Encoded: boolean };
export type GatewayProcess = {
  readonly child: ChildProcess;
  readonly port: number;
  readonly healthPort: number;
  readonly ended: Promise<unknown[]>;
  log(): string;
};

export async function deploy() {
  const clients = dynamoClients('ministack');
  const kms = new KMSClient({ region, endpoint: endpointOf('ministack') });
  const s3 = s3Client();
  const bundles = mkdtempSync(join(tmpdir(), 'holdfast-deployment-'));
  const builder = fileURLToPath(new URL('../../functions/build.mjs', import.meta.url));
  const built = spawnSync(process.execPath, [builder, bundles], { encoding: 'utf8' });
  if (built.status !== 0) throw new Error(built.stderr);

  const { table, streamArn } = await createTable(clients.client);
  const keys = await createKeys(kms);
  const [blobs, log, anchors] = [await createBucket(s3), await createBucket(s3), await createLockedBucket(s3)];
  const ringsUrl = await createRings();
  const running: ChildProcess[] = [];
  const record = () => startRecorder(endpointOf('ministack'));
  const recorders = {
    gateway: await record(),
    identity: await record(),
    admin: await record(),
    sealer: await record(),
    secrets: await record(),
    router: await record(),
    deliver: await record(),
  } satisfies Record<FunctionName, Recorder>;
  const invoked = new Map<string, Lambda>();
  const invocations: string[] = [];
  const invoker = createServer(async (request, response) => {
    // What IAM would judge: without a signature in the header nobody gets through.
    invocations.push(`${request.url} ${request.headers.authorization?.split(' ')[0]}`);
    const body = Buffer.concat(await request.toArray()).toString();
    try {
      const [, name = ''] = /functions\/holdfast-([a-z]+)\//.exec(request.url!) ?? [];
      const called = invoked.get(name);
      if (request.headers['x-amz-invocation-type'] === 'Event') {
        // AWS takes the event; what becomes of it, the caller does not learn.
        called?.invoke(JSON.parse(body)).catch(() => undefined);
        response.writeHead(202).end();
        return;
      }
      response.end(JSON.stringify(await called!.invoke(JSON.parse(body))));
    } catch (error) {
      response.setHeader('x-amz-function-error', 'Unhandled').end(JSON.stringify({ errorMessage: `${error}` }));
    }
  });
  await new Promise<void>((resolve) => invoker.listen(0, '127.0.0.1', resolve));

  const values: Record<string, string> = {
    HOLDFAST_TABLE: table,
    HOLDFAST_STREAM_ARN: streamArn,
    HOLDFAST_BLOBS_BUCKET: blobs,
    HOLDFAST_LOG_BUCKET: log,
    HOLDFAST_ANCHORS_BUCKET: anchors,
    HOLDFAST_CA_KEY_ARN: keys['fleet-ca'],
    HOLDFAST_LOG_KEY_ARN: keys['audit-log'],
    HOLDFAST_DATA_KEY_ARN: keys.data,
    HOLDFAST_GATEWAY: '127.0.0.1:8443',
    HOLDFAST_URL: 'https://api.holdfast.test',
    HOLDFAST_IDENTITY_FUNCTION_ARN: `arn:aws:lambda:${region}:000000000000:function:holdfast-identity`,
    HOLDFAST_SECRETS_FUNCTION_ARN: `arn:aws:lambda:${region}:000000000000:function:holdfast-secrets`,
    HOLDFAST_SECRETS_PREFIX: `holdfast/${randomUUID()}/`,
    HOLDFAST_ROUTER_FUNCTION_ARN: `arn:aws:lambda:${region}:000000000000:function:holdfast-router`,
    HOLDFAST_RINGS_URL: ringsUrl,
  };

  /** What the deployment sets, and what AWS sets. Also what a search for secrets has to look through. */
  function environmentOf(name: FunctionName): Record<string, string> {
    const own = Object.fromEntries(requiredVariables(name).map((key) => [key, values[key]!]));
    const environment = { AWS_REGION: region, ...own };
    readEnvironment(name, environment);
    return environment;
  }

  const emulated = {
    PATH: process.env['PATH']!,
    AWS_ENDPOINT_URL_LAMBDA: `http://127.0.0.1:${(invoker.address() as AddressInfo).port}`,
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
    AWS_EC2_METADATA_DISABLED: 'true',
  };

  async function startLambda(name: Exclude<FunctionName, 'gateway'>): Promise<Lambda> {
    const host = fileURLToPath(new URL('./lambda-host.mjs', import.meta.url));
    const child = fork(host, [join(bundles, name, 'index.mjs')], {
      env: { ...emulated, AWS_ENDPOINT_URL: recorders[name].endpoint, ...environmentOf(name) },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    running.push(child);
    const waiting = new Map<number, (message: { result?: unknown; error?: string }) => void>();
    child.on('message', (message: { id: number; result?: unknown; error?: string }) =>
      waiting.get(message.id)?.(message),
    );
    const ready = new Promise((resolve) => waiting.set(0, resolve));
    let next = 1;
    await Promise.race([ready, once(child, 'exit').then(() => Promise.reject(new Error(`${name} did not load`)))]);
    return {
      invoke<T>(event: object): Promise<T> {
        const id = next++;
        return new Promise((resolve, reject) => {
          waiting.set(id, ({ result, error }) =>
            error === undefined ? resolve(result as T) : reject(new Error(error)),
          );
          child.send({ id, event });
        });
      },
      async stop() {
        const ended = once(child, 'exit');
        child.disconnect();
        await ended;
      },
    };
  }

  async function startGateway(): Promise<GatewayProcess> {
    const own = { HOLDFAST_LISTEN: '127.0.0.1', HOLDFAST_PORT: '0', HOLDFAST_HEALTH_PORT: '0' };
    const child = spawn(process.execPath, [join(bundles, 'gateway/index.mjs')], {
      env: { ...emulated, AWS_ENDPOINT_URL: recorders.gateway.endpoint, ...environmentOf('gateway'), ...own },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    running.push(child);
    let output = '';
    const ended = once(child, 'close');
    const ports = new Promise<{ port: number; healthPort: number }>((resolve) => {
      child.stdout!.on('data', (chunk) => {
        output += chunk;
        const line = output.split('\n').find((each) => each.includes('takes connections'));
        if (line?.endsWith('}')) resolve(JSON.parse(line));
      });
    });
    const early = ended.then(() => Promise.reject(new Error(`the gateway ended: ${output}`)));
    early.catch(() => {});
    return { child, ended, log: () => output, ...(await Promise.race([ports, early])) };
  }

  const [identity, secrets] = await Promise.all([startLambda('identity'), startLambda('secrets')]);
  invoked.set('identity', identity).set('secrets', secrets);
  return {
    clients,
    kms,
    s3,
    buckets: { blobs, log, anchors },
    table,
    streamArn,
    keys,
    identity,
    secrets,
    ringsUrl,
    secretsPrefix: values['HOLDFAST_SECRETS_PREFIX']!,
    invocations,
    /** Every call that a function made, by its name. */
    callsOf: (name: FunctionName) => recorders[name].calls,
    environmentOf,
    startLambda,
    startGateway,
    async remove() {
      for (const child of running) child.kill('SIGKILL');
      await new Promise((resolve) => invoker.close(resolve));
      for (const recorder of Object.values(recorders)) await recorder.close();
      for (const client of [clients.client, clients.streams, kms, s3]) client.destroy();
      rmSync(bundles, { recursive: true });
    },
  };
}

/** A request as API Gateway hands it over, payload format 2.0. */
export function httpEvent(method: string, path: string, body?: Uint8Array, headers: Record<string, string> = {}) {
  return {
    version: '2.0',
    routeKey: '$default',
    rawPath: path,
    rawQueryString: '',
    headers: { host: 'api.holdfast.test', ...(body ? { 'content-type': 'application/json' } : {}), ...headers },
    requestContext: {
      requestId: randomUUID(),
      domainName: 'api.holdfast.test',
      http: { method, path, protocol: 'HTTP/1.1', sourceIp: '203.0.113.7', userAgent: 'test' },
    },
    ...(body === undefined ? {} : { body: Buffer.from(body).toString('base64') }),
    isBase64Encoded: body !== undefined,
  };
}
