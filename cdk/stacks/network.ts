/**
 * The network and the load balancer. Stateful: every agent holds the load balancer's address, so it must not change.
 * The two security groups are all that is open: 443 from anywhere to the load balancer, and from it the gateway's ports.
 */
import { CfnOutput } from 'aws-cdk-lib';
import {
  FlowLogDestination,
  FlowLogTrafficType,
  IpAddresses,
  type ISecurityGroup,
  type ISubnet,
  type IVpc,
  Peer,
  Port,
  SecurityGroup,
  SubnetType,
  Vpc,
} from 'aws-cdk-lib/aws-ec2';
import { ClientRoutingPolicy, NetworkLoadBalancer } from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import type { Construct } from 'constructs';
import type { DeploymentConfig } from '../config.ts';
import { addEndpoints } from '../constructs/endpoints.ts';
import { addLogGroup } from '../constructs/log-group.ts';
import { gatewayPorts, profiles, publicPort } from '../profiles.ts';
import type { DataStack } from './data.ts';
import type { KeysStack } from './keys.ts';
import { FleetStack } from './stack.ts';

export type NetworkStackProps = {
  readonly config: DeploymentConfig;
  readonly keys: KeysStack;
  readonly data: DataStack;
};

export class NetworkStack extends FleetStack {
  readonly vpc: IVpc;
  /** Where the gateway's tasks stand. */
  readonly gatewaySubnets: readonly ISubnet[];
  readonly gatewayGroup: ISecurityGroup;
  readonly loadBalancer: NetworkLoadBalancer;
  /** `host:port`, as nodes reach the gateway. */
  readonly gatewayAddress: string;

  constructor(scope: Construct, id: string, { config, keys, data }: NetworkStackProps) {
    super(scope, id, { config, description: `Holdfast ${config.fleet}: network and the gateway's address` });
    const isIsolated = profiles[config.profile].gateway.subnets === 'isolated';
    this.vpc = config.vpc === undefined ? this.addVpc(keys) : this.importVpc(config.vpc, isIsolated);
    this.gatewaySubnets = isIsolated ? this.vpc.isolatedSubnets : this.vpc.publicSubnets;

    // CDK would make both groups by itself, closed to each other, and the gateway unreachable.
    const edgeGroup = new SecurityGroup(this, 'EdgeGroup', {
      vpc: this.vpc,
      description: 'load balancer: 443 in, gateway ports out',
      allowAllOutbound: false,
    });
    this.gatewayGroup = new SecurityGroup(this, 'GatewayGroup', {
      vpc: this.vpc,
      description: 'gateway: from the load balancer in, AWS APIs out',
      allowAllOutbound: false,
    });
    edgeGroup.addIngressRule(Peer.anyIpv4(), Port.tcp(publicPort), 'agents');
    for (const [what, port] of Object.entries(gatewayPorts)) {
      edgeGroup.addEgressRule(this.gatewayGroup, Port.tcp(port), what);
      this.gatewayGroup.addIngressRule(edgeGroup, Port.tcp(port), what);
    }
    this.gatewayGroup.addEgressRule(Peer.anyIpv4(), Port.tcp(443), 'AWS APIs; without a route, the endpoints alone');
    if (isIsolated && config.vpc === undefined) {
      addEndpoints(this, { vpc: this.vpc, subnets: this.gatewaySubnets, clients: this.gatewayGroup, data });
    }

    this.loadBalancer = new NetworkLoadBalancer(this, 'LoadBalancer', {
      vpc: this.vpc,
      vpcSubnets: { subnets: this.vpc.publicSubnets },
      internetFacing: true,
      securityGroups: [edgeGroup],
      crossZoneEnabled: true,
      zonalShift: true,
      deletionProtection: true,
      clientRoutingPolicy: ClientRoutingPolicy.ANY_AVAILABILITY_ZONE,
    });
    this.gatewayAddress = `${config.gatewayDomain ?? this.loadBalancer.loadBalancerDnsName}:${publicPort}`;
    new CfnOutput(this, 'LoadBalancerName', {
      value: this.loadBalancer.loadBalancerDnsName,
      description: 'point gatewayDomain here, if there is one',
    });
  }

  private addVpc(keys: KeysStack): IVpc {
    const isIsolated = profiles[this.config.profile].gateway.subnets === 'isolated';
    const isolated = { name: 'gateway', subnetType: SubnetType.PRIVATE_ISOLATED, cidrMask: 22 };
    const vpc = new Vpc(this, 'Vpc', {
      ipAddresses: IpAddresses.cidr('10.80.0.0/16'),
      availabilityZones: [...this.config.zones],
      natGateways: 0,
      // The alternative is a function of CDK's own in the account, to close a group that nothing of ours is in.
      restrictDefaultSecurityGroup: false,
      subnetConfiguration: [
        { name: 'public', subnetType: SubnetType.PUBLIC, cidrMask: 24, mapPublicIpOnLaunch: false },
        ...(isIsolated ? [isolated] : []),
      ],
    });
    vpc.addFlowLog('FlowLog', {
      destination: FlowLogDestination.toCloudWatchLogs(
        addLogGroup(this, 'FlowLogs', { key: keys.dataKey, retentionDays: this.config.logRetentionDays }),
      ),
      trafficType: FlowLogTrafficType.REJECT,
    });
    return vpc as IVpc;
  }

  private importVpc(vpc: NonNullable<DeploymentConfig['vpc']>, isIsolated: boolean): IVpc {
    return Vpc.fromVpcAttributes(this, 'Vpc', {
      vpcId: vpc.vpcId,
      vpcCidrBlock: vpc.cidr,
      availabilityZones: [...this.config.zones],
      publicSubnetIds: [...vpc.publicSubnetIds],
      ...(isIsolated && { isolatedSubnetIds: [...vpc.isolatedSubnetIds] }),
    });
  }
}
