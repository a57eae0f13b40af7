/** The gateway's service behind the load balancer, its alarms, and the dashboard. Stateless. */
import { Duration } from 'aws-cdk-lib';
import { Dashboard, GraphWidget, type IMetric, PeriodOverride, TextWidget } from 'aws-cdk-lib/aws-cloudwatch';
import {
  AvailabilityZoneRebalancing,
  Cluster,
  ContainerInsights,
  FargatePlatformVersion,
  FargateService,
  type ICluster,
} from 'aws-cdk-lib/aws-ecs';
import {
  type INetworkLoadBalancer,
  NetworkListener,
  type NetworkTargetGroup,
  Protocol,
} from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import type { Construct } from 'constructs';
import type { DeploymentConfig } from '../config.ts';
import { addAlarm, alarmPeriod } from '../constructs/alarms.ts';
import { bundlePath } from '../constructs/bundles.ts';
import { environmentOf } from '../constructs/environment.ts';
import { GatewayTask } from '../constructs/gateway-service.ts';
import { drain, gatewayPorts, profiles, publicPort } from '../profiles.ts';
import type { DataStack } from './data.ts';
import { commonEnvironment, type FunctionsStack } from './functions.ts';
import type { KeysStack } from './keys.ts';
import type { NetworkStack } from './network.ts';
import { FleetStack } from './stack.ts';

export type EdgeStackProps = {
  readonly config: DeploymentConfig;
  readonly keys: KeysStack;
  readonly data: DataStack;
  readonly network: NetworkStack;
  readonly functions: FunctionsStack;
  readonly bundles: string;
};

export class EdgeStack extends FleetStack {
  private readonly props: EdgeStackProps;

  constructor(scope: Construct, id: string, props: EdgeStackProps) {
    const { config } = props;
    super(scope, id, { config, description: `Holdfast ${config.fleet}: gateway and dashboard` });
    this.props = props;
    const service = this.addService();
    const targets = this.addTargets(service);
    this.addAlarms(service, targets);
    this.addDashboard(service, targets);
  }

  private addService(): FargateService {
    const { config, keys, data, network, functions, bundles } = this.props;
    const profile = profiles[config.profile].gateway;
    const identity = functions.functions.identity.function;
    const secrets = functions.functions.secrets.function;
    const task = new GatewayTask(this, 'Gateway', {
      config,
      profile,
      keys,
      data,
      identity,
      secrets,
      environment: environmentOf('gateway', {
        ...commonEnvironment(this.props),
        HOLDFAST_IDENTITY_FUNCTION_ARN: identity.functionArn,
        HOLDFAST_SECRETS_FUNCTION_ARN: secrets.functionArn,
      }),
      bundle: () => bundlePath(bundles, 'gateway'),
    });
    const service = new FargateService(this, 'Service', {
      cluster: new Cluster(this, 'Cluster', {
        vpc: network.vpc,
        containerInsightsV2: profiles[config.profile].containerInsights
          ? ContainerInsights.ENABLED
          : ContainerInsights.DISABLED,
      }) as ICluster,
      taskDefinition: task.definition,
      platformVersion: FargatePlatformVersion.VERSION1_4,
      desiredCount: profile.tasks,
      vpcSubnets: { subnets: [...network.gatewaySubnets] },
      securityGroups: [network.gatewayGroup],
      assignPublicIp: profile.subnets === 'public',
      // A new task is ready before an old one begins to drain.
      minHealthyPercent: 100,
      maxHealthyPercent: 200,
      circuitBreaker: { enable: true, rollback: true },
      availabilityZoneRebalancing: AvailabilityZoneRebalancing.ENABLED,
      healthCheckGracePeriod: Duration.seconds(60),
      enableExecuteCommand: false,
    });
    const scaling = service.autoScaleTaskCount({ minCapacity: profile.tasks, maxCapacity: profile.maxTasks });
    // Held connections do not move by themselves: go slowly, or a wave is followed by its echo.
    const pace = { scaleInCooldown: Duration.minutes(15), scaleOutCooldown: Duration.minutes(2) };
    scaling.scaleOnCpuUtilization('Cpu', { targetUtilizationPercent: 50, ...pace });
    // Connections cost memory before they cost CPU.
    scaling.scaleOnMemoryUtilization('Memory', { targetUtilizationPercent: 65, ...pace });
    return service;
  }

  /** TLS passes through: it ends in the container, which sees the client's certificate. */
  private addTargets(service: FargateService): NetworkTargetGroup {
    const { network } = this.props;
    const listener = new NetworkListener(this, 'Listener', {
      loadBalancer: network.loadBalancer as INetworkLoadBalancer,
      port: publicPort,
      protocol: Protocol.TCP,
      // Longer than the keepalive of a session, 120 s.
      tcpIdleTimeout: Duration.seconds(350),
    });
    return listener.addTargets('Sessions', {
      port: gatewayPorts.sessions,
      protocol: Protocol.TCP,
      targets: [service.loadBalancerTarget({ containerName: 'gateway', containerPort: gatewayPorts.sessions })],
      deregistrationDelay: drain.deregistrationDelay,
      // The limits on handshakes are per peer.
      preserveClientIp: true,
      healthCheck: {
        protocol: Protocol.HTTP,
        port: String(gatewayPorts.health),
        path: '/readyz',
        interval: Duration.seconds(10),
        timeout: Duration.seconds(5),
        healthyThresholdCount: 2,
        unhealthyThresholdCount: 2,
      },
    });
  }

  private addAlarms(service: FargateService, targets: NetworkTargetGroup): void {
    const topic = this.props.data.alarms;
    const { tasks } = profiles[this.props.config.profile].gateway;
    addAlarm(this, 'GatewayUnhealthy', {
      metric: targets.metrics.healthyHostCount({ period: alarmPeriod, statistic: 'Minimum' }),
      below: tasks,
      periods: 5,
      means: 'Fewer gateway tasks are ready than there should be.',
      runbook: 'gateway-unhealthy',
      topic,
    });
    const busy = {
      above: 80,
      periods: 10,
      means: 'The gateway is near its limit.',
      runbook: 'gateway-busy',
      topic,
    } as const;
    addAlarm(this, 'GatewayCpu', { ...busy, metric: service.metricCpuUtilization({ period: alarmPeriod }) });
    addAlarm(this, 'GatewayMemory', { ...busy, metric: service.metricMemoryUtilization({ period: alarmPeriod }) });
  }

  private addDashboard(service: FargateService, targets: NetworkTargetGroup): void {
    const { functions, data, network } = this.props;
    const balancer = network.loadBalancer.metrics;
    const graph = (title: string, left: IMetric[]) => new GraphWidget({ title, left, width: 8, height: 6 });
    const each = Object.values(functions.functions);
    new Dashboard(this, 'Dashboard', {
      periodOverride: PeriodOverride.AUTO,
      widgets: [
        [
          new TextWidget({
            markdown: '# Holdfast\nWhat each alarm means, and what to do: docs/runbooks',
            width: 24,
            height: 2,
          }),
        ],
        [
          graph('Gateway: ready tasks', [targets.metrics.healthyHostCount(), targets.metrics.unHealthyHostCount()]),
          graph('Gateway: connections', [balancer.activeFlowCount(), balancer.newFlowCount()]),
          graph('Gateway: CPU and memory, %', [service.metricCpuUtilization(), service.metricMemoryUtilization()]),
        ],
        [
          graph(
            'Functions: calls',
            each.map(({ function: made }) => made.metricInvocations()),
          ),
          graph(
            'Functions: errors',
            each.map(({ function: made }) => made.metricErrors()),
          ),
          graph(
            'Functions: duration',
            each.map(({ function: made }) => made.metricDuration()),
          ),
        ],
        [
          graph('Sealer: age of the oldest change, ms', [
            functions.functions.sealer.function.metric('IteratorAge', { statistic: 'Maximum' }),
          ]),
          graph('Table: consumed units', [
            data.table.metricConsumedReadCapacityUnits(),
            data.table.metricConsumedWriteCapacityUnits(),
          ]),
          graph(
            'Dead letters',
            each.map(({ deadLetters }) => deadLetters.metricApproximateNumberOfMessagesVisible()),
          ),
        ],
      ],
    });
  }
}
