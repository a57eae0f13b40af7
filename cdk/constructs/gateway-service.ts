/** The gateway's container: its image, its task, its rights. It has no key, no CA and no trust root. */
import { Aws, CfnParameter, Stack } from 'aws-cdk-lib';
import { Platform } from 'aws-cdk-lib/aws-ecr-assets';
import {
  Capability,
  ContainerImage,
  CpuArchitecture,
  FargateTaskDefinition,
  LinuxParameters,
  LogDriver,
  OperatingSystemFamily,
} from 'aws-cdk-lib/aws-ecs';
import { PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { IFunction } from 'aws-cdk-lib/aws-lambda';
import { Construct } from 'constructs';
import type { DeploymentConfig } from '../config.ts';
import { drain, gatewayPorts, type Profile } from '../profiles.ts';
import type { DataStack } from '../stacks/data.ts';
import type { KeysStack } from '../stacks/keys.ts';
import { dataKeyUse } from './backend-function.ts';
import { listable } from './function-rights.ts';
import { addLogGroup } from './log-group.ts';
import { entryWriter, tableStatements } from './table-rights.ts';

export type GatewayTaskProps = {
  readonly config: DeploymentConfig;
  readonly profile: Profile['gateway'];
  readonly keys: KeysStack;
  readonly data: DataStack;
  readonly environment: { readonly [name: string]: string };
  /** Issues the gateway's own certificate, to this role. */
  readonly identity: IFunction;
  /** Seals secrets to nodes. */
  readonly secrets: IFunction;
  /** Folder with the image's Dockerfile and program, read only when the image is built at deployment. */
  readonly bundle: () => string;
};

/** uid and gid of "nonroot" in images without a shell. */
const nonRoot = '65532:65532';

export class GatewayTask extends Construct {
  readonly definition: FargateTaskDefinition;

  constructor(scope: Construct, id: string, props: GatewayTaskProps) {
    super(scope, id);
    const { config, profile, keys } = props;
    const ecsTasks = new ServicePrincipal('ecs-tasks.amazonaws.com', {
      conditions: { StringEquals: { 'aws:SourceAccount': Aws.ACCOUNT_ID } },
    });
    const taskRole = new Role(this, 'TaskRole', {
      assumedBy: ecsTasks,
      description: `Holdfast ${config.fleet}: the gateway, as nodes reach it`,
    });
    for (const statement of gatewayRights(this, props)) taskRole.addToPolicy(statement);
    const executionRole = new Role(this, 'ExecutionRole', {
      assumedBy: ecsTasks,
      description: `Holdfast ${config.fleet}: starts the gateway's container`,
    });
    this.definition = new FargateTaskDefinition(this, 'Task', {
      cpu: profile.cpu,
      memoryLimitMiB: profile.memoryMiB,
      runtimePlatform: { cpuArchitecture: CpuArchitecture.ARM64, operatingSystemFamily: OperatingSystemFamily.LINUX },
      taskRole,
      executionRole,
    });
    const linuxParameters = new LinuxParameters(this, 'Linux', { initProcessEnabled: false });
    linuxParameters.dropCapabilities(Capability.ALL);
    this.definition.addContainer('gateway', {
      image: this.image(props, executionRole),
      environment: { ...props.environment },
      essential: true,
      linuxParameters,
      logging: LogDriver.awsLogs({
        streamPrefix: 'gateway',
        logGroup: addLogGroup(this, 'Logs', { key: keys.dataKey, retentionDays: config.logRetentionDays }),
      }),
      portMappings: Object.values(gatewayPorts).map((containerPort) => ({ containerPort })),
      privileged: false,
      readonlyRootFilesystem: true,
      stopTimeout: drain.stopTimeout,
      user: nonRoot,
    });
  }

  private image({ config, bundle }: GatewayTaskProps, executionRole: Role): ContainerImage {
    const { image } = config;
    switch (image.kind) {
      case 'build':
        return ContainerImage.fromAsset(bundle(), { platform: Platform.LINUX_ARM64 });
      case 'pinned': {
        const repository = privateRepository(image.reference);
        if (repository !== undefined) allowPull(executionRole, repository);
        return ContainerImage.fromRegistry(image.reference);
      }
      case 'parameter': {
        const { region } = Stack.of(this);
        allowPull(executionRole, `arn:${Aws.PARTITION}:ecr:${region}:${Aws.ACCOUNT_ID}:repository/holdfast-gateway`);
        const parameter = new CfnParameter(Stack.of(this), 'GatewayImage', {
          type: 'String',
          description: 'The gateway image in this account, pinned by digest',
          allowedPattern: '^[0-9]{12}\\.dkr\\.ecr\\.[a-z0-9-]+\\.amazonaws\\.com/holdfast-gateway@sha256:[0-9a-f]{64}$',
          constraintDescription: 'must be <account>.dkr.ecr.<region>.amazonaws.com/holdfast-gateway@sha256:<digest>',
        });
        return ContainerImage.fromRegistry(parameter.valueAsString);
      }
      default:
        throw new TypeError(`unknown image: ${JSON.stringify(image satisfies never)}`);
    }
  }
}

/** What the gateway reads on the hot path is in memory, fed by the stream; what it may write is listed here, and no key. */
function gatewayRights(scope: Construct, { data, keys, identity, secrets }: GatewayTaskProps): PolicyStatement[] {
  const entries = entryWriter('gateway');
  const ofUpdates = ['artifact', 'rings', 'rollout', 'rollout#*', 'taken#*'];
  const ofRuns = ['drift#*', 'posture#*', 'run#*', 'run-index#*'];
  return [
    ...tableStatements(data.table.tableArn, {
      read: [...entries.read, ...ofRuns, ...ofUpdates, 'facts#*', 'fleet', 'node#*', 'release', 'secrets', 'wake'],
      // A ring that fails is halted here, so rings are written here; what a node takes, artifact keys decide.
      put: [...entries.put, 'drift#*', 'facts#*', 'rings', 'rollout#*', 'run#*', 'run-index#*', 'taken#*'],
      update: ['posture#*', 'posture-newest#*', 'posture-rollup#*', 'rollout'],
      // It keeps the newest runs of a node, and drops older ones; and what it noted of a node that has a build to answer for.
      delete: [...entries.delete, 'run#*', 'taken#*'],
      // A node's state, keys and labels are not among these: a taken gateway revives no revoked node.
      updateOnly: { partitions: ['node#*'], attributes: nodeAttributesOfGateway },
    }),
    new PolicyStatement({
      sid: 'Stream',
      actions: ['dynamodb:DescribeStream', 'dynamodb:GetRecords', 'dynamodb:GetShardIterator'],
      resources: [data.streamArn],
    }),
    new PolicyStatement({
      sid: 'Blobs',
      actions: ['s3:GetObject'],
      resources: [data.blobs.arnForObjects('blobs/*')],
    }),
    listable('BlobsAbsent', data.blobs),
    new PolicyStatement({
      sid: 'OwnCertificate',
      actions: ['lambda:InvokeFunction'],
      resources: [identity.functionArn],
    }),
    // Sealed to nodes already: the gateway reads no value.
    new PolicyStatement({
      sid: 'SealedSecrets',
      actions: ['lambda:InvokeFunction'],
      resources: [secrets.functionArn],
    }),
    dataKeyUse(scope, keys.dataKey),
  ];
}

/** What `touchNode`, a run report and a report of facts write of a node. */
export const nodeAttributesOfGateway = [
  'pk',
  'sk',
  'seenAt',
  'release',
  'agentVersion',
  'lastRun',
  'factsDigest',
] as const;

function privateRepository(reference: string): string | undefined {
  const [, account, region, name] =
    /^([0-9]{12})\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com\/([^@]+)@/.exec(reference) ?? [];
  return account && region && name ? `arn:${Aws.PARTITION}:ecr:${region}:${account}:repository/${name}` : undefined;
}

function allowPull(role: Role, repositoryArn: string): void {
  role.addToPolicy(
    new PolicyStatement({
      sid: 'Pull',
      actions: ['ecr:BatchCheckLayerAvailability', 'ecr:BatchGetImage', 'ecr:GetDownloadUrlForLayer'],
      resources: [repositoryArn],
    }),
  );
  // Service Authorization Reference, Amazon ECR: this action knows no resource.
  role.addToPolicy(new PolicyStatement({ sid: 'Registry', actions: ['ecr:GetAuthorizationToken'], resources: ['*'] }));
}
