/** A log group with a term and a customer key. Kept when its stack goes: logs are read most after something went wrong. */
import { RemovalPolicy } from 'aws-cdk-lib';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import { LogGroup } from 'aws-cdk-lib/aws-logs';
import type { Construct } from 'constructs';

export type LogGroupProps = { readonly key: IKey; readonly retentionDays: number };

export function addLogGroup(scope: Construct, id: string, { key, retentionDays }: LogGroupProps): LogGroup {
  return new LogGroup(scope, id, {
    encryptionKey: key,
    // The enumeration's values are the days themselves.
    retention: retentionDays,
    removalPolicy: RemovalPolicy.RETAIN,
  });
}
