/** The functions, each with its rights in full, and the HTTPS API before two of them. Stateless: deleted and made again at will. */
import { Aws, CfnOutput, Duration } from 'aws-cdk-lib';
import { Rule, RuleTargetInput, Schedule } from 'aws-cdk-lib/aws-events';
import { LambdaFunction } from 'aws-cdk-lib/aws-events-targets';
import { EventSourceMapping, FilterCriteria, StartingPosition } from 'aws-cdk-lib/aws-lambda';
import { SqsDlq, SqsEventSource } from 'aws-cdk-lib/aws-lambda-event-sources';
import { type IQueue, Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import type { DeploymentConfig } from '../config.ts';
import { addAlarm, alarmPeriod } from '../constructs/alarms.ts';
import { BackendFunction } from '../constructs/backend-function.ts';
import { bundlePath, type FunctionName } from '../constructs/bundles.ts';
import { type EnvironmentValues, environmentOf } from '../constructs/environment.ts';
import { FleetApi } from '../constructs/fleet-api.ts';
import { functionRights, type RightsScope } from '../constructs/function-rights.ts';
import { profiles } from '../profiles.ts';
import type { DataStack } from './data.ts';
import type { KeysStack } from './keys.ts';
import type { NetworkStack } from './network.ts';
import { FleetStack } from './stack.ts';

export type FunctionsStackProps = {
  readonly config: DeploymentConfig;
  readonly keys: KeysStack;
  readonly data: DataStack;
  readonly network: NetworkStack;
  /** Where `npm run build` puts the programs. */
  readonly bundles: string;
};

type Size = { readonly timeout: Duration; readonly memoryMiB: number };

const sizes: { readonly [name in FunctionName]: Size } = {
  identity: { timeout: Duration.seconds(15), memoryMiB: 512 },
  admin: { timeout: Duration.seconds(29), memoryMiB: 512 },
  sealer: { timeout: Duration.seconds(55), memoryMiB: 1024 },
  // Sealing is arithmetic: time goes down with memory, and so does the bill.
  secrets: { timeout: Duration.seconds(18), memoryMiB: 1024 },
  router: { timeout: Duration.seconds(15), memoryMiB: 256 },
  // Begins nothing after 25 s; a send may take 30.
  deliver: { timeout: Duration.seconds(75), memoryMiB: 512 },
};

export class FunctionsStack extends FleetStack {
  readonly functions: { readonly [name in FunctionName]: BackendFunction };
  readonly api: FleetApi;
  private readonly values: Record<string, string>;
  private readonly rings: IQueue;
  private readonly props: FunctionsStackProps;

  constructor(scope: Construct, id: string, props: FunctionsStackProps) {
    const { config, keys, data } = props;
    super(scope, id, { config, description: `Holdfast ${config.fleet}: functions and HTTPS API` });
    this.props = props;
    const { apiBurst, apiPerSecond } = profiles[config.profile];
    this.api = new FleetApi(this, 'Api', {
      burst: apiBurst,
      perSecond: apiPerSecond,
      key: keys.dataKey,
      logRetentionDays: config.logRetentionDays,
      alarms: data.alarms,
      ...(config.api !== undefined && { domain: config.api }),
    });
    this.rings = this.addRings();
    this.values = {
      ...commonEnvironment(props),
      HOLDFAST_URL: this.api.url,
      HOLDFAST_RINGS_URL: this.rings.queueUrl,
    };
    const router = this.add('router', 'Holdfast: rings for destinations of the audit log');
    this.values['HOLDFAST_ROUTER_FUNCTION_ARN'] = router.function.functionArn;
    this.functions = {
      router,
      deliver: this.add('deliver', 'Holdfast: delivers the audit log to destinations'),
      identity: this.add('identity', 'Holdfast: enrolls nodes, renews and issues certificates'),
      admin: this.add('admin', 'Holdfast: admin API'),
      sealer: this.add('sealer', 'Holdfast: seals, signs and publishes the audit log'),
      secrets: this.add('secrets', 'Holdfast: seals secrets to nodes'),
    };
    this.api.route({ identity: this.functions.identity.function, admin: this.functions.admin.function });
    this.wakeSealer();
    this.wakeDelivery();
    new CfnOutput(this, 'IdentityFunctionName', { value: this.functions.identity.function.functionName });
    new CfnOutput(this, 'AdminFunctionName', { value: this.functions.admin.function.functionName });
    new CfnOutput(this, 'SealerFunctionName', { value: this.functions.sealer.function.functionName });
  }

  private add(name: FunctionName, description: string): BackendFunction {
    const { config, keys, data, bundles } = this.props;
    const roles = {
      identity: keys.identityRole,
      admin: keys.adminRole,
      sealer: keys.sealerRole,
      secrets: keys.secretsRole,
      router: keys.routerRole,
      deliver: keys.deliverRole,
    };
    const reserved = profiles[config.profile].reservedConcurrency?.[name];
    return new BackendFunction(this, name.charAt(0).toUpperCase() + name.slice(1), {
      ...sizes[name],
      description,
      bundle: bundlePath(bundles, name),
      role: roles[name],
      rights: functionRights[name](this.rightsScope()),
      environment: environmentOf(name, this.values),
      key: keys.dataKey,
      codeSigning: keys.codeSigning,
      logRetentionDays: config.logRetentionDays,
      alarms: data.alarms,
      ...(reserved !== undefined && { reservedConcurrency: reserved }),
    });
  }

  private rightsScope(): RightsScope {
    const { authorityKey, logKey, dataKey } = this.props.keys;
    const { table, streamArn, blobs, tiles, artifacts, anchors } = this.props.data;
    const { config } = this.props;
    const secretsArn = `arn:${Aws.PARTITION}:secretsmanager:${config.region}:${Aws.ACCOUNT_ID}:secret:${secretsPrefix(config)}*`;
    return {
      table,
      streamArn,
      blobs,
      tiles,
      artifacts,
      anchors,
      authorityKey,
      logKey,
      dataKey,
      secretsArn,
      siemSecretsArn: secretsArn.replace(/\*$/, 'siem/*'),
      ringsArn: this.rings.queueArn,
      routerArn: this.values['HOLDFAST_ROUTER_FUNCTION_ARN'] ?? '',
      region: config.region,
    };
  }

  /** A ring is worth a minute: the schedule makes new ones, so none is kept for long. */
  private addRings(): IQueue {
    const { keys, data } = this.props;
    const common = {
      fifo: true,
      encryption: QueueEncryption.KMS,
      encryptionMasterKey: keys.dataKey,
      enforceSSL: true,
    } as const;
    const lost = new Queue(this, 'LostRings', { ...common, retentionPeriod: Duration.days(14) });
    const rings = new Queue(this, 'Rings', {
      ...common,
      retentionPeriod: Duration.minutes(15),
      // Longer than an invocation of the function may take.
      visibilityTimeout: Duration.seconds(90),
      deadLetterQueue: { queue: lost, maxReceiveCount: 5 },
    });
    addAlarm(this, 'RingsLost', {
      metric: lost.metricApproximateNumberOfMessagesVisible({ period: alarmPeriod }),
      above: 0,
      periods: 1,
      means: 'A destination could not be served five times in a row, for a reason of ours.',
      runbook: 'delivery-late',
      topic: data.alarms,
    });
    addAlarm(this, 'DeliveryLate', {
      metric: rings.metricApproximateAgeOfOldestMessage({ period: alarmPeriod }),
      above: 300,
      periods: 3,
      means: 'Destinations of the audit log wait for more than five minutes to be served.',
      runbook: 'delivery-late',
      topic: data.alarms,
    });
    return rings as IQueue;
  }

  /** Told by the sealer of what was sealed, and by a schedule in any case. */
  private wakeDelivery(): void {
    const { router, deliver } = this.functions;
    deliver.function.addEventSource(new SqsEventSource(this.rings, { batchSize: 1 }));
    new Rule(this, 'Rounds', {
      description: 'Holdfast: every destination is looked at every minute',
      schedule: Schedule.rate(Duration.minutes(1)),
      targets: [
        new LambdaFunction(router.function, {
          event: RuleTargetInput.fromObject({ kind: 'heartbeat' }),
          deadLetterQueue: router.deadLetters,
          retryAttempts: 0,
        }),
      ],
    });
  }

  /** The stream is the doorbell, the schedule the heartbeat; what is sealed comes from the table in either case. */
  private wakeSealer(): void {
    const { data } = this.props;
    const { function: sealer, deadLetters } = this.functions.sealer;
    new EventSourceMapping(this, 'NewEntries', {
      target: sealer,
      eventSourceArn: data.streamArn,
      startingPosition: StartingPosition.LATEST,
      batchSize: 1000,
      maxBatchingWindow: profiles[this.props.config.profile].sealWindow,
      bisectBatchOnError: false,
      retryAttempts: 5,
      maxRecordAge: Duration.hours(1),
      onFailure: new SqsDlq(deadLetters),
      // Most writes are not entries.
      filters: [FilterCriteria.filter({ dynamodb: { Keys: { pk: { S: [{ prefix: 'lane#' }] } } } })],
    });
    new Rule(this, 'Heartbeat', {
      description: 'Holdfast: a checkpoint at least every minute',
      schedule: Schedule.rate(Duration.minutes(1)),
      targets: [
        new LambdaFunction(sealer, {
          event: RuleTargetInput.fromObject({ kind: 'heartbeat' }),
          deadLetterQueue: deadLetters,
          retryAttempts: 0,
        }),
      ],
    });
    addAlarm(this, 'SealerLate', {
      metric: sealer.metric('IteratorAge', { statistic: 'Maximum', period: alarmPeriod }),
      above: 30_000,
      periods: 2,
      means: 'Entries wait for more than 30 s to be sealed; every privileged operation is refused meanwhile.',
      runbook: 'sealer-late',
      topic: data.alarms,
    });
    addAlarm(this, 'SealerSilent', {
      metric: sealer.metricInvocations({ period: Duration.minutes(5) }),
      below: 1,
      periods: 1,
      means: 'The sealer was not called for five minutes; the heartbeat is off.',
      runbook: 'sealer-late',
      topic: data.alarms,
    });
  }
}

/** What the names of the fleet's secrets begin with. */
function secretsPrefix({ fleet }: Pick<DeploymentConfig, 'fleet'>): string {
  return `holdfast/${fleet}/`;
}

/** What is known before any function stands. */
export function commonEnvironment({
  config,
  keys,
  data,
  network,
}: Omit<FunctionsStackProps, 'bundles'>): EnvironmentValues {
  return {
    HOLDFAST_TABLE: data.table.tableName,
    HOLDFAST_STREAM_ARN: data.streamArn,
    HOLDFAST_BLOBS_BUCKET: data.blobs.bucketName,
    HOLDFAST_LOG_BUCKET: data.tiles.bucketName,
    HOLDFAST_ANCHORS_BUCKET: data.anchors.bucketName,
    HOLDFAST_CA_KEY_ARN: keys.authorityKey.keyArn,
    HOLDFAST_LOG_KEY_ARN: keys.logKey.keyArn,
    HOLDFAST_DATA_KEY_ARN: keys.dataKey.keyArn,
    HOLDFAST_SECRETS_PREFIX: secretsPrefix(config),
    HOLDFAST_GATEWAY: network.gatewayAddress,
  };
}
