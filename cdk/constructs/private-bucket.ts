/** A bucket as all of ours are: private, versioned, TLS only, encrypted with the deployment's key, kept when its stack goes. */
import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import {
  BlockPublicAccess,
  Bucket,
  BucketEncryption,
  type IBucket,
  ObjectLockRetention,
  ObjectOwnership,
} from 'aws-cdk-lib/aws-s3';
import type { Construct } from 'constructs';

export type PrivateBucketProps = {
  readonly key: IKey;
  readonly accessLogs: IBucket;
  /** Objects can't be deleted or replaced by anybody for this long (S3 Object Lock, compliance mode). */
  readonly lockedFor?: Duration;
};

export function addPrivateBucket(scope: Construct, id: string, props: PrivateBucketProps): IBucket {
  const { key, accessLogs, lockedFor } = props;
  const bucket = new Bucket(scope, id, {
    ...common,
    encryption: BucketEncryption.KMS,
    encryptionKey: key,
    bucketKeyEnabled: true,
    serverAccessLogsBucket: accessLogs,
    serverAccessLogsPrefix: `${id}/`,
    lifecycleRules: [
      {
        abortIncompleteMultipartUploadAfter: Duration.days(1),
        ...(lockedFor === undefined && { noncurrentVersionExpiration: Duration.days(90) }),
      },
    ],
    ...(lockedFor !== undefined && {
      objectLockEnabled: true,
      objectLockDefaultRetention: ObjectLockRetention.compliance(lockedFor),
    }),
  });
  return asInterface(bucket);
}

/** Amazon S3 User Guide, "Enabling server access logging": the target may be encrypted with S3's own keys only. */
export function addAccessLogBucket(scope: Construct, id: string, props: { readonly keptFor: Duration }): IBucket {
  const bucket = new Bucket(scope, id, {
    ...common,
    encryption: BucketEncryption.S3_MANAGED,
    lifecycleRules: [{ expiration: props.keptFor, noncurrentVersionExpiration: Duration.days(1) }],
  });
  return asInterface(bucket);
}

/** CDK's types were not made for `exactOptionalPropertyTypes`: its own class does not fit its own interface. */
function asInterface(bucket: Bucket): IBucket {
  return bucket as IBucket;
}

const common = {
  blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
  enforceSSL: true,
  minimumTLSVersion: 1.2,
  objectOwnership: ObjectOwnership.BUCKET_OWNER_ENFORCED,
  removalPolicy: RemovalPolicy.RETAIN,
  versioned: true,
} as const;
