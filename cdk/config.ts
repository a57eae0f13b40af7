/**
 * What a deployment may choose, read from the CDK context. Every key is named here and any other is refused, so a typo
 * is an error; and none of them can weaken mTLS, signatures, authentication or the audit log, because no such key exists.
 */
import { z } from 'zod';
import { profiles } from './profiles.ts';
import type { ReleaseSource } from './release.ts';

const commaSeparated = z
  .string()
  .transform((text) => text.split(',').map((part) => part.trim()))
  .pipe(z.array(z.string().min(1)).min(1));

const subnets = commaSeparated.pipe(
  z.array(z.string().regex(/^subnet-[0-9a-f]{8,17}$/, 'must be the ids of subnets, separated by commas')),
);

const days = (least: number, most: number) => z.coerce.number().int().min(least).max(most);

/** Amazon CloudWatch Logs API reference, PutRetentionPolicy: only these numbers of days are possible. */
const logRetentionDays = [90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653] as const;

const imagePattern = /^[a-z0-9][a-z0-9._:/-]*@sha256:[0-9a-f]{64}$/;

/** The context as text, which is how `-c key=value` gives it. Unknown keys are an error. */
const contextSchema = z
  .strictObject({
    /** The fleet's name, part of every stack's name. */
    fleet: z
      .string()
      .regex(/^[a-z][a-z0-9-]{0,30}$/, 'must be lower-case letters, digits and hyphens, at most 31')
      .default('holdfast'),
    /** `small`: public subnets with locked-down security groups. `standard`: isolated subnets with endpoints. */
    profile: z.enum(['small', 'standard']).default('small'),
    region: z
      .string()
      .regex(/^[a-z]{2}(-[a-z]+)+-[0-9]$/, 'must be a region such as eu-central-1')
      .default('us-east-1'),
    /** Without it, the account of the credentials that deploy. */
    account: z
      .string()
      .regex(/^[0-9]{12}$/, 'must be 12 digits')
      .optional(),
    /** Availability zones, two or three; the region's a and b, and c in the standard profile, unless told. */
    zones: commaSeparated.pipe(z.array(z.string()).min(2).max(3)).optional(),
    /** Name of the HTTPS API; with `certificate`. */
    domain: z
      .string()
      .regex(/^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}$/, 'must be a DNS name')
      .optional(),
    /** ARN of the ACM certificate for `domain`, in the same region. */
    certificate: z
      .string()
      .regex(
        /^arn:aws[a-z-]*:acm:[a-z0-9-]+:[0-9]{12}:certificate\/[0-9a-f-]+$/,
        'must be the ARN of an ACM certificate',
      )
      .optional(),
    /** Name under which nodes reach the gateway; the load balancer's own unless told. You point it there. */
    gatewayDomain: z
      .string()
      .regex(/^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}$/, 'must be a DNS name')
      .optional(),
    /** An existing VPC; with `vpcCidr`, `vpcPublicSubnets` and, in the standard profile, `vpcIsolatedSubnets`. */
    vpcId: z
      .string()
      .regex(/^vpc-[0-9a-f]{8,17}$/, 'must be the id of a VPC')
      .optional(),
    vpcCidr: z
      .string()
      .regex(/^[0-9.]+\/(1[6-9]|2[0-8])$/, 'must be an IPv4 range, /16 to /28')
      .optional(),
    /** One for each zone, in the order of `zones`. */
    vpcPublicSubnets: subnets.optional(),
    vpcIsolatedSubnets: subnets.optional(),
    /** Receives every alarm. Without it the topic has no subscriber. */
    alarmEmail: z.email().optional(),
    logRetentionDays: z.coerce
      .number()
      .refine((value) => (logRetentionDays as readonly number[]).includes(value), {
        message: `must be one of ${logRetentionDays.join(', ')}`,
      })
      .default(365),
    /** For so long nobody, not even the account's root user, can delete an anchor. It can be lengthened, never shortened. */
    anchorRetentionDays: days(30, 36_500).default(365),
    /** An existing bucket for anchors, best in another account, with Object Lock in compliance mode. */
    anchorBucket: z
      .string()
      .regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'must be the name of a bucket')
      .optional(),
    /** Directory of a signed release, whose programs are deployed instead of this tree's; with `releaseKeys`. */
    release: z.string().min(1).optional(),
    /** File with the list of artifact keys that the release must be signed by. */
    releaseKeys: z.string().min(1).optional(),
    /**
     * The gateway's image, pinned by digest; or `build`, to have it built at deployment. Without it, the
     * stack takes the reference as its parameter `GatewayImage`.
     */
    image: z
      .union([z.literal('build'), z.string().regex(imagePattern)], {
        error: 'must be an image pinned by digest (name@sha256:…), or "build"',
      })
      .optional(),
  })
  .superRefine((context, refinement) => {
    const demand = (holds: boolean, path: keyof typeof context, message: string) => {
      if (!holds) refinement.addIssue({ code: 'custom', path: [path], message });
    };
    const zones = context.zones?.length ?? profiles[context.profile].zones;
    const isStandard = context.profile === 'standard';
    demand(
      (context.domain === undefined) === (context.certificate === undefined),
      'domain',
      'needs certificate, and certificate needs it',
    );
    demand(
      (context.release === undefined) === (context.releaseKeys === undefined),
      'release',
      'needs releaseKeys, and releaseKeys needs it',
    );
    const hasVpc = context.vpcId !== undefined;
    demand(hasVpc === (context.vpcCidr !== undefined), 'vpcCidr', 'needs vpcId, and vpcId needs it');
    demand(hasVpc === (context.vpcPublicSubnets !== undefined), 'vpcPublicSubnets', 'needs vpcId, and vpcId needs it');
    demand(
      (hasVpc && isStandard) === (context.vpcIsolatedSubnets !== undefined),
      'vpcIsolatedSubnets',
      'goes with vpcId in the standard profile, and with nothing else',
    );
    demand(
      context.vpcPublicSubnets === undefined || context.vpcPublicSubnets.length === zones,
      'vpcPublicSubnets',
      'needs one subnet for each zone',
    );
    demand(
      context.vpcIsolatedSubnets === undefined || context.vpcIsolatedSubnets.length === zones,
      'vpcIsolatedSubnets',
      'needs one subnet for each zone',
    );
  });

type Context = z.output<typeof contextSchema>;

export type ExistingVpc = {
  readonly vpcId: string;
  readonly cidr: string;
  readonly publicSubnetIds: readonly string[];
  readonly isolatedSubnetIds: readonly string[];
};

export type DeploymentConfig = Readonly<
  Pick<Context, 'fleet' | 'profile' | 'region' | 'anchorRetentionDays' | 'logRetentionDays'>
> & {
  readonly account?: string;
  readonly zones: readonly string[];
  readonly api?: { readonly domain: string; readonly certificateArn: string };
  readonly gatewayDomain?: string;
  readonly vpc?: ExistingVpc;
  readonly alarmEmail?: string;
  readonly anchorBucket?: string;
  readonly release?: ReleaseSource;
  readonly image: { readonly kind: 'pinned'; readonly reference: string } | { readonly kind: 'build' | 'parameter' };
};

export class DeploymentConfigError extends Error {
  override readonly name = 'DeploymentConfigError';
  readonly code = 'bad_context';
}

/** CDK's own feature flags and records share the context; everything else is ours. */
function isForeign(key: string): boolean {
  return key.startsWith('@aws-cdk') || key.startsWith('aws:cdk:') || key === 'cdk-migrate';
}

/** Parses the whole CDK context. Throws `DeploymentConfigError` naming each key that is wrong. */
export function parseContext(context: { readonly [key: string]: unknown }): DeploymentConfig {
  const own = Object.fromEntries(Object.entries(context).filter(([key]) => !isForeign(key)));
  const parsed = contextSchema.safeParse(own);
  if (!parsed.success) {
    const problems = parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'context'}: ${message}`);
    throw new DeploymentConfigError(
      `the CDK context can't be used\n  ${problems.join('\n  ')}\nhint: docs/aws.md lists every key`,
    );
  }
  return toConfig(parsed.data);
}

/** The keys there are, for the documentation's test. */
export const contextKeys: readonly string[] = Object.keys(contextSchema.shape);

function toConfig(context: Context): DeploymentConfig {
  const { domain, certificate, release, releaseKeys, vpcId, vpcCidr, image } = context;
  return {
    fleet: context.fleet,
    profile: context.profile,
    region: context.region,
    anchorRetentionDays: context.anchorRetentionDays,
    logRetentionDays: context.logRetentionDays,
    // Named, not looked up: a synthesis without an account can't ask which zones there are.
    zones:
      context.zones ??
      ['a', 'b', 'c'].slice(0, profiles[context.profile].zones).map((zone) => `${context.region}${zone}`),
    ...(context.account !== undefined && { account: context.account }),
    ...(domain !== undefined && certificate !== undefined && { api: { domain, certificateArn: certificate } }),
    ...(context.gatewayDomain !== undefined && { gatewayDomain: context.gatewayDomain }),
    ...(context.alarmEmail !== undefined && { alarmEmail: context.alarmEmail }),
    ...(context.anchorBucket !== undefined && { anchorBucket: context.anchorBucket }),
    ...(release !== undefined &&
      releaseKeys !== undefined && { release: { directory: release, keysFile: releaseKeys } }),
    ...(vpcId !== undefined &&
      vpcCidr !== undefined && {
        vpc: {
          vpcId,
          cidr: vpcCidr,
          publicSubnetIds: context.vpcPublicSubnets ?? [],
          isolatedSubnetIds: context.vpcIsolatedSubnets ?? [],
        },
      }),
    image:
      image === undefined
        ? { kind: 'parameter' }
        : image === 'build'
          ? { kind: 'build' }
          : { kind: 'pinned', reference: image },
  };
}
