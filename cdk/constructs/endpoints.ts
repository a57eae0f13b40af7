/**
 * The doors of isolated subnets to AWS, and what may pass them. Without a route to the Internet, an API that is missing
 * here can't be reached, and neither CDK nor CloudFormation would say so.
 */

import { Stack } from 'aws-cdk-lib';
import {
  GatewayVpcEndpointAwsService,
  InterfaceVpcEndpointAwsService,
  type ISecurityGroup,
  type ISubnet,
  type IVpc,
  Port,
  SecurityGroup,
} from 'aws-cdk-lib/aws-ec2';
import { AnyPrincipal, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { Construct } from 'constructs';
import type { DataStack } from '../stacks/data.ts';

export type EndpointsProps = {
  readonly vpc: IVpc;
  readonly subnets: readonly ISubnet[];
  /** The only ones who may use them. */
  readonly clients: ISecurityGroup;
  readonly data: DataStack;
};

/** What the gateway calls. The stream has no gateway endpoint: Developer Guide, "AWS PrivateLink for DynamoDB Streams". */
export const interfaceEndpoints = {
  ImageApi: InterfaceVpcEndpointAwsService.ECR,
  ImageRegistry: InterfaceVpcEndpointAwsService.ECR_DOCKER,
  Logs: InterfaceVpcEndpointAwsService.CLOUDWATCH_LOGS,
  Functions: InterfaceVpcEndpointAwsService.LAMBDA,
  TableStream: InterfaceVpcEndpointAwsService.DYNAMODB_STREAMS,
} as const;

export function addEndpoints(scope: Construct, { vpc, subnets, clients, data }: EndpointsProps): void {
  const group = new SecurityGroup(scope, 'EndpointsGroup', {
    vpc,
    description: 'endpoints: 443 from the gateway',
    allowAllOutbound: false,
  });
  group.addIngressRule(clients, Port.tcp(443), 'gateway');
  for (const [id, service] of Object.entries(interfaceEndpoints)) {
    vpc.addInterfaceEndpoint(`${id}Endpoint`, {
      service,
      subnets: { subnets: [...subnets] },
      securityGroups: [group],
      open: false,
      privateDnsEnabled: true,
    });
  }
  const where = { subnets: [{ subnets: [...subnets] }] };
  const table = vpc.addGatewayEndpoint('TableEndpoint', { service: GatewayVpcEndpointAwsService.DYNAMODB, ...where });
  table.addToPolicy(
    new PolicyStatement({
      principals: [new AnyPrincipal()],
      actions: [
        'dynamodb:ConditionCheckItem',
        'dynamodb:DeleteItem',
        'dynamodb:GetItem',
        'dynamodb:PutItem',
        'dynamodb:Query',
        'dynamodb:UpdateItem',
      ],
      resources: [data.table.tableArn],
    }),
  );
  const objects = vpc.addGatewayEndpoint('ObjectsEndpoint', { service: GatewayVpcEndpointAwsService.S3, ...where });
  objects.addToPolicy(
    new PolicyStatement({
      principals: [new AnyPrincipal()],
      actions: ['s3:ListBucket'],
      resources: [data.blobs.bucketArn],
    }),
  );
  const { partition, region } = Stack.of(scope);
  objects.addToPolicy(
    new PolicyStatement({
      principals: [new AnyPrincipal()],
      actions: ['s3:GetObject'],
      resources: [
        data.blobs.arnForObjects('*'),
        // Amazon ECR User Guide, "Minimum Amazon S3 bucket permissions": where image layers come from.
        `arn:${partition}:s3:::prod-${region}-starport-layer-bucket/*`,
      ],
    }),
  );
}
