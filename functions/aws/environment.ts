/**
 * The environment variables of the functions on AWS: names and ARNs, never a secret, and nothing that could weaken
 * authentication, signatures, TLS or the audit log. A variable of ours that a function does not know is refused.
 */
import { z } from 'zod';

const arn = (service: string) =>
  z
    .string()
    .regex(new RegExp(`^arn:aws[a-z-]*:${service}:[a-z0-9-]+:[0-9]{12}:.{1,200}$`), `must be an ARN of ${service}`);
const bucket = z.string().regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'must be the name of a bucket');
const port = z.coerce.number().int().min(0).max(65_535);

/** Every variable there is. */
const variables = {
  /** Set by AWS. */
  AWS_REGION: z.string().regex(/^[a-z]{2}(-[a-z]+)+-[0-9]$/),
  HOLDFAST_TABLE: z.string().regex(/^[A-Za-z0-9_.-]{3,255}$/),
  /** The table's stream of new images. */
  HOLDFAST_STREAM_ARN: arn('dynamodb'),
  HOLDFAST_BLOBS_BUCKET: bucket,
  /** Where the audit log is published. */
  HOLDFAST_LOG_BUCKET: bucket,
  /** With Object Lock in compliance mode; best in another account. */
  HOLDFAST_ANCHORS_BUCKET: bucket,
  HOLDFAST_CA_KEY_ARN: arn('kms'),
  HOLDFAST_LOG_KEY_ARN: arn('kms'),
  HOLDFAST_DATA_KEY_ARN: arn('kms'),
  /** `host:port` by which nodes reach the gateway. */
  HOLDFAST_GATEWAY: z.string().regex(/^[a-z0-9.-]{1,253}:[0-9]{1,5}$/, 'must be host:port'),
  /** Base URL of the HTTPS API. */
  HOLDFAST_URL: z.string().regex(/^https:\/\/[a-z0-9.-]{1,253}(:[0-9]{1,5})?$/, 'must be https://host'),
  /** The identity function, which issues the gateway's certificate. */
  HOLDFAST_IDENTITY_FUNCTION_ARN: arn('lambda'),
  /** The sealing function, the only one that reads values of secrets. */
  HOLDFAST_SECRETS_FUNCTION_ARN: arn('lambda'),
  /** What the names of the fleet's secrets in Secrets Manager begin with. */
  HOLDFAST_SECRETS_PREFIX: z.string().regex(/^[a-z0-9-]{1,64}\/[a-z0-9-]{1,64}\/$/, 'must be like holdfast/fleet/'),
  /** The function that rings for destinations, which the sealer tells of what it sealed. */
  HOLDFAST_ROUTER_FUNCTION_ARN: arn('lambda'),
  /** The queue of rings. */
  HOLDFAST_RINGS_URL: z
    .string()
    .regex(/^https?:\/\/[a-z0-9.:-]{1,253}\/[0-9]{12}\/[A-Za-z0-9_-]{1,75}\.fifo$/, 'must be the URL of a FIFO queue'),
  /** Where the gateway listens; 8443 and 8081 on every address of its container unless told. */
  HOLDFAST_LISTEN: z.ipv4().or(z.ipv6()).default('0.0.0.0'),
  HOLDFAST_PORT: port.default(8443),
  HOLDFAST_HEALTH_PORT: port.default(8081),
} as const;

/** What each function gets, and what the deployment must give it. */
const functions = {
  gateway: [
    'AWS_REGION',
    'HOLDFAST_TABLE',
    'HOLDFAST_STREAM_ARN',
    'HOLDFAST_BLOBS_BUCKET',
    'HOLDFAST_IDENTITY_FUNCTION_ARN',
    'HOLDFAST_SECRETS_FUNCTION_ARN',
    'HOLDFAST_LISTEN',
    'HOLDFAST_PORT',
    'HOLDFAST_HEALTH_PORT',
  ],
  identity: ['AWS_REGION', 'HOLDFAST_TABLE', 'HOLDFAST_CA_KEY_ARN', 'HOLDFAST_LOG_KEY_ARN', 'HOLDFAST_GATEWAY'],
  admin: [
    'AWS_REGION',
    'HOLDFAST_TABLE',
    'HOLDFAST_BLOBS_BUCKET',
    'HOLDFAST_LOG_BUCKET',
    'HOLDFAST_DATA_KEY_ARN',
    'HOLDFAST_SECRETS_PREFIX',
    'HOLDFAST_GATEWAY',
    'HOLDFAST_URL',
  ],
  secrets: [
    'AWS_REGION',
    'HOLDFAST_TABLE',
    'HOLDFAST_BLOBS_BUCKET',
    'HOLDFAST_DATA_KEY_ARN',
    'HOLDFAST_SECRETS_PREFIX',
  ],
  sealer: [
    'AWS_REGION',
    'HOLDFAST_TABLE',
    'HOLDFAST_LOG_BUCKET',
    'HOLDFAST_ANCHORS_BUCKET',
    'HOLDFAST_LOG_KEY_ARN',
    'HOLDFAST_ROUTER_FUNCTION_ARN',
  ],
  router: ['AWS_REGION', 'HOLDFAST_TABLE', 'HOLDFAST_RINGS_URL'],
  deliver: ['AWS_REGION', 'HOLDFAST_TABLE', 'HOLDFAST_RINGS_URL', 'HOLDFAST_DATA_KEY_ARN', 'HOLDFAST_SECRETS_PREFIX'],
} as const satisfies { readonly [name: string]: readonly (keyof typeof variables)[] };

export type FunctionName = keyof typeof functions;
type Variable<Name extends FunctionName> = (typeof functions)[Name][number];
export type Environment<Name extends FunctionName> = {
  readonly [Key in Variable<Name>]: z.output<(typeof variables)[Key]>;
};

export const functionNames = Object.keys(functions) as readonly FunctionName[];

/** The variables that the deployment sets for a function; those with a default are left out. */
export function requiredVariables(name: FunctionName): readonly string[] {
  return functions[name].filter((key) => key.startsWith('HOLDFAST_') && !variables[key].safeParse(undefined).success);
}

/** Throws `TypeError` that names every variable that is missing, wrong or unknown; values are not repeated. */
export function readEnvironment<Name extends FunctionName>(
  name: Name,
  environment: { readonly [key: string]: string | undefined },
): Environment<Name> {
  const wanted: readonly (keyof typeof variables)[] = functions[name];
  const unknown = Object.keys(environment).filter(
    (key) => key.startsWith('HOLDFAST_') && !wanted.some((each) => each === key),
  );
  const shape = z.object(Object.fromEntries(wanted.map((key) => [key, variables[key]])));
  const parsed = shape.safeParse(environment);
  const problems = [
    ...unknown.map((key) => `${key}: not known to ${name}`),
    ...(parsed.error?.issues ?? []).map(({ path, message }) => `${path.join('.')}: ${message}`),
  ];
  if (problems.length > 0) throw new TypeError(`the environment of ${name} can't be used: ${problems.join('; ')}`);
  return Object.freeze(parsed.data) as Environment<Name>;
}
