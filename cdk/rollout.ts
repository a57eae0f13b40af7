/**
 * A deployment in the order that code signing demands: what is kept (with the signing profile) first; then the functions'
 * code is uploaded, signed and put in its own place; then what runs. Lambda refuses code that missed the middle step.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseContext } from './config.ts';
import { signingProfileName } from './stacks/keys.ts';

export type Rollout = {
  /** Runs a command to its end; throws when it fails. Returns what it printed if `capture`. */
  readonly run: (command: string, args: readonly string[], options?: { readonly capture?: boolean }) => string;
  /** Whether a command is installed. */
  readonly has: (command: string) => boolean;
  readonly sleep: (ms: number) => Promise<void>;
  readonly say: (text: string) => void;
  /** A file's text. */
  readonly read: (path: string) => string;
  /** Where the synthesis is written. */
  readonly outdir: string;
};

export class RolloutError extends Error {
  override readonly name = 'RolloutError';
  readonly code: 'missing_tool' | 'not_signed' | 'not_founded' | 'usage';
  readonly hint: string;
  constructor(code: RolloutError['code'], message: string, hint: string) {
    super(message);
    this.code = code;
    this.hint = hint;
  }
}

const kept = ['keys', 'data', 'network'] as const;

/**
 * `--operator-key FILE` and `--threshold N` found the fleet, at the first time; all other `args` go to every CDK command,
 * as `-c key=value` and `--profile name`. Throws `RolloutError` and `DeploymentConfigError`.
 */
export async function rollOut(given: readonly string[], io: Rollout): Promise<void> {
  const { founding, rest: args } = parseArguments(given);
  if (!io.has('aws')) {
    throw new RolloutError(
      'missing_tool',
      'the AWS command line is not installed',
      'it signs the functions; docs/aws.md says how',
    );
  }
  const context = contextOf(args);
  const config = parseContext(context);
  const all = [...args];
  if (config.image.kind === 'parameter' && !args.some((each) => each.includes('GatewayImage='))) {
    if (!io.has('docker')) {
      throw new RolloutError(
        'missing_tool',
        'there is no gateway image, and no Docker to build one',
        'give -c image=<name>@sha256:<digest>, or install Docker',
      );
    }
    const origin = config.release === undefined ? 'this tree' : 'the release';
    io.say(`No image was given: it is built from ${origin}.`);
    all.push('-c', 'image=build');
  }
  const cdk = (command: string, ...more: readonly string[]) =>
    io.run('cdk', [command, ...more, ...all, '--output', io.outdir]);

  cdk('deploy', ...kept, '--require-approval', 'broadening');
  cdk('publish-assets', 'functions', '--unstable', 'publish-assets');
  for (const asset of codeAssets(io.outdir)) await sign(asset, signingProfileName(config), args, io);
  cdk('deploy', 'functions', '--exclusively', '--require-approval', 'broadening');
  found(config.fleet, founding, awsCommand(io, config.region, args), io);
  cdk('deploy', 'edge', '--exclusively', '--require-approval', 'broadening');
}

type Founding = { readonly keyFiles: readonly string[]; readonly threshold: number };

/** A gateway is not ready before its fleet is founded, and a service that does not become ready is taken back. */
function found(fleet: string, { keyFiles, threshold }: Founding, aws: Aws, io: Rollout): void {
  const table = output(aws, `${fleet}-data`, 'TableName');
  const key = JSON.stringify({ pk: { S: 'fleet' }, sk: { S: 'descriptor' } });
  const { Item } = aws('dynamodb', 'get-item', '--table-name', table, '--key', key, '--projection-expression', 'pin');
  if (Item !== undefined) return;
  if (keyFiles.length === 0) {
    throw new RolloutError(
      'not_founded',
      'the fleet has no operators yet, who are to sign its policy',
      'add --operator-key ~/.ssh/id_ed25519.pub, once for each operator, and --threshold N for more than one signature',
    );
  }
  const operatorKeys = keyFiles.map((path) => io.read(path).trim());
  const order = { holdfast: 'found-fleet', name: fleet, operatorKeys, threshold };
  const payload = ['--cli-binary-format', 'raw-in-base64-out', '--payload', JSON.stringify(order)];
  const answerFile = join(io.outdir, 'founded.json');
  const name = output(aws, `${fleet}-functions`, 'IdentityFunctionName');
  const { FunctionError } = aws('lambda', 'invoke', '--function-name', name, ...payload, answerFile);
  const answer = io.read(answerFile);
  if (FunctionError !== undefined) {
    throw new RolloutError(
      'not_founded',
      `the fleet was not founded: ${answer.slice(0, 500)}`,
      'see the log of identity',
    );
  }
  io.say(`The fleet ${fleet} is founded: ${answer}`);
}

function output(aws: Aws, stack: string, key: string): string {
  const { Stacks } = aws('cloudformation', 'describe-stacks', '--stack-name', stack) as {
    readonly Stacks?: readonly { readonly Outputs?: readonly { OutputKey: string; OutputValue: string }[] }[];
  };
  const found = Stacks?.[0]?.Outputs?.find(({ OutputKey }) => OutputKey === key)?.OutputValue;
  if (found === undefined)
    throw new RolloutError('not_founded', `stack ${stack} has no output ${key}`, 'deploy it first');
  return found;
}

type Aws = (...command: readonly string[]) => { readonly [key: string]: unknown };

function awsCommand(io: Rollout, region: string, args: readonly string[]): Aws {
  const shared = ['--region', region, '--output', 'json', ...awsProfile(args)];
  return (...command) => {
    const printed = io.run('aws', [...command, ...shared], { capture: true });
    return (printed.trim() === '' ? {} : JSON.parse(printed)) as { readonly [key: string]: unknown };
  };
}

function parseArguments(given: readonly string[]): { readonly founding: Founding; readonly rest: readonly string[] } {
  const keyFiles: string[] = [];
  const rest: string[] = [];
  let threshold = 1;
  for (let i = 0; i < given.length; i += 1) {
    const arg = given[i] ?? '';
    if (arg !== '--operator-key' && arg !== '--threshold') {
      rest.push(arg);
      continue;
    }
    i += 1;
    if (arg === '--operator-key') keyFiles.push(given[i] ?? '');
    else threshold = Number(given[i]);
  }
  const isUsable = keyFiles.every((path) => path !== '') && Number.isInteger(threshold) && threshold >= 1;
  if (!isUsable) {
    throw new RolloutError('usage', '--operator-key needs a file and --threshold a number from 1', 'see docs/aws.md');
  }
  return { founding: { keyFiles, threshold }, rest };
}

export type CodeAsset = {
  readonly name: string;
  readonly bucket: string;
  readonly key: string;
  readonly region: string;
};

/** The functions' code, where `publish-assets` put it. `${AWS::AccountId}` is still to be filled in. */
export function codeAssets(outdir: string): CodeAsset[] {
  const manifest = JSON.parse(readFileSync(join(outdir, 'functions.assets.json'), 'utf8')) as AssetManifest;
  return Object.values(manifest.files)
    .filter(({ source }) => source.packaging === 'zip')
    .flatMap(({ displayName, destinations }) =>
      Object.values(destinations).map(({ bucketName, objectKey, region }) => ({
        name: displayName,
        bucket: bucketName,
        key: objectKey,
        region,
      })),
    );
}

type AssetManifest = {
  readonly files: {
    readonly [digest: string]: {
      readonly displayName: string;
      readonly source: { readonly packaging: string };
      readonly destinations: {
        readonly [name: string]: { readonly bucketName: string; readonly objectKey: string; readonly region: string };
      };
    };
  };
};

const pollMs = 2_000;
const maxPolls = 150;
/** Metadata of an object that carries a signature, so that a second deployment leaves it alone. */
const mark = 'holdfast-signed-by';

/** CDK takes an object that is there for the asset, whatever is in it: so the signed one takes the unsigned one's place. */
async function sign(asset: CodeAsset, profile: string, args: readonly string[], io: Rollout): Promise<void> {
  const aws = awsCommand(io, asset.region, args);
  const { Account } = aws('sts', 'get-caller-identity');
  // biome-ignore lint/suspicious/noTemplateCurlyInString: CloudFormation's placeholder
  const bucket = asset.bucket.replaceAll('${AWS::AccountId}', String(Account));
  const head = aws('s3api', 'head-object', '--bucket', bucket, '--key', asset.key);
  const metadata = (head['Metadata'] ?? {}) as Record<string, string>;
  if (metadata[mark] === profile) return io.say(`${asset.name}: signed already`);

  const source = `s3={bucketName=${bucket},key=${asset.key},version=${String(head['VersionId'])}}`;
  const destination = `s3={bucketName=${bucket},prefix=signed/}`;
  const job = aws(
    'signer',
    'start-signing-job',
    '--source',
    source,
    '--destination',
    destination,
    '--profile-name',
    profile,
  );
  const jobId = String(job['jobId']);
  for (let poll = 0; ; poll += 1) {
    const { status, statusReason } = aws('signer', 'describe-signing-job', '--job-id', jobId);
    if (status === 'Succeeded') break;
    if (status === 'Failed' || poll >= maxPolls) {
      throw new RolloutError(
        'not_signed',
        `${asset.name} was not signed: ${String(statusReason ?? status)}`,
        'AWS Signer shows the job',
      );
    }
    await io.sleep(pollMs);
  }
  const from = `${bucket}/signed/${jobId}.zip`;
  aws(
    's3api',
    'copy-object',
    '--copy-source',
    from,
    '--bucket',
    bucket,
    '--key',
    asset.key,
    '--metadata',
    `${mark}=${profile}`,
    '--metadata-directive',
    'REPLACE',
  );
  io.say(`${asset.name}: signed`);
}

/** `-c key=value`, `--context key=value` and `--context=key=value`, as the CDK command takes them. */
function contextOf(args: readonly string[]): Record<string, string> {
  const pairs = args.flatMap((arg, i) => {
    if (arg === '-c' || arg === '--context') return [args[i + 1] ?? ''];
    return arg.startsWith('--context=') ? [arg.slice('--context='.length)] : [];
  });
  return Object.fromEntries(pairs.map((pair) => [pair.split('=', 1)[0] ?? '', pair.slice(pair.indexOf('=') + 1)]));
}

function awsProfile(args: readonly string[]): readonly string[] {
  const at = args.indexOf('--profile');
  return at < 0 ? [] : ['--profile', args[at + 1] ?? ''];
}
