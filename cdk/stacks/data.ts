/**
 * What must survive everything: the table, the buckets, and the topic that people subscribed to. Stateful: deleting this
 * stack deletes nothing of it.
 */
import { CfnOutput, Duration, RemovalPolicy } from 'aws-cdk-lib';
import { MathExpression, Metric } from 'aws-cdk-lib/aws-cloudwatch';
import { AttributeType, Billing, StreamViewType, TableEncryptionV2, TableV2 } from 'aws-cdk-lib/aws-dynamodb';
import { AnyPrincipal, Effect, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { Bucket, type IBucket } from 'aws-cdk-lib/aws-s3';
import type { ITopic } from 'aws-cdk-lib/aws-sns';
import type { Construct } from 'constructs';
import type { DeploymentConfig } from '../config.ts';
import { addAlarmTopic } from '../constructs/alarm-topic.ts';
import { addAlarm, alarmPeriod } from '../constructs/alarms.ts';
import { addAccessLogBucket, addPrivateBucket } from '../constructs/private-bucket.ts';
import { immutableEntries } from '../constructs/table-rights.ts';
import type { KeysStack } from './keys.ts';
import { FleetStack } from './stack.ts';

export type DataStackProps = { readonly config: DeploymentConfig; readonly keys: KeysStack };

export class DataStack extends FleetStack {
  readonly table: TableV2;
  readonly streamArn: string;
  /** Contents of releases, by digest. */
  readonly blobs: IBucket;
  /** The published audit log. */
  readonly tiles: IBucket;
  /** Agent builds and server bundles. */
  readonly artifacts: IBucket;
  /** Checkpoints that nobody can delete. */
  readonly anchors: IBucket;
  /** False when the anchors are an existing bucket, as one in another account is. */
  readonly ownAnchors: boolean;
  readonly alarms: ITopic;

  constructor(scope: Construct, id: string, { config, keys }: DataStackProps) {
    super(scope, id, { config, description: `Holdfast ${config.fleet}: table, buckets, alarm topic` });
    const key = keys.dataKey;
    this.alarms = addAlarmTopic(this, 'Alarms', {
      key,
      ...(config.alarmEmail !== undefined && { email: config.alarmEmail }),
    });

    this.table = new TableV2(this, 'Table', {
      partitionKey: { name: 'pk', type: AttributeType.STRING },
      sortKey: { name: 'sk', type: AttributeType.STRING },
      billing: Billing.onDemand(),
      deletionProtection: true,
      // The change feed tells each item as it stands after the change.
      dynamoStream: StreamViewType.NEW_IMAGE,
      encryption: TableEncryptionV2.customerManagedKey(key),
      pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true, recoveryPeriodInDays: 35 },
      removalPolicy: RemovalPolicy.RETAIN,
      resourcePolicy: immutableEntries(),
    });
    new CfnOutput(this, 'TableName', { value: this.table.tableName });
    if (this.table.tableStreamArn === undefined) throw new TypeError('the table has no stream');
    this.streamArn = this.table.tableStreamArn;

    const accessLogs = addAccessLogBucket(this, 'AccessLogs', { keptFor: Duration.days(config.logRetentionDays) });
    this.blobs = addPrivateBucket(this, 'Blobs', { key, accessLogs });
    this.tiles = addPrivateBucket(this, 'Tiles', { key, accessLogs });
    this.artifacts = addPrivateBucket(this, 'Artifacts', { key, accessLogs });
    this.ownAnchors = config.anchorBucket === undefined;
    this.anchors = this.addAnchors(key, accessLogs);
    this.addTableAlarms();
  }

  /** In another account the bucket, its lock and its policy are that account's: docs/aws.md has them. */
  private addAnchors(key: KeysStack['dataKey'], accessLogs: IBucket): IBucket {
    const { anchorBucket, anchorRetentionDays } = this.config;
    if (anchorBucket !== undefined) return Bucket.fromBucketName(this, 'Anchors', anchorBucket);
    const lockedFor = Duration.days(anchorRetentionDays);
    const anchors = addPrivateBucket(this, 'Anchors', { key, accessLogs, lockedFor });
    // Amazon S3 User Guide, "Enforce conditional writes": without If-None-Match a second anchor of the same name would
    // stand in front of the first.
    anchors.addToResourcePolicy(
      new PolicyStatement({
        sid: 'OnlyNewAnchors',
        effect: Effect.DENY,
        principals: [new AnyPrincipal()],
        actions: ['s3:PutObject'],
        resources: [anchors.arnForObjects('*')],
        conditions: { Null: { 's3:if-none-match': 'true' } },
      }),
    );
    return anchors;
  }

  private addTableAlarms(): void {
    const metric = (metricName: string, more: Record<string, string> = {}) =>
      new Metric({
        namespace: 'AWS/DynamoDB',
        metricName,
        dimensionsMap: { TableName: this.table.tableName, ...more },
        statistic: 'Sum',
        period: alarmPeriod,
      });
    addAlarm(this, 'TableThrottled', {
      metric: new MathExpression({
        expression: 'reads + writes',
        usingMetrics: { reads: metric('ReadThrottleEvents'), writes: metric('WriteThrottleEvents') },
        label: 'throttled requests',
        period: alarmPeriod,
      }),
      above: 0,
      periods: 3,
      means: 'The table refuses requests for lack of capacity; writes of audit entries wait.',
      runbook: 'table-throttled',
      topic: this.alarms,
    });
    const operations = ['GetItem', 'Query', 'PutItem', 'TransactWriteItems'];
    addAlarm(this, 'TableErrors', {
      metric: new MathExpression({
        expression: operations.map((_, i) => `m${i}`).join(' + '),
        usingMetrics: Object.fromEntries(
          operations.map((operation, i) => [`m${i}`, metric('SystemErrors', { Operation: operation })]),
        ),
        label: 'system errors',
        period: alarmPeriod,
      }),
      above: 0,
      periods: 3,
      means:
        'DynamoDB answers with errors of its own; operations are refused because their audit entry can not be written.',
      runbook: 'table-errors',
      topic: this.alarms,
    });
  }
}
