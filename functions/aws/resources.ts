/** The resources of a deployment, opened from their names: the table, its stream, buckets and keys. */
import { randomBytes } from 'node:crypto';
import { KMSClient } from '@aws-sdk/client-kms';
import { S3Client } from '@aws-sdk/client-s3';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import type { Anchor } from '../../lib/audit/anchor.ts';
import { openS3Anchor } from '../../lib/audit/anchor-s3.ts';
import type { Publication } from '../../lib/audit/publication.ts';
import { openS3Publication } from '../../lib/audit/publication-s3.ts';
import { toHex } from '../../lib/crypto/encoding.ts';
import type { SigningCredentials } from '../../lib/crypto/sigv4.ts';
import { type KmsKeys, openKmsKeys } from '../../lib/keys/kms.ts';
import type { KeyStore } from '../../lib/keys/port.ts';
import type { SecretsProvider } from '../../lib/secrets/provider.ts';
import { openSecretsManager } from '../../lib/secrets/secrets-manager.ts';
import { createVersionFloors } from '../../lib/secrets/version-floors.ts';
import type { BlobStore } from '../../lib/store/blobs.ts';
import { openS3Blobs } from '../../lib/store/blobs-s3.ts';
import { openDynamoStore } from '../../lib/store/dynamodb.ts';
import { createDynamoClients } from '../../lib/store/dynamodb-clients.ts';
import type { Store } from '../../lib/store/port.ts';

import { openRings, type Rings } from './rings.ts';

type Region = { readonly AWS_REGION: string };

export function openTable(
  environment: Region & { readonly HOLDFAST_TABLE: string; readonly HOLDFAST_STREAM_ARN?: string },
): Store {
  const { AWS_REGION, HOLDFAST_TABLE, HOLDFAST_STREAM_ARN } = environment;
  return openDynamoStore({
    ...createDynamoClients({ region: AWS_REGION }),
    table: HOLDFAST_TABLE,
    ...(HOLDFAST_STREAM_ARN === undefined ? {} : { streamArn: HOLDFAST_STREAM_ARN }),
  });
}

export function openKeys({ AWS_REGION }: Region, keys: KmsKeys): KeyStore {
  return openKmsKeys(new KMSClient({ region: AWS_REGION }), keys);
}

export function openBlobs({
  AWS_REGION,
  HOLDFAST_BLOBS_BUCKET,
}: Region & { readonly HOLDFAST_BLOBS_BUCKET: string }): BlobStore {
  return openS3Blobs(new S3Client({ region: AWS_REGION }), HOLDFAST_BLOBS_BUCKET);
}

export function openPublication({
  AWS_REGION,
  HOLDFAST_LOG_BUCKET,
}: Region & { readonly HOLDFAST_LOG_BUCKET: string }): Publication {
  return openS3Publication(new S3Client({ region: AWS_REGION }), HOLDFAST_LOG_BUCKET);
}

export function openAnchor({
  AWS_REGION,
  HOLDFAST_ANCHORS_BUCKET,
}: Region & { readonly HOLDFAST_ANCHORS_BUCKET: string }): Anchor {
  return openS3Anchor(new S3Client({ region: AWS_REGION }), HOLDFAST_ANCHORS_BUCKET);
}

/** Repeating is safe: a write names its version, so a second one changes nothing. */
export function openSecrets(
  environment: Region & { readonly HOLDFAST_SECRETS_PREFIX: string; readonly HOLDFAST_DATA_KEY_ARN: string },
  store: Store,
): SecretsProvider {
  const requestHandler = { connectionTimeout: 2_000, requestTimeout: 5_000, throwOnRequestTimeout: true };
  return openSecretsManager({
    client: new SecretsManagerClient({ region: environment.AWS_REGION, maxAttempts: 3, requestHandler }),
    prefix: environment.HOLDFAST_SECRETS_PREFIX,
    keyId: environment.HOLDFAST_DATA_KEY_ARN,
    floors: createVersionFloors(store),
    now: Date.now,
  });
}

export function openRingQueue(environment: Region & { readonly HOLDFAST_RINGS_URL: string }): Rings {
  return openRings({
    region: environment.AWS_REGION,
    queueUrl: environment.HOLDFAST_RINGS_URL,
    endpoint: process.env['AWS_ENDPOINT_URL'],
    credentials: ownCredentials(environment),
    now: Date.now,
  });
}

/** Of the role that the process runs under; the SDK keeps them fresh. */
export function ownCredentials({ AWS_REGION }: Region): () => Promise<SigningCredentials> {
  const { config } = new KMSClient({ region: AWS_REGION });
  return () => config.credentials();
}

/** A name of its own for each process: lanes are owned, and nothing of a former process is taken up. */
export function writerId(name: string): string {
  return `${name}-${toHex(randomBytes(6))}`;
}
