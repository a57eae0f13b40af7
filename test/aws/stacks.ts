/**
 * The synthesized templates, with the bundles that ship, deployed to the emulation of CloudFormation: names, environments
 * and wiring are those that the stacks made, not ones that a test chose.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CloudFormationClient,
  CreateStackCommand,
  DescribeStackEventsCommand,
  DescribeStacksCommand,
} from '@aws-sdk/client-cloudformation';
import { LambdaClient, ListFunctionsCommand } from '@aws-sdk/client-lambda';
import { CreateBucketCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { buildApp } from '../../cdk/build-app.ts';
import { codeAssets } from '../../cdk/rollout.ts';
import { featureFlags } from '../../cdk/testing.ts';
import { endpointOf, region, s3Client } from './emulator.ts';

const root = join(import.meta.dirname, '../..');
const python = join(root, '.venv/aws/bin/python');
const accountId = '000000000000';
const assetsBucket = `cdk-hnb659fds-assets-${accountId}-${region}`;
const stackNames = ['keys', 'data', 'network', 'functions', 'edge'] as const;

/** What the emulation has no notion of. Each is asserted on in the templates themselves (`cdk/*.test.ts`). */
export const omitted: { readonly [type: string]: string } = {
  'AWS::Lambda::CodeSigningConfig': 'signed code',
  'AWS::EC2::FlowLog': 'flow logs',
  'AWS::EC2::SecurityGroupIngress': 'rules of groups as resources of their own',
  'AWS::EC2::SecurityGroupEgress': 'rules of groups as resources of their own',
  'AWS::ApplicationAutoScaling::ScalableTarget': 'autoscaling',
  'AWS::ApplicationAutoScaling::ScalingPolicy': 'autoscaling',
};

type Resource = { readonly Type: string; readonly Properties?: Record<string, unknown> };
type Template = {
  readonly Parameters?: Record<string, unknown>;
  readonly Rules?: unknown;
  readonly Resources: Record<string, Resource>;
  readonly Outputs?: Record<string, unknown>;
};

/** As it stands, without what is omitted and what refers to that. */
function adapted(template: Template, left: (what: string) => void): string {
  const isOmitted = ({ Type, Properties }: Resource) =>
    Type in omitted || (Type === 'AWS::CloudWatch::Alarm' && Properties?.['Metrics'] !== undefined);
  const entries = Object.entries(template.Resources);
  const gone = entries.filter(([, each]) => isOmitted(each)).map(([id]) => id);
  for (const [id, { Type }] of entries) if (gone.includes(id)) left(`${Type} ${id}`);
  const refers = (value: unknown) => gone.some((id) => JSON.stringify(value).includes(`"${id}"`));
  const Resources = Object.fromEntries(
    entries
      .filter(([id]) => !gone.includes(id))
      .map(([id, each]) => {
        const { CodeSigningConfigArn, ...Properties } = each.Properties ?? {};
        return [id, { ...each, Properties }];
      }),
  );
  const Outputs = Object.fromEntries(Object.entries(template.Outputs ?? {}).filter(([, value]) => !refers(value)));
  // The rule and its parameter ask for CDK's bootstrap stack.
  const { BootstrapVersion, ...Parameters } = template.Parameters ?? {};
  return JSON.stringify({ ...template, Rules: undefined, Parameters, Resources, Outputs });
}

export type Deployed = Awaited<ReturnType<typeof deployStacks>>;

export async function deployStacks(context: { readonly [key: string]: string }) {
  const work = mkdtempSync(join(tmpdir(), 'holdfast-stacks-'));
  const [bundles, outdir] = [join(work, 'bundles'), join(work, 'out')];
  const built = spawnSync(process.execPath, [join(root, 'functions/build.mjs'), bundles], { encoding: 'utf8' });
  if (built.status !== 0) throw new Error(built.stderr);
  // With the rule packs: this is what `npm run synth` writes.
  buildApp({ bundles, outdir, context: { ...featureFlags(), region, ...context } }).app.synth();

  const endpoint = endpointOf('ministack');
  const s3 = s3Client();
  await publishAssets(outdir, work, s3);
  const client = new CloudFormationClient({ region, endpoint });
  const left: string[] = [];
  const outputs: Record<string, string> = {};
  for (const name of stackNames) {
    const template = JSON.parse(readFileSync(join(outdir, `${name}.template.json`), 'utf8')) as Template;
    const stack = `${context['fleet']}-${name}`;
    const body = adapted(template, (what) => left.push(`${name} ${what}`));
    // As CDK does: a template of more than 50 KB is read from a bucket.
    await s3.send(new PutObjectCommand({ Bucket: assetsBucket, Key: `${stack}.json`, Body: body }));
    Object.assign(outputs, await create(client, stack, `${endpoint}/${assetsBucket}/${stack}.json`));
  }
  const lambda = new LambdaClient({ region, endpoint });
  const { Functions = [] } = await lambda.send(new ListFunctionsCommand({}));
  return {
    bundles,
    outputs,
    /** What was not deployed. */
    left,
    functions: Functions.filter(({ FunctionName }) => FunctionName?.startsWith(`${context['fleet']}-`)).map(
      ({ FunctionName = '', Environment }) => ({ name: FunctionName, environment: Environment?.Variables ?? {} }),
    ),
    gatewayEnvironment: await taskEnvironment(endpoint),
    remove() {
      for (const each of [client, lambda, s3]) each.destroy();
      rmSync(work, { recursive: true, force: true });
    },
  };
}

async function create(
  client: CloudFormationClient,
  stack: string,
  templateUrl: string,
): Promise<Record<string, string>> {
  await client.send(
    new CreateStackCommand({
      StackName: stack,
      TemplateURL: templateUrl,
      Capabilities: ['CAPABILITY_IAM'],
      EnableTerminationProtection: true,
    }),
  );
  for (;;) {
    const { Stacks = [] } = await client.send(new DescribeStacksCommand({ StackName: stack }));
    const [{ StackStatus = '', Outputs = [] } = {}] = Stacks;
    if (StackStatus === 'CREATE_COMPLETE') {
      return Object.fromEntries(Outputs.map(({ OutputKey = '', OutputValue = '' }) => [OutputKey, OutputValue]));
    }
    if (!StackStatus.endsWith('_IN_PROGRESS') || StackStatus.startsWith('ROLLBACK')) {
      const { StackEvents = [] } = await client.send(new DescribeStackEventsCommand({ StackName: stack }));
      const failed = StackEvents.filter(({ ResourceStatus }) => ResourceStatus?.endsWith('FAILED'));
      const why = failed.map((each) => `${each.LogicalResourceId}: ${each.ResourceStatusReason}`);
      throw new Error(`${stack} ended as ${StackStatus}: ${why.join('; ')}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** What `cdk publish-assets` does: a zip of each folder, where the template looks for it. */
async function publishAssets(outdir: string, work: string, s3: ReturnType<typeof s3Client>): Promise<void> {
  const buckets = new Set<string>();
  for (const { bucket: pattern, key } of codeAssets(outdir)) {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: CloudFormation's placeholder
    const bucket = pattern.replace('${AWS::AccountId}', accountId);
    if (!buckets.has(bucket)) await s3.send(new CreateBucketCommand({ Bucket: bucket }));
    buckets.add(bucket);
    const archive = join(work, key);
    const script = 'import shutil,sys; shutil.make_archive(sys.argv[1][:-4], "zip", sys.argv[2])';
    const folder = join(outdir, `asset.${key.slice(0, -'.zip'.length)}`);
    const { status, stderr } = spawnSync(python, ['-c', script, archive, folder], { encoding: 'utf8' });
    if (status !== 0) throw new Error(stderr);
    await s3.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: readFileSync(archive) }));
  }
}

/** As the deployed task definition has it. No client of Amazon ECS is needed for these two questions. */
async function taskEnvironment(endpoint: string): Promise<Record<string, string>> {
  const ask = async (operation: string, input: object): Promise<unknown> => {
    const response = await fetch(endpoint, {
      method: 'POST',
      headers: {
        'content-type': 'application/x-amz-json-1.1',
        'x-amz-target': `AmazonEC2ContainerServiceV20141113.${operation}`,
        authorization: `AWS4-HMAC-SHA256 Credential=test/20300101/${region}/ecs/aws4_request, SignedHeaders=host, Signature=0`,
      },
      body: JSON.stringify(input),
    });
    return response.json();
  };
  const { taskDefinitionArns } = (await ask('ListTaskDefinitions', {})) as { taskDefinitionArns: string[] };
  const { taskDefinition } = (await ask('DescribeTaskDefinition', { taskDefinition: taskDefinitionArns.at(-1) })) as {
    taskDefinition: { containerDefinitions: { environment: { name: string; value: string }[] }[] };
  };
  const [container] = taskDefinition.containerDefinitions;
  return Object.fromEntries((container?.environment ?? []).map(({ name, value }) => [name, value]));
}
