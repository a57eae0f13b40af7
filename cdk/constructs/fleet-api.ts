/** The HTTPS API: enrollment and renewal go to the identity function, everything else to the admin function. */
import { CfnOutput } from 'aws-cdk-lib';
import {
  type CfnStage,
  DomainName,
  HttpApi,
  HttpMethod,
  HttpStage,
  LogGroupLogDestination,
  SecurityPolicy,
} from 'aws-cdk-lib/aws-apigatewayv2';
import { HttpLambdaIntegration } from 'aws-cdk-lib/aws-apigatewayv2-integrations';
import { Certificate } from 'aws-cdk-lib/aws-certificatemanager';
import { Metric } from 'aws-cdk-lib/aws-cloudwatch';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import type { IFunction } from 'aws-cdk-lib/aws-lambda';
import type { ITopic } from 'aws-cdk-lib/aws-sns';
import { Construct } from 'constructs';
import { addAlarm, alarmPeriod } from './alarms.ts';
import { addLogGroup } from './log-group.ts';

export type FleetApiProps = {
  readonly domain?: { readonly domain: string; readonly certificateArn: string };
  readonly burst: number;
  readonly perSecond: number;
  readonly key: IKey;
  readonly logRetentionDays: number;
  readonly alarms: ITopic;
};

/** What the identity service answers; it authenticates each request by what is in it. */
export const identityRoutes = [
  { path: '/v1/enroll', method: HttpMethod.POST },
  { path: '/v1/renew', method: HttpMethod.POST },
  { path: '/v1/fleet', method: HttpMethod.GET },
] as const;

export class FleetApi extends Construct {
  readonly api: HttpApi;
  readonly url: string;

  constructor(scope: Construct, id: string, props: FleetApiProps) {
    super(scope, id);
    const { domain } = props;
    this.api = new HttpApi(this, 'Api', {
      description: 'Holdfast: enrollment, renewal, admin API',
      createDefaultStage: false,
      // One name, one certificate: the generated one would stay open beside it.
      disableExecuteApiEndpoint: domain !== undefined,
    });
    const stage = new HttpStage(this, 'Stage', {
      httpApi: this.api,
      stageName: '$default',
      autoDeploy: true,
      throttle: { burstLimit: props.burst, rateLimit: props.perSecond },
      detailedMetricsEnabled: true,
      accessLogSettings: {
        destination: new LogGroupLogDestination(
          addLogGroup(this, 'AccessLogs', { key: props.key, retentionDays: props.logRetentionDays }),
        ),
      },
      ...(domain !== undefined && {
        domainMapping: {
          domainName: new DomainName(this, 'Domain', {
            domainName: domain.domain,
            certificate: Certificate.fromCertificateArn(this, 'Certificate', domain.certificateArn),
            securityPolicy: SecurityPolicy.TLS_1_2,
          }),
        },
      }),
    });
    (stage.node.defaultChild as CfnStage).addPropertyOverride('AccessLogSettings.Format', accessLogFormat);
    this.url = domain === undefined ? this.api.apiEndpoint : `https://${domain.domain}`;
    new CfnOutput(this, 'Url', { value: this.url, description: 'what nodes join and operators log in at' });

    const metric = (metricName: string) =>
      new Metric({
        namespace: 'AWS/ApiGateway',
        metricName,
        dimensionsMap: { ApiId: this.api.apiId },
        statistic: 'Sum',
        period: alarmPeriod,
      });
    addAlarm(this, 'Failures', {
      metric: metric('5xx'),
      above: 0,
      periods: 3,
      means: 'The API answers with server errors.',
      runbook: 'api-errors',
      topic: props.alarms,
    });
  }

  /** Who answers. The API itself stands first, because the admin function is told its address. */
  route(functions: { readonly identity: IFunction; readonly admin: IFunction }): void {
    const identity = new HttpLambdaIntegration('Identity', functions.identity);
    const admin = new HttpLambdaIntegration('Admin', functions.admin);
    for (const { path, method } of identityRoutes) {
      this.api.addRoutes({ path, methods: [method], integration: identity });
    }
    this.api.addRoutes({ path: '/{path+}', methods: [HttpMethod.ANY], integration: admin });
    this.api.addRoutes({ path: '/', methods: [HttpMethod.GET], integration: admin });
  }
}

/** No query and no header: tokens may stand in them. */
const accessLogFormat = JSON.stringify({
  time: '$context.requestTime',
  request: '$context.requestId',
  source: '$context.identity.sourceIp',
  method: '$context.httpMethod',
  route: '$context.routeKey',
  status: '$context.status',
  bytes: '$context.responseLength',
  latencyMs: '$context.responseLatency',
});
