/** What each function may do, in full: the statements of its role. docs/aws.md says the same in words. */

import type { TableV2 } from 'aws-cdk-lib/aws-dynamodb';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import type { IBucket } from 'aws-cdk-lib/aws-s3';
import type { FunctionName } from './bundles.ts';
import { entryWriter, tableStatements } from './table-rights.ts';

export type RightsScope = {
  readonly table: TableV2;
  readonly streamArn: string;
  readonly blobs: IBucket;
  readonly tiles: IBucket;
  readonly artifacts: IBucket;
  readonly anchors: IBucket;
  readonly authorityKey: IKey;
  readonly logKey: IKey;
  readonly dataKey: IKey;
  /** ARN of every secret of the fleet, with its wildcard. */
  readonly secretsArn: string;
  /** Secrets of the fleet whose path begins with `siem/`. */
  readonly siemSecretsArn: string;
  readonly ringsArn: string;
  readonly routerArn: string;
  readonly region: string;
};

export const functionRights: { readonly [name in FunctionName]: (scope: RightsScope) => PolicyStatement[] } = {
  identity: (scope) => {
    const entries = entryWriter('identity');
    return [
      ...tableStatements(scope.table.tableArn, {
        read: [...entries.read, 'fleet', 'identity-key#*', 'node#*', 'token'],
        put: [...entries.put, 'fleet', 'identity-key#*', 'node#*'],
        update: ['node#*', 'token'],
        delete: entries.delete,
      }),
      sign(scope.authorityKey, 'ECDSA_SHA_256'),
      publicKey([scope.authorityKey, scope.logKey]),
    ];
  },
  admin: (scope) => {
    const entries = entryWriter('admin');
    const accounts = [
      'api-token#*',
      'credential',
      'idempotency#*',
      'lockout#*',
      'login#*',
      'oidc-account',
      'session#*',
      'user',
    ];
    const reported = [
      'drift#*',
      'facts#*',
      'posture#*',
      'posture-newest#*',
      'posture-rollup#*',
      'run#*',
      'run-index#*',
    ];
    const fleet = ['compliance-document', 'fleet', 'node#*', 'release', 'secrets', 'token'];
    const updates = ['artifact', 'rings'];
    return [
      ...tableStatements(scope.table.tableArn, {
        read: [
          ...entries.read,
          ...accounts,
          ...fleet,
          ...updates,
          'rollout',
          'block#*',
          'lane#*',
          'listing#*',
          'siem#*',
          ...reported,
        ],
        put: [
          ...entries.put,
          ...accounts,
          ...updates,
          'compliance-document',
          'listing#*',
          'release',
          'secrets',
          'siem#*',
          'token',
          'wake',
        ],
        // Of what nodes reported it only keeps what it added up.
        update: [...accounts, 'node#*', 'posture-rollup#*', 'release', 'secrets', 'token'],
        delete: [...entries.delete, ...accounts, 'siem#*'],
      }),
      objects('Blobs', ['s3:GetObject', 's3:PutObject'], [scope.blobs, 'blobs']),
      objects('Tiles', ['s3:GetObject'], [scope.tiles, '']),
      listable('Absent', scope.blobs, scope.tiles),
      publicKey([scope.authorityKey, scope.logKey]),
      // Seals what it keeps, by envelope: the context is bound, so the tables' and queues' data is not opened with this.
      new PolicyStatement({
        sid: 'SealedData',
        actions: ['kms:Decrypt', 'kms:GenerateDataKey'],
        resources: [scope.dataKey.keyArn],
        conditions: {
          'ForAllValues:StringEquals': { 'kms:EncryptionContextKeys': ['holdfast:context'] },
          Null: { 'kms:EncryptionContextKeys': 'false' },
        },
      }),
      // Writes values and never reads one: there is no GetSecretValue here.
      new PolicyStatement({
        sid: 'SecretsWritten',
        actions: [
          'secretsmanager:CreateSecret',
          'secretsmanager:DeleteSecret',
          'secretsmanager:DescribeSecret',
          'secretsmanager:ListSecretVersionIds',
          'secretsmanager:PutSecretValue',
        ],
        resources: [scope.secretsArn],
      }),
      // The one action on secrets that names none (Service Authorization Reference, Secrets Manager); it tells names.
      new PolicyStatement({ sid: 'SecretsListed', actions: ['secretsmanager:ListSecrets'], resources: ['*'] }),
      secretsKeyUse(scope, ['kms:Decrypt', 'kms:GenerateDataKey']),
    ];
  },
  /** Names of destinations, and rings. */
  router: (scope) => [
    ...tableStatements(scope.table.tableArn, { read: ['siem#destination'], put: [], update: [], delete: [] }),
    ringing(scope),
  ],
  deliver: (scope) => {
    const entries = entryWriter('deliver');
    return [
      ...tableStatements(scope.table.tableArn, {
        read: [...entries.read, 'block#*', 'fleet', 'lane#*', 'secrets', 'siem#*'],
        // The record of a destination is the operators': what it says is not delivery's to change.
        put: [...entries.put, 'siem#cursor'],
        update: [],
        delete: entries.delete,
      }),
      ringing(scope),
      new PolicyStatement({
        sid: 'Rings',
        actions: ['sqs:ChangeMessageVisibility', 'sqs:DeleteMessage', 'sqs:GetQueueAttributes', 'sqs:ReceiveMessage'],
        resources: [scope.ringsArn],
      }),
      // Credentials of destinations are secrets below this one folder; those of nodes are out of its reach.
      new PolicyStatement({
        sid: 'Credentials',
        actions: ['secretsmanager:GetSecretValue'],
        resources: [scope.siemSecretsArn],
      }),
      secretsKeyUse({ ...scope, secretsArn: scope.siemSecretsArn }, ['kms:Decrypt']),
    ];
  },
  secrets: (scope) => {
    const entries = entryWriter('secrets');
    return [
      ...tableStatements(scope.table.tableArn, {
        read: [...entries.read, 'fleet', 'node#*', 'release'],
        put: entries.put,
        update: [],
        delete: entries.delete,
      }),
      objects('Blobs', ['s3:GetObject'], [scope.blobs, 'blobs']),
      listable('Absent', scope.blobs),
      new PolicyStatement({
        sid: 'SecretsRead',
        actions: ['secretsmanager:GetSecretValue'],
        resources: [scope.secretsArn],
      }),
      secretsKeyUse(scope, ['kms:Decrypt']),
    ];
  },
  sealer: (scope) => [
    ...tableStatements(scope.table.tableArn, {
      read: ['block#*', 'fleet', 'lane#*', 'lanes', 'log'],
      // It closes the lane of a writer that died, in that lane's next slot.
      put: ['block#*', 'lane#*', 'log'],
      update: ['log'],
      delete: ['lanes'],
    }),
    sign(scope.logKey, 'ED25519_SHA_512'),
    publicKey([scope.logKey]),
    new PolicyStatement({ sid: 'TellRouter', actions: ['lambda:InvokeFunction'], resources: [scope.routerArn] }),
    objects('Tiles', ['s3:GetObject', 's3:PutObject'], [scope.tiles, '']),
    // Only what C2SP tlog-tiles allows to go: partial tiles of a tile that is full by now.
    new PolicyStatement({
      sid: 'DropPartials',
      actions: ['s3:DeleteObject'],
      resources: [scope.tiles.arnForObjects('tile/*.p/*')],
    }),
    objects('Anchors', ['s3:GetObject', 's3:GetObjectVersion', 's3:PutObject'], [scope.anchors, '']),
    listable('Absent', scope.tiles, scope.anchors),
    new PolicyStatement({
      sid: 'OldestAnchor',
      actions: ['s3:ListBucketVersions'],
      resources: [scope.anchors.bucketArn],
    }),
    new PolicyStatement({
      sid: 'Stream',
      actions: ['dynamodb:DescribeStream', 'dynamodb:GetRecords', 'dynamodb:GetShardIterator'],
      resources: [scope.streamArn],
    }),
    // ListStreams is the one action of a stream reader that names no stream (Service Authorization Reference, DynamoDB).
    new PolicyStatement({ sid: 'ListStreams', actions: ['dynamodb:ListStreams'], resources: ['*'] }),
  ],
};

/**
 * The customer's key as Secrets Manager uses it in the caller's name, for secrets of the fleet alone (Secrets Manager User
 * Guide, "Permissions for the KMS key"): who writes needs Decrypt as well, which without GetSecretValue reads nothing.
 */
function secretsKeyUse({ dataKey, secretsArn, region }: RightsScope, actions: string[]): PolicyStatement {
  return new PolicyStatement({
    sid: 'SecretsKey',
    actions,
    resources: [dataKey.keyArn],
    conditions: {
      StringEquals: { 'kms:ViaService': `secretsmanager.${region}.amazonaws.com` },
      ArnLike: { 'kms:EncryptionContext:SecretARN': secretsArn },
    },
  });
}

function ringing({ ringsArn }: RightsScope): PolicyStatement {
  return new PolicyStatement({ sid: 'Ring', actions: ['sqs:SendMessage'], resources: [ringsArn] });
}

function sign(key: IKey, algorithm: string): PolicyStatement {
  return new PolicyStatement({
    sid: 'Sign',
    actions: ['kms:Sign'],
    resources: [key.keyArn],
    conditions: { StringEquals: { 'kms:SigningAlgorithm': algorithm, 'kms:MessageType': 'RAW' } },
  });
}

function publicKey(keys: readonly IKey[]): PolicyStatement {
  return new PolicyStatement({
    sid: 'PublicKeys',
    actions: ['kms:GetPublicKey'],
    resources: keys.map(({ keyArn }) => keyArn),
  });
}

/** Amazon S3 API reference, GetObject: without this right an absent object is "forbidden", and nobody knows that it is absent. */
export function listable(sid: string, ...buckets: readonly IBucket[]): PolicyStatement {
  return new PolicyStatement({ sid, actions: ['s3:ListBucket'], resources: buckets.map(({ bucketArn }) => bucketArn) });
}

/** Actions on the objects of a bucket, below a folder when one is named. */
function objects(what: string, actions: string[], [bucket, folder]: readonly [IBucket, string]): PolicyStatement {
  const resources = [bucket.arnForObjects(folder === '' ? '*' : `${folder}/*`)];
  return new PolicyStatement({ sid: what, actions, resources });
}
