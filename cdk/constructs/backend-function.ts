/**
 * A Lambda function as all of ours are: signed code, an own role whose rights are listed, a dead-letter queue, a log with
 * a term, everything under the customer's key, and alarms.
 */
import { Aws, type Duration, Duration as Durations, Stack } from 'aws-cdk-lib';
import { type IRole, Policy, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import {
  Architecture,
  Code,
  type ICodeSigningConfig,
  Function as LambdaFunction,
  LoggingFormat,
  Runtime,
} from 'aws-cdk-lib/aws-lambda';
import type { ITopic } from 'aws-cdk-lib/aws-sns';
import { Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { addAlarm, alarmPeriod } from './alarms.ts';
import { addLogGroup } from './log-group.ts';

export type BackendFunctionProps = {
  readonly description: string;
  /** Folder with `index.mjs`, which exports `handler`. */
  readonly bundle: string;
  readonly role: IRole;
  /** Everything the function may do besides logging, its queue and its environment. */
  readonly rights: readonly PolicyStatement[];
  readonly environment: { readonly [name: string]: string };
  readonly timeout: Duration;
  readonly memoryMiB: number;
  readonly reservedConcurrency?: number;
  readonly key: IKey;
  readonly codeSigning: ICodeSigningConfig;
  readonly logRetentionDays: number;
  readonly alarms: ITopic;
};

export class BackendFunction extends Construct {
  readonly function: LambdaFunction;
  /** Receives what the function could not do, to be looked at by a person. */
  readonly deadLetters: Queue;

  constructor(scope: Construct, id: string, props: BackendFunctionProps) {
    super(scope, id);
    const { key, role } = props;
    const logGroup = addLogGroup(this, 'Logs', { key, retentionDays: props.logRetentionDays });
    this.deadLetters = new Queue(this, 'DeadLetters', {
      encryption: QueueEncryption.KMS,
      encryptionMasterKey: key,
      enforceSSL: true,
      retentionPeriod: Durations.days(14),
    });
    const policy = new Policy(this, 'Policy', {
      roles: [role],
      statements: [
        ...props.rights,
        new PolicyStatement({
          sid: 'Log',
          actions: ['logs:CreateLogStream', 'logs:PutLogEvents'],
          resources: [logGroup.logGroupArn],
        }),
        new PolicyStatement({
          sid: 'DeadLetters',
          actions: ['sqs:SendMessage'],
          resources: [this.deadLetters.queueArn],
        }),
        dataKeyUse(this, key),
        ownEnvironment(this, key),
      ],
    });
    this.function = new LambdaFunction(this, 'Function', {
      description: props.description,
      runtime: Runtime.NODEJS_24_X,
      architecture: Architecture.ARM_64,
      handler: 'index.handler',
      code: Code.fromAsset(props.bundle),
      role,
      environment: { ...props.environment },
      environmentEncryption: key,
      codeSigningConfig: props.codeSigning,
      deadLetterQueue: this.deadLetters,
      logGroup,
      loggingFormat: LoggingFormat.JSON,
      timeout: props.timeout,
      memorySize: props.memoryMiB,
      ...(props.reservedConcurrency !== undefined && { reservedConcurrentExecutions: props.reservedConcurrency }),
    });
    this.function.node.addDependency(policy);
    this.addAlarms(props.alarms);
  }

  private addAlarms(topic: ITopic): void {
    addAlarm(this, 'Errors', {
      metric: this.function.metricErrors({ period: alarmPeriod }),
      above: 0,
      periods: 3,
      means: 'The function ends with errors.',
      runbook: 'function-errors',
      topic,
    });
    addAlarm(this, 'Throttles', {
      metric: this.function.metricThrottles({ period: alarmPeriod }),
      above: 0,
      periods: 3,
      means: 'The function is called more often than its concurrency allows.',
      runbook: 'function-throttles',
      topic,
    });
    addAlarm(this, 'DeadLettersWaiting', {
      metric: this.deadLetters.metricApproximateNumberOfMessagesVisible({ period: alarmPeriod }),
      above: 0,
      periods: 1,
      means: 'The function gave something up.',
      runbook: 'dead-letters',
      topic,
    });
  }
}

/** The key behind table, buckets and queues, used only by those services. */
export function dataKeyUse(scope: Construct, key: IKey): PolicyStatement {
  const { region } = Stack.of(scope);
  return new PolicyStatement({
    sid: 'DataKey',
    actions: ['kms:Decrypt', 'kms:GenerateDataKey'],
    resources: [key.keyArn],
    conditions: {
      StringEquals: { 'kms:ViaService': ['dynamodb', 's3', 'sqs'].map((name) => `${name}.${region}.amazonaws.com`) },
    },
  });
}

/** Lambda Developer Guide, "Securing environment variables": opened by the function's role, in the name of a function. */
function ownEnvironment(scope: Construct, key: IKey): PolicyStatement {
  const { region } = Stack.of(scope);
  const functions = `arn:${Aws.PARTITION}:lambda:${region}:${Aws.ACCOUNT_ID}:function:*`;
  return new PolicyStatement({
    sid: 'OwnEnvironment',
    actions: ['kms:Decrypt'],
    resources: [key.keyArn],
    conditions: { ArnLike: { 'kms:EncryptionContext:aws:lambda:FunctionArn': functions } },
  });
}
