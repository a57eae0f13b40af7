/**
 * Findings of the rule packs that stand, one by one: the construct, the finding, the reason. Anything that is not here
 * fails the synthesis, and a line that nothing needs any more fails a test.
 */
import { Validations } from 'aws-cdk-lib';
import type { IConstruct } from 'constructs';
import type { Stacks } from './build-app.ts';
import type { DeploymentConfig } from './config.ts';
import { profiles } from './profiles.ts';

export type Acknowledgement = {
  /** Below the stack. */
  readonly path: readonly string[];
  readonly finding: string;
  readonly reason: string;
};

const routes = ['POST--v1--enroll', 'POST--v1--renew', 'GET--v1--fleet', 'ANY--{path+}', 'GET--'];
const ownSubnet = {
  finding: 'CloudFormation-Validate::W3010',
  reason: 'The zones are named on purpose: a list that AWS computes may change, and a subnet that moves is replaced.',
};
const existingSubnet = {
  finding: '@aws-cdk/aws-ec2:noSubnetRouteTableId',
  reason: 'The routes of an existing network are its owner’s; nothing here reads or changes them.',
};

const withoutInsights = {
  path: ['Cluster'],
  finding: 'AwsSolutions-ECS4',
  reason:
    'Metrics of each task cost more than this profile’s gateway; CPU and memory of the service are watched without them.',
};

/** Objects of a bucket in the data stack, as cdk-nag writes a reference into another stack. */
const objectsOf = (dataStack: string, output: string, path: string) =>
  `AwsSolutions-IAM5[Resource::${dataStack}:ExportsOutputFnGetAtt${output}/${path}]`;

/** By stack. A path that is not in this deployment, as with an existing VPC, is passed over. */
export function acknowledgements(
  { data, network }: Stacks,
  config: DeploymentConfig,
): { readonly [stack in keyof Stacks]: Acknowledgement[] } {
  const anchors = data.ownAnchors
    ? objectsOf(data.stackName, 'AnchorsE78985FDArnBC8F3FC9', '*')
    : `AwsSolutions-IAM5[Resource::${data.resolve(data.anchors.arnForObjects('*'))}]`;
  const blobs = objectsOf(data.stackName, 'BlobsF0F01DC6Arn220BCD82', 'blobs/*');
  const tiles = objectsOf(data.stackName, 'Tiles6A3958EBArn9DA403EF', '*');
  const partials = objectsOf(data.stackName, 'Tiles6A3958EBArn9DA403EF', 'tile/*.p/*');
  const secrets = `AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:secretsmanager:${config.region}:<AWS::AccountId>:secret:holdfast/${config.fleet}/*]`;
  return {
    keys: [],
    data: [],
    network: [
      {
        path: ['EdgeGroup'],
        finding: 'AwsSolutions-EC23',
        reason: 'Agents are anywhere. One port is open, 443, and behind it is mutual TLS without exception.',
      },
      {
        path: ['LoadBalancer'],
        finding: 'AwsSolutions-ELB2',
        reason:
          'A network load balancer logs TLS listeners only; this one passes TCP through, and the gateway logs by itself.',
      },
      ...network.vpc.publicSubnets.concat(network.vpc.isolatedSubnets).map(({ node }) => ({
        path: ['Vpc', node.id],
        ...(config.vpc === undefined ? ownSubnet : existingSubnet),
      })),
    ],
    functions: [
      ...routes.map((route) => ({
        path: ['Api', 'Api', route],
        finding: 'AwsSolutions-APIG4',
        reason:
          'The program behind it authenticates every request: nodes by signature and token, operators by session or API token. An authorizer would be a second place that decides.',
      })),
      {
        path: ['Admin', 'Policy'],
        finding: blobs,
        reason: 'Blobs are named by their digest, so the names can not be listed here.',
      },
      {
        path: ['Admin', 'Policy'],
        finding: tiles,
        reason: 'The whole published log is readable through the admin API; this bucket holds nothing else.',
      },
      {
        path: ['Admin', 'Policy'],
        finding: secrets,
        reason:
          'Secrets are named by whoever runs the fleet; the prefix is this fleet’s alone, and values are only written.',
      },
      {
        path: ['Admin', 'Policy'],
        finding: 'AwsSolutions-IAM5[Resource::*]',
        reason:
          'secretsmanager:ListSecrets knows no resource (Service Authorization Reference); it tells names of secrets.',
      },
      {
        path: ['Deliver', 'Policy'],
        finding: secrets.replace(/\*\]$/, 'siem/*]'),
        reason: 'Credentials of destinations are named by operators; they are below this one folder of the fleet.',
      },
      {
        path: ['Secrets', 'Policy'],
        finding: secrets,
        reason: 'The one function that reads values of secrets; the prefix is this fleet’s alone.',
      },
      {
        path: ['Secrets', 'Policy'],
        finding: blobs,
        reason: 'Blobs are named by their digest, so the names can not be listed here.',
      },
      {
        path: ['Sealer', 'Policy'],
        finding: tiles,
        reason: 'The sealer publishes the log; this bucket holds nothing else.',
      },
      {
        path: ['Sealer', 'Policy'],
        finding: partials,
        reason: 'Partial tiles are named by the length of the log.',
      },
      {
        path: ['Sealer', 'Policy'],
        finding: anchors,
        reason: 'Anchors are named by the length of the log; what is written can not be replaced or deleted.',
      },
      {
        path: ['Sealer', 'Policy'],
        finding: 'AwsSolutions-IAM5[Resource::*]',
        reason: 'dynamodb:ListStreams knows no resource (Service Authorization Reference); it tells names of streams.',
      },
    ],
    edge: [
      ...(profiles[config.profile].containerInsights ? [] : [withoutInsights]),
      {
        path: ['Gateway', 'TaskRole', 'DefaultPolicy'],
        finding: blobs,
        reason: 'Blobs are named by their digest, so the names can not be listed here.',
      },
      {
        path: ['Gateway', 'ExecutionRole', 'DefaultPolicy'],
        finding: 'AwsSolutions-IAM5[Resource::*]',
        reason: 'ecr:GetAuthorizationToken knows no resource (Service Authorization Reference).',
      },
      {
        path: ['Gateway', 'Task'],
        finding: 'AwsSolutions-ECS2',
        reason: 'The environment holds names of resources and no secret, which a test searches for.',
      },
    ],
  };
}

export function acknowledge(stacks: Stacks, config: DeploymentConfig): void {
  const all = acknowledgements(stacks, config);
  for (const [name, stack] of Object.entries(stacks)) {
    for (const { path, finding, reason } of all[name as keyof Stacks]) {
      const construct = find(stack, path);
      if (construct !== undefined) Validations.of(construct).acknowledge({ id: finding, reason });
    }
  }
}

function find(scope: IConstruct, path: readonly string[]): IConstruct | undefined {
  return path.reduce<IConstruct | undefined>((from, id) => from?.node.tryFindChild(id), scope);
}
