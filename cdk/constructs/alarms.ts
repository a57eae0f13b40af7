/** Alarms: each names its runbook, says so in its description, and goes to the one topic. */
import { Duration } from 'aws-cdk-lib';
import { Alarm, ComparisonOperator, type IMetric, TreatMissingData } from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import type { ITopic } from 'aws-cdk-lib/aws-sns';
import type { Construct } from 'constructs';

/** Pages of docs/runbooks, without `.md`. */
export type Runbook =
  | 'api-errors'
  | 'dead-letters'
  | 'delivery-late'
  | 'function-errors'
  | 'function-throttles'
  | 'gateway-busy'
  | 'gateway-unhealthy'
  | 'sealer-late'
  | 'table-errors'
  | 'table-throttled';

export type AlarmProps = {
  readonly metric: IMetric;
  /** The alarm sounds above this. */
  readonly above?: number;
  /** The alarm sounds below this, and when there is no data. */
  readonly below?: number;
  /** Periods in a row. */
  readonly periods: number;
  readonly means: string;
  readonly runbook: Runbook;
  readonly topic: ITopic;
};

export const alarmPeriod = Duration.minutes(1);

export function addAlarm(scope: Construct, id: string, props: AlarmProps): Alarm {
  const { above, below } = props;
  if ((above === undefined) === (below === undefined)) throw new TypeError(`alarm ${id} needs one of above and below`);
  const alarm = new Alarm(scope, id, {
    metric: props.metric,
    evaluationPeriods: props.periods,
    threshold: (above ?? below) as number,
    comparisonOperator:
      above === undefined ? ComparisonOperator.LESS_THAN_THRESHOLD : ComparisonOperator.GREATER_THAN_THRESHOLD,
    treatMissingData: above === undefined ? TreatMissingData.BREACHING : TreatMissingData.NOT_BREACHING,
    alarmDescription: `${props.means} Runbook: docs/runbooks/${props.runbook}.md`,
  });
  alarm.addAlarmAction(new SnsAction(props.topic));
  alarm.addOkAction(new SnsAction(props.topic));
  return alarm;
}
