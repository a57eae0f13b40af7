/**
 * What the `aws` verbs ask of an AWS account: stacks, one invocation, alarms. A port, so that the verbs are tested without
 * an account; the SDK behind it is loaded only by these verbs.
 */
import type { CloudFormationClient } from '@aws-sdk/client-cloudformation';
import { CliError } from '../errors.ts';

export type StackView = {
  readonly name: string;
  readonly state: string;
  readonly isProtected: boolean;
  readonly changed: string | undefined;
  /** Without those that only other stacks read. */
  readonly outputs: { readonly [key: string]: string };
};
export type TemplateView = {
  readonly Resources?: {
    readonly [id: string]: { readonly Type: string; readonly DeletionPolicy?: string; readonly Properties?: object };
  };
};
export type AlarmView = {
  readonly name: string;
  readonly state: string;
  readonly means: string;
  readonly since: string | undefined;
};

export interface AwsAccount {
  /** `undefined` when there is no such stack. */
  stack(name: string): Promise<StackView | undefined>;
  /** As it was deployed. */
  template(name: string): Promise<TemplateView>;
  /** Invokes a function as the caller's own principal; what it returns, or an error that says what it threw. */
  invoke(functionName: string, event: object): Promise<InvocationResult>;
  /** Those whose name begins so. */
  alarms(prefix: string): Promise<readonly AlarmView[]>;
  /** The age of the oldest change that the function had still to see in the last five minutes; none: nothing was measured. */
  iteratorAgeMs(functionName: string, now: number): Promise<number | undefined>;
}

export type InvocationResult =
  | { readonly kind: 'returned'; readonly value: unknown }
  | { readonly kind: 'threw'; readonly message: string };

/** With the credentials and the region that the AWS command line would use. */
export async function openAccount(options: { readonly region: string | undefined }): Promise<AwsAccount> {
  const [cloudformation, cloudwatch, lambda] = await Promise.all([
    import('@aws-sdk/client-cloudformation'),
    import('@aws-sdk/client-cloudwatch'),
    import('@aws-sdk/client-lambda'),
  ]);
  const config = options.region === undefined ? {} : { region: options.region };
  const stacks = new cloudformation.CloudFormationClient(config);
  const metrics = new cloudwatch.CloudWatchClient(config);
  const functions = new lambda.LambdaClient(config);

  return {
    stack: (name) => asked(() => describe(stacks, cloudformation, name)),
    template: (name) =>
      asked(async () => {
        const { TemplateBody } = await stacks.send(new cloudformation.GetTemplateCommand({ StackName: name }));
        return JSON.parse(TemplateBody ?? '{}') as TemplateView;
      }),
    invoke: (functionName, event) =>
      asked(async () => {
        const { FunctionError, Payload } = await functions.send(
          new lambda.InvokeCommand({ FunctionName: functionName, Payload: Buffer.from(JSON.stringify(event)) }),
        );
        const value: unknown = JSON.parse(Buffer.from(Payload ?? Buffer.from('null')).toString('utf8'));
        if (FunctionError === undefined) return { kind: 'returned', value };
        const { errorMessage } = (value ?? {}) as { errorMessage?: unknown };
        return { kind: 'threw', message: String(errorMessage ?? FunctionError) };
      }),
    alarms: (prefix) =>
      asked(async () => {
        const found: AlarmView[] = [];
        let next: string | undefined;
        do {
          const page = await metrics.send(
            new cloudwatch.DescribeAlarmsCommand({
              AlarmNamePrefix: prefix,
              ...(next === undefined ? {} : { NextToken: next }),
            }),
          );
          for (const { AlarmName, StateValue, AlarmDescription, StateUpdatedTimestamp } of page.MetricAlarms ?? [])
            found.push({
              name: AlarmName ?? '',
              state: StateValue ?? 'INSUFFICIENT_DATA',
              means: AlarmDescription ?? '',
              since: StateUpdatedTimestamp?.toISOString(),
            });
          next = page.NextToken;
        } while (next !== undefined);
        return found;
      }),
    iteratorAgeMs: (functionName, now) =>
      asked(async () => {
        const { Datapoints } = await metrics.send(
          new cloudwatch.GetMetricStatisticsCommand({
            Namespace: 'AWS/Lambda',
            MetricName: 'IteratorAge',
            Dimensions: [{ Name: 'FunctionName', Value: functionName }],
            StartTime: new Date(now - 300_000),
            EndTime: new Date(now),
            Period: 300,
            Statistics: ['Maximum'],
          }),
        );
        const ages = (Datapoints ?? []).flatMap(({ Maximum }) => (Maximum === undefined ? [] : [Maximum]));
        return ages.length === 0 ? undefined : Math.max(...ages);
      }),
  };
}

async function describe(
  client: CloudFormationClient,
  { DescribeStacksCommand }: typeof import('@aws-sdk/client-cloudformation'),
  name: string,
): Promise<StackView | undefined> {
  try {
    const { Stacks } = await client.send(new DescribeStacksCommand({ StackName: name }));
    const [stack] = Stacks ?? [];
    if (stack === undefined || stack.StackStatus === 'DELETE_COMPLETE') return undefined;
    const own = (stack.Outputs ?? []).filter(({ OutputKey = '' }) => !OutputKey.startsWith('Exports'));
    return {
      name,
      state: stack.StackStatus ?? 'unknown',
      isProtected: stack.EnableTerminationProtection ?? false,
      changed: (stack.LastUpdatedTime ?? stack.CreationTime)?.toISOString(),
      outputs: Object.fromEntries(own.map(({ OutputKey = '', OutputValue = '' }) => [OutputKey, OutputValue])),
    };
  } catch (error) {
    // AWS CloudFormation API reference, DescribeStacks: an absent stack is a validation error.
    if (/does not exist/.test((error as Error).message)) return undefined;
    throw error;
  }
}

/** What AWS refused, as an error of the command. */
async function asked<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    throw toCliError(error as Error & { readonly code?: string });
  }
}

function toCliError(error: Error & { readonly code?: string }): CliError {
  const { name, message, code } = error;
  const about = { cause: error };
  if (
    /Credentials|Token(RefreshRequired|ProviderError)|ExpiredToken|UnrecognizedClient|InvalidClientTokenId/.test(name)
  )
    return new CliError('refused', `AWS has no use for the credentials: ${message}`, {
      hint: 'log in as for the AWS command line: aws sso login, AWS_PROFILE or AWS_ACCESS_KEY_ID',
      ...about,
    });
  if (/AccessDenied|NotAuthorized|Unauthorized/.test(name))
    return new CliError('refused', `AWS refuses it: ${message}`, {
      hint: 'ask for this right for your own principal; docs/aws.md says which verb needs which',
      ...about,
    });
  if (/Region/i.test(message) && /missing|resolve/i.test(message))
    return new CliError('usage', 'no region was named', { hint: '--region eu-central-1, or AWS_REGION', ...about });
  if (/^E[A-Z]+$/.test(code ?? '') || /Timeout/.test(name))
    return new CliError('unreachable', `AWS can't be reached (${code ?? name})`, {
      hint: 'check the network and --region',
      ...about,
    });
  return new CliError('failure', `AWS answered ${name}: ${message}`, about);
}
