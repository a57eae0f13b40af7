/**
 * The destinations on AWS against an emulator, which speaks plain HTTP: a TLS server of ours stands before it, since
 * destinations speak nothing else.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { createServer } from 'node:tls';
import { gunzipSync } from 'node:zlib';
import { CreateBucketCommand, GetObjectCommand, ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3';
import { Secret } from '../../lib/crypto/secret.ts';
import { type ConfigOf, destinationConfig } from '../../lib/siem/config.ts';
import { openEventbridge } from '../../lib/siem/destinations/eventbridge.ts';
import { openS3 } from '../../lib/siem/destinations/s3.ts';
import { createLoopbackTls } from '../fakes/loopback-tls.ts';
import { batchOf, logins } from '../fakes/siem-events.ts';
import { endpointOf, region } from './emulator.ts';

const credentials = { secretAccessKey: new Secret('test-secret') };
const soon = () => AbortSignal.timeout(20_000);

async function secured(t: TestContext) {
  const tls = await createLoopbackTls();
  const { port } = new URL(endpointOf('ministack'));
  const open = new Set<Socket>();
  const server = createServer({ key: tls.key, cert: tls.cert }, (socket) => {
    const plain = connect({ host: '127.0.0.1', port: Number(port) });
    socket.pipe(plain).pipe(socket);
    for (const one of [socket, plain]) {
      open.add(one.on('error', () => undefined).once('close', () => open.delete(one)));
    }
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  t.after(() => {
    server.close();
    for (const one of open) one.destroy();
  });
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const network = { allow: ['127.0.0.0/8'], ca: tls.ca, pins: [] };
  return { name: 'test', url, network, region, accessKeyId: 'AKIDEXAMPLE00000', secretAccessKey: 'secret:siem/aws' };
}

test('R32 S3: a batch is one object, written once, with every event in it', async (t) => {
  const client = new S3Client({ region, endpoint: endpointOf('ministack'), forcePathStyle: true });
  t.after(() => client.destroy());
  const bucket = `siem-${randomUUID()}`;
  await client.send(new CreateBucketCommand({ Bucket: bucket }));
  const config = destinationConfig.parse({
    kind: 's3',
    ...(await secured(t)),
    bucket,
    prefix: 'holdfast/',
    mapping: 'raw',
  });
  const destination = openS3(config as ConfigOf<'s3'>);
  t.after(() => destination.close());
  const events = logins(40);
  const batch = batchOf(events);
  assert.deepEqual(await destination.send(batch, credentials, soon()), { kind: 'delivered' });
  const list = async () => (await client.send(new ListObjectsV2Command({ Bucket: bucket }))).Contents ?? [];
  const [object] = await list();
  const get = async () => {
    const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: object!.Key! }));
    return Buffer.from((await Body!.transformToByteArray()) as Uint8Array);
  };
  const bytes = await get();
  const raws = gunzipSync(bytes)
    .toString('utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line).raw);
  assert.deepEqual(
    raws,
    events.map(({ raw }) => Buffer.from(raw!).toString('utf8')),
  );
  // The same name with other content: what stands, stays.
  assert.deepEqual(await destination.send({ ...batch, events: logins(40, 'eve') }, credentials, soon()), {
    kind: 'delivered',
  });
  assert.deepEqual(await get(), bytes);
  assert.equal((await list()).length, 1);
  const absent = openS3({ ...(config as ConfigOf<'s3'>), bucket: 'no-such-bucket' });
  t.after(() => absent.close());
  assert.equal((await absent.send(batch, credentials, soon())).kind, 'config');
});

test('R32 EventBridge: every event of a batch is taken, ten in a call', async (t) => {
  const config = destinationConfig.parse({ kind: 'eventbridge', ...(await secured(t)), bus: 'default' });
  const destination = openEventbridge(config as ConfigOf<'eventbridge'>);
  t.after(() => destination.close());
  assert.deepEqual(await destination.send(batchOf(logins(25)), credentials, soon()), { kind: 'delivered' });
});
