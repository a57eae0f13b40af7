import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { functionNames } from '../functions/aws/environment.ts';
import { interfaceEndpoints } from './constructs/endpoints.ts';
import {
  mentions,
  type Properties,
  profileNames,
  resourcesOf,
  type Statement,
  statementsOf,
  synthesize,
  type Templates,
  text,
} from './testing.ts';

const root = join(import.meta.dirname, '..');
const lambdaNames = functionNames.filter((name) => name !== 'gateway');

for (const profile of profileNames) {
  describe(profile, () => {
    let templates: Templates;
    let statements: readonly Statement[];
    before(() => {
      templates = synthesize({ profile });
      statements = statementsOf(templates);
    });
    const all = (type: string) => resourcesOf(templates, type);

    test('nothing is open to the world but 443 of the load balancer', () => {
      const open: string[] = [];
      const isWorld = (rule: Properties) => rule['CidrIp'] === '0.0.0.0/0' || rule['CidrIpv6'] === '::/0';
      for (const { id, properties } of all('AWS::EC2::SecurityGroup')) {
        for (const rule of properties['SecurityGroupIngress'] ?? []) {
          if (isWorld(rule)) open.push(`${id} ${rule.IpProtocol} ${rule.FromPort}-${rule.ToPort}`);
        }
      }
      for (const { id, properties } of all('AWS::EC2::SecurityGroupIngress')) if (isWorld(properties)) open.push(id);
      assert.equal(open.length, 1, open.join());
      assert.match(open[0] ?? '', /^EdgeGroup\w+ tcp 443-443$/);
      for (const { properties } of all('AWS::S3::Bucket')) {
        assert.deepEqual(new Set(Object.values(properties['PublicAccessBlockConfiguration'])), new Set([true]));
      }
      for (const type of ['AWS::Lambda::Url', 'AWS::EC2::NatGateway', 'AWS::EC2::EIP', 'AWS::EC2::Instance']) {
        assert.deepEqual(all(type), [], type);
      }
      for (const { properties } of all('AWS::Lambda::Permission')) {
        assert(['apigateway.amazonaws.com', 'events.amazonaws.com'].includes(properties['Principal']));
        assert(properties['SourceArn'], 'anybody’s API could invoke the function');
      }
    });

    test('R02 a path leads from the load balancer to the gateway’s two ports, and no other one does', () => {
      const [balancer] = all('AWS::ElasticLoadBalancingV2::LoadBalancer');
      assert.equal(balancer?.properties['SecurityGroups'].length, 1);
      assert(mentions(balancer?.properties['SecurityGroups'], 'EdgeGroup'));
      const [service] = all('AWS::ECS::Service');
      const network = service?.properties['NetworkConfiguration'].AwsvpcConfiguration;
      assert.equal(network.SecurityGroups.length, 1);
      assert(mentions(network.SecurityGroups, 'GatewayGroup'));

      const [gatewayGroup] = all('AWS::EC2::SecurityGroup').filter(({ id }) => id.startsWith('GatewayGroup'));
      assert.equal(gatewayGroup?.properties['SecurityGroupIngress'], undefined);
      const paths = (type: string, group: string, peer: string) =>
        all(type)
          .filter(({ properties }) => mentions(properties['GroupId'], group))
          .map(({ properties }) => {
            assert(mentions(properties['SourceSecurityGroupId'] ?? properties['DestinationSecurityGroupId'], peer));
            assert.equal(properties['IpProtocol'], 'tcp');
            assert.equal(properties['FromPort'], properties['ToPort']);
            return Number(properties['FromPort']);
          })
          .sort();
      assert.deepEqual(paths('AWS::EC2::SecurityGroupIngress', 'GatewayGroup', 'EdgeGroup'), [8081, 8443]);
      assert.deepEqual(paths('AWS::EC2::SecurityGroupEgress', 'EdgeGroup', 'GatewayGroup'), [8081, 8443]);
      const [edgeGroup] = all('AWS::EC2::SecurityGroup').filter(({ id }) => id.startsWith('EdgeGroup'));
      assert.equal(edgeGroup?.properties['SecurityGroupEgress'], undefined);
    });

    test('R02 the one listener passes TCP on 443 through; TLS ends in the container and nowhere before', () => {
      const listeners = all('AWS::ElasticLoadBalancingV2::Listener');
      assert.equal(listeners.length, 1);
      const { Port, Protocol, Certificates } = listeners[0]?.properties ?? {};
      assert.deepEqual({ Port, Protocol, Certificates }, { Port: 443, Protocol: 'TCP', Certificates: undefined });
      const [target, ...more] = all('AWS::ElasticLoadBalancingV2::TargetGroup');
      assert.deepEqual(more, []);
      assert.equal(target?.properties['Protocol'], 'TCP');
      assert.equal(target?.properties['Port'], 8443);
      assert.equal(target?.properties['HealthCheckPort'], '8081');
      const attributes = (list: readonly { Key: string; Value: string }[]) =>
        Object.fromEntries(list.map(({ Key, Value }) => [Key, Value]));
      assert.equal(
        attributes(target?.properties['TargetGroupAttributes'])['deregistration_delay.timeout_seconds'],
        '180',
      );
      const [balancer] = all('AWS::ElasticLoadBalancingV2::LoadBalancer');
      const { LoadBalancerAttributes, Scheme, Type } = balancer?.properties ?? {};
      assert.deepEqual({ Scheme, Type }, { Scheme: 'internet-facing', Type: 'network' });
      const set = attributes(LoadBalancerAttributes);
      for (const key of [
        'deletion_protection.enabled',
        'load_balancing.cross_zone.enabled',
        'zonal_shift.config.enabled',
      ])
        assert.equal(set[key], 'true', key);
    });

    test('the gateway’s task has a read-only root, no root user, no capability, no shell into it, and time to drain', () => {
      const [task] = all('AWS::ECS::TaskDefinition');
      const [container, ...more] = task?.properties['ContainerDefinitions'] ?? [];
      assert.deepEqual(more, []);
      assert.equal(container.ReadonlyRootFilesystem, true);
      assert.equal(container.Privileged, false);
      assert.equal(container.User, '65532:65532');
      assert.equal(container.StopTimeout, 120);
      assert.deepEqual(container.LinuxParameters.Capabilities, { Drop: ['ALL'] });
      assert.deepEqual(
        container.PortMappings.map(({ ContainerPort }: Properties) => ContainerPort),
        [8443, 8081],
      );
      assert.equal(task?.properties['RuntimePlatform'].CpuArchitecture, 'ARM64');
      const [service] = all('AWS::ECS::Service');
      assert.equal(service?.properties['EnableExecuteCommand'], false);
      assert.equal(service?.properties['DesiredCount'], profile === 'small' ? 1 : 3);
      // A new task is ready before an old one goes.
      assert.equal(service?.properties['DeploymentConfiguration'].MinimumHealthyPercent, 100);
    });

    test('an image is pinned by its digest', () => {
      const parameter = templates['edge']?.Parameters?.['GatewayImage'];
      const pattern = new RegExp(String(parameter?.['AllowedPattern']));
      const repository = '111122223333.dkr.ecr.eu-central-1.amazonaws.com/holdfast-gateway';
      assert.match(`${repository}@sha256:${'a'.repeat(64)}`, pattern);
      assert.doesNotMatch(`${repository}:latest`, pattern);
      assert.doesNotMatch(`example.org/holdfast-gateway@sha256:${'a'.repeat(64)}`, pattern);
    });

    test('R12 no secret is in a template, an environment or a task definition: only names of resources', () => {
      const environments = [
        ...all('AWS::Lambda::Function').map(({ properties }) => properties['Environment'].Variables as Properties),
        ...all('AWS::ECS::TaskDefinition').flatMap(({ properties }) =>
          properties['ContainerDefinitions'].map(({ Environment, Secrets, EnvironmentFiles }: Properties) => {
            assert.equal(Secrets ?? EnvironmentFiles, undefined);
            return Object.fromEntries(Environment.map(({ Name, Value }: Properties) => [Name, Value]));
          }),
        ),
      ];
      assert.equal(environments.length, functionNames.length);
      for (const environment of environments) {
        for (const [name, value] of Object.entries(environment)) {
          assert.match(name, /^HOLDFAST_[A-Z_]+$/);
          // Every value is made of references: what is literal in it is punctuation, a scheme or a port.
          const literals = literalParts(value);
          assert.match(
            literals,
            /^(https:\/\/|:443|\.execute-api\.us-east-1\.|\/|holdfast\/[a-z-]+\/)*$/,
            `${name}: ${literals}`,
          );
        }
      }
      const whole = text(templates);
      for (const pattern of [
        /hfe_/,
        /vgot_/,
        /BEGIN [A-Z ]*PRIVATE KEY/,
        /AKIA[0-9A-Z]{16}/,
        /SecretString/,
        /GenerateSecretString/,
        /\{\{resolve:(ssm|secretsmanager)/,
      ])
        assert.doesNotMatch(whole, pattern);
    });

    test('every function has a dead-letter queue, a log with a term, the customer’s key and enforced code signing', () => {
      const functions = all('AWS::Lambda::Function');
      assert.equal(functions.length, lambdaNames.length);
      for (const { id, properties } of functions) {
        assert(properties['DeadLetterConfig']?.TargetArn, id);
        assert(mentions(properties['KmsKeyArn'], 'DataKey'), id);
        assert(properties['CodeSigningConfigArn'], id);
        assert.deepEqual(properties['Runtime'], 'nodejs24.x');
        const log = templates['functions']?.Resources[properties['LoggingConfig'].LogGroup.Ref];
        assert.equal(log?.Properties?.['RetentionInDays'], 365);
      }
      const signing = all('AWS::Lambda::CodeSigningConfig');
      assert.deepEqual(
        signing.map(({ properties }) => properties['CodeSigningPolicies']),
        [{ UntrustedArtifactOnDeployment: 'Enforce' }],
      );
      for (const { id, properties } of all('AWS::Logs::LogGroup')) {
        assert.equal(properties['RetentionInDays'], 365, id);
        assert(mentions(properties['KmsKeyId'], 'DataKey'), id);
      }
      for (const { id, properties } of all('AWS::SQS::Queue'))
        assert(mentions(properties['KmsMasterKeyId'], 'DataKey'), id);
      for (const { properties } of all('AWS::SNS::Topic')) assert(mentions(properties['KmsMasterKeyId'], 'DataKey'));
    });

    test('each function has its own role', () => {
      const roles = all('AWS::Lambda::Function').map(({ properties }) => text(properties['Role']));
      assert.equal(new Set(roles).size, roles.length);
    });

    test('the table and every bucket are kept, encrypted with the customer’s key, versioned or recoverable', () => {
      const [table] = all('AWS::DynamoDB::GlobalTable');
      const [replica] = table?.properties['Replicas'] ?? [];
      assert.equal(table?.resource.DeletionPolicy, 'Retain');
      assert.equal(replica.DeletionProtectionEnabled, true);
      assert.deepEqual(replica.PointInTimeRecoverySpecification, {
        PointInTimeRecoveryEnabled: true,
        RecoveryPeriodInDays: 35,
      });
      assert.equal(table?.properties['StreamSpecification'].StreamViewType, 'NEW_IMAGE');
      assert.equal(table?.properties['BillingMode'], 'PAY_PER_REQUEST');
      assert(mentions(replica.SSESpecification.KMSMasterKeyId, 'DataKey'));
      for (const { id, resource, properties } of all('AWS::S3::Bucket')) {
        assert.equal(resource.DeletionPolicy, 'Retain', id);
        assert.equal(properties['VersioningConfiguration'].Status, 'Enabled', id);
        if (!id.startsWith('AccessLogs')) assert(mentions(properties['BucketEncryption'], 'DataKey'), id);
        const tls = statements.filter(
          (each) =>
            each.effect === 'Deny' && mentions(each.condition, 'aws:SecureTransport') && mentions(each.resources, id),
        );
        assert(tls.length > 0, id);
      }
      for (const { id, resource } of all('AWS::KMS::Key')) assert.equal(resource.DeletionPolicy, 'Retain', id);
      const specs = all('AWS::KMS::Key').map(({ properties }) => properties['KeySpec'] ?? 'SYMMETRIC_DEFAULT');
      assert.deepEqual(specs.sort(), ['ECC_NIST_EDWARDS25519', 'ECC_NIST_P256', 'SYMMETRIC_DEFAULT']);
    });

    test('anchors are locked in compliance mode and only ever new', () => {
      const [anchors] = all('AWS::S3::Bucket').filter(({ id }) => id.startsWith('Anchors'));
      assert.equal(anchors?.properties['ObjectLockEnabled'], true);
      assert.deepEqual(anchors?.properties['ObjectLockConfiguration'].Rule.DefaultRetention, {
        Days: 365,
        Mode: 'COMPLIANCE',
      });
      assert(
        statements.some(
          ({ id, effect, condition }) =>
            id.startsWith('AnchorsPolicy') && effect === 'Deny' && mentions(condition, 's3:if-none-match'),
        ),
      );
    });

    test('every alarm is sent somewhere and names a runbook that exists', () => {
      const alarms = all('AWS::CloudWatch::Alarm');
      assert(alarms.length >= 15);
      for (const { id, properties } of alarms) {
        const [, page] = /Runbook: (docs\/runbooks\/[a-z-]+\.md)$/.exec(properties['AlarmDescription']) ?? [];
        assert(page && existsSync(join(root, page)), `${id}: ${page}`);
        assert(properties['AlarmActions'].length > 0, id);
      }
      assert.equal(all('AWS::CloudWatch::Dashboard').length, 1);
    });

    test('the sealer is woken by the stream and by a schedule of one minute', () => {
      // The stream has two readers by AWS's promise: this one, and the gateways.
      const [mapping, ...more] = all('AWS::Lambda::EventSourceMapping').filter(({ properties }) =>
        mentions(properties['EventSourceArn'], 'StreamArn'),
      );
      assert.deepEqual(more, []);
      assert(mentions(mapping?.properties['FunctionName'], 'SealerFunction'));
      assert(mentions(mapping?.properties['EventSourceArn'], 'StreamArn'));
      assert(mapping?.properties['DestinationConfig'].OnFailure.Destination);
      const [rule] = all('AWS::Events::Rule').filter(({ id }) => id.startsWith('Heartbeat'));
      assert.equal(rule?.properties['ScheduleExpression'], 'rate(1 minute)');
      assert(mentions(rule?.properties['Targets'], 'SealerFunction'));
    });

    test('R32 delivery is woken by rings in order for each destination, and by a schedule of one minute', () => {
      const [mapping, ...more] = all('AWS::Lambda::EventSourceMapping').filter(
        ({ properties }) => !mentions(properties['EventSourceArn'], 'StreamArn'),
      );
      assert.deepEqual(more, []);
      assert(mentions(mapping?.properties['FunctionName'], 'DeliverFunction'));
      assert.equal(mapping?.properties['BatchSize'], 1);
      const queues = all('AWS::SQS::Queue');
      const [rings] = queues.filter(({ id }) => id.startsWith('Rings'));
      assert.equal(rings?.properties['FifoQueue'], true);
      assert(mentions(rings?.properties['RedrivePolicy'], 'LostRings'));
      const [deliver] = all('AWS::Lambda::Function').filter(({ id }) => id.startsWith('DeliverFunction'));
      assert(rings?.properties['VisibilityTimeout'] >= deliver?.properties['Timeout']);
      const [rule] = all('AWS::Events::Rule').filter(({ id }) => id.startsWith('Rounds'));
      assert.equal(rule?.properties['ScheduleExpression'], 'rate(1 minute)');
      assert(mentions(rule?.properties['Targets'], 'RouterFunction'));
    });

    test('gateways in isolated subnets reach every AWS API that they call through an endpoint', () => {
      const [service] = all('AWS::ECS::Service');
      const network = service?.properties['NetworkConfiguration'].AwsvpcConfiguration;
      const endpoints = all('AWS::EC2::VPCEndpoint');
      if (profile === 'small') {
        assert.equal(network.AssignPublicIp, 'ENABLED');
        assert.deepEqual(endpoints, []);
        return;
      }
      assert.equal(network.AssignPublicIp, 'DISABLED');
      assert(network.Subnets.every((subnet: unknown) => mentions(subnet, 'gatewaySubnet')));
      assert.equal(endpoints.length, Object.keys(interfaceEndpoints).length + 2);
      for (const service of ['dynamodb', 's3', 'ecr.api', 'ecr.dkr', 'logs', 'lambda', 'dynamodb-streams'])
        assert(
          endpoints.some(
            ({ properties }) =>
              text(properties['ServiceName']).endsWith(`${service}"`) ||
              mentions(properties['ServiceName'], `.${service}"`),
          ),
          service,
        );
      for (const { properties } of all('AWS::EC2::SecurityGroup').filter(({ id }) => id.startsWith('EndpointsGroup')))
        assert.equal(properties['SecurityGroupIngress'], undefined);
    });
  });
}

/** What of a template's value is written out, without what it refers to. */
function literalParts(value: unknown): string {
  if (typeof value === 'string') return value;
  const { 'Fn::Join': join, 'Fn::Sub': sub } = value as Properties;
  if (sub !== undefined) return String(sub).replaceAll(/\$\{[^}]+\}/g, '');
  return join === undefined ? '' : (join[1] as unknown[]).map(literalParts).join('');
}
