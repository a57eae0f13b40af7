/** What the tests against AWS emulators share: the endpoints that the runner started, clients for them, fresh tables. */
import { randomUUID } from 'node:crypto';
import { CreateTableCommand, DeleteTableCommand, type DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { CreateKeyCommand, type KeySpec, type KeyUsageType, type KMSClient } from '@aws-sdk/client-kms';
import { CreateBucketCommand, PutObjectLockConfigurationCommand, S3Client } from '@aws-sdk/client-s3';
import { openDynamoStore } from '../../lib/store/dynamodb.ts';
import { createDynamoClients, type DynamoClients } from '../../lib/store/dynamodb-clients.ts';
import type { MadeStore } from '../conformance/store-cases.ts';

export const region = 'us-east-1';
export type EmulatorName = 'ministack' | 'moto';

/** Set by run.mjs, on loopback. */
export function endpointOf(name: EmulatorName): string {
  const endpoint = process.env[`HOLDFAST_${name.toUpperCase()}_ENDPOINT`];
  if (endpoint === undefined) throw new Error(`start these tests with "npm run test:aws": ${name} is not running`);
  return endpoint;
}

export function dynamoClients(name: EmulatorName): DynamoClients {
  return createDynamoClients({ region, endpoint: endpointOf(name) });
}

export type Table = { readonly table: string; readonly streamArn: string; remove(): Promise<void> };

/** A table as the deployed one: on demand, with a stream of new images. */
export async function createTable(client: DynamoDBClient): Promise<Table> {
  const table = `holdfast-${randomUUID()}`;
  const { TableDescription } = await client.send(
    new CreateTableCommand({
      TableName: table,
      BillingMode: 'PAY_PER_REQUEST',
      AttributeDefinitions: [
        { AttributeName: 'pk', AttributeType: 'S' },
        { AttributeName: 'sk', AttributeType: 'S' },
      ],
      KeySchema: [
        { AttributeName: 'pk', KeyType: 'HASH' },
        { AttributeName: 'sk', KeyType: 'RANGE' },
      ],
      StreamSpecification: { StreamEnabled: true, StreamViewType: 'NEW_IMAGE' },
    }),
  );
  return {
    table,
    streamArn: TableDescription!.LatestStreamArn!,
    async remove() {
      await client.send(new DeleteTableCommand({ TableName: table }));
    },
  };
}

/** A store for the conformance suite, on a table of its own. */
export async function makeDynamoStore(name: EmulatorName): Promise<MadeStore> {
  const clients = dynamoClients(name);
  const { table, streamArn, remove } = await createTable(clients.client);
  const open = () => openDynamoStore({ ...clients, table, streamArn, pollMs: 20 });
  const store = open();
  const opened = [store];
  return {
    store,
    async reopen() {
      const again = open();
      opened.push(again);
      return again;
    },
    async dispose() {
      for (const each of opened) await each.close();
      await remove();
      clients.client.destroy();
      clients.streams.destroy();
    },
  };
}

/** The three keys of a deployment; ARNs. */
export async function createKeys(client: KMSClient) {
  const create = async (KeySpec: KeySpec, KeyUsage: KeyUsageType) => {
    const { KeyMetadata } = await client.send(new CreateKeyCommand({ KeySpec, KeyUsage }));
    return KeyMetadata!.Arn!;
  };
  return {
    'fleet-ca': await create('ECC_NIST_P256', 'SIGN_VERIFY'),
    'audit-log': await create('ECC_NIST_EDWARDS25519', 'SIGN_VERIFY'),
    data: await create('SYMMETRIC_DEFAULT', 'ENCRYPT_DECRYPT'),
  } as const;
}

/** A FIFO queue; its URL. No client of Amazon SQS is needed for one call. */
export async function createRings(): Promise<string> {
  const response = await fetch(endpointOf('ministack'), {
    method: 'POST',
    headers: {
      'content-type': 'application/x-amz-json-1.0',
      'x-amz-target': 'AmazonSQS.CreateQueue',
      authorization: `AWS4-HMAC-SHA256 Credential=test/20300101/${region}/sqs/aws4_request, SignedHeaders=host, Signature=0`,
    },
    body: JSON.stringify({ QueueName: `rings-${randomUUID()}.fifo`, Attributes: { FifoQueue: 'true' } }),
  });
  const { QueueUrl } = (await response.json()) as { QueueUrl: string };
  return QueueUrl;
}

export function s3Client(): S3Client {
  // Emulators have no host name for each bucket.
  return new S3Client({ region, endpoint: endpointOf('ministack'), forcePathStyle: true });
}

export async function createBucket(client: S3Client): Promise<string> {
  const bucket = `holdfast-${randomUUID()}`;
  await client.send(new CreateBucketCommand({ Bucket: bucket }));
  return bucket;
}

/** As the deployment makes it: what is written can't be deleted for a day, by nobody. */
export async function createLockedBucket(client: S3Client): Promise<string> {
  const bucket = `holdfast-${randomUUID()}`;
  await client.send(new CreateBucketCommand({ Bucket: bucket, ObjectLockEnabledForBucket: true }));
  await client.send(
    new PutObjectLockConfigurationCommand({
      Bucket: bucket,
      ObjectLockConfiguration: {
        ObjectLockEnabled: 'Enabled',
        Rule: { DefaultRetention: { Mode: 'COMPLIANCE', Days: 1 } },
      },
    }),
  );
  return bucket;
}
