/** The SDK clients of the DynamoDB store: they try once, because only the store knows which request may be repeated. */
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { DynamoDBStreamsClient } from '@aws-sdk/client-dynamodb-streams';

export type DynamoClients = { readonly client: DynamoDBClient; readonly streams: DynamoDBStreamsClient };

export type DynamoClientOptions = {
  readonly region: string;
  /** Another address than the region's own, for emulators. */
  readonly endpoint?: string;
};

/**
 * The SDK's own retry would hide that an earlier attempt of a write may have been carried out, and a throttled last
 * attempt would then read as "nothing was written".
 */
export function createDynamoClients(options: DynamoClientOptions): DynamoClients {
  const requestHandler = { connectionTimeout: 2_000, requestTimeout: 5_000, throwOnRequestTimeout: true };
  const config = { ...options, maxAttempts: 1, requestHandler };
  return { client: new DynamoDBClient(config), streams: new DynamoDBStreamsClient(config) };
}
