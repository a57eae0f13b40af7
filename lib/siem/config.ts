/**
 * The configuration of a destination: one closed union, shared by the admin API and the command line. It can name a kind
 * of receiver, where it is and how its events look; never a file, a program, or a credential, only a reference to one.
 *
 * A reference must be under `secret:siem/`: who may configure destinations must not be able to send any other secret of
 * the fleet to a place of their choosing.
 */
import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { z } from 'zod';
import { pemDecode } from '../crypto/x509.ts';
import { isSecretPath } from '../secrets/reference.ts';

export const mappings = ['ocsf', 'ecs', 'cef', 'leef', 'raw'] as const;
export type MappingName = (typeof mappings)[number];

/** Printable ASCII, so that nothing here can break a line or a header. */
const word = (max: number) =>
  z
    .string()
    .min(1)
    .max(max)
    .regex(/^[\x21-\x7e]+$/, 'printable ASCII without spaces');

export const destinationName = z.string().regex(/^[a-z][a-z0-9-]{0,31}$/, 'a name is a-z, 0-9 and -, at most 32');

const credentialPrefix = 'secret:siem/';
/** `secret:siem/<path>` */
const credential = z
  .string()
  .max(256)
  .refine(
    (text) => text.startsWith(credentialPrefix) && isSecretPath(text.slice('secret:'.length)),
    `a reference such as ${credentialPrefix}token; never a value`,
  );

/** https, a host, no user information, no fragment. What the host resolves to is judged when it is connected to. */
const httpsUrl = z
  .string()
  .max(2048)
  .regex(/^https:\/\/[\x21-\x7e]+$/, 'must begin with https:// and be printable ASCII')
  .refine((text) => {
    const url = URL.canParse(text) ? new URL(text) : undefined;
    return url !== undefined && url.username === '' && url.password === '' && url.hash === '' && url.hostname !== '';
  }, 'must be an https URL without user information and fragment');

const hostName = z
  .string()
  .max(253)
  .refine((text) => isIP(text) !== 0 || /^[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?$/.test(text), 'a host name or IP address');

const cidr = z
  .string()
  .max(49)
  .refine((text) => {
    const [address = '', bits = '', ...rest] = text.split('/');
    const family = isIP(address);
    const max = family === 4 ? 32 : 128;
    return family !== 0 && rest.length === 0 && /^(0|[1-9][0-9]{0,2})$/.test(bits) && Number(bits) <= max;
  }, 'a network such as 10.20.0.0/16');

/** Base64 of a SHA-256 over the certificate's SubjectPublicKeyInfo. */
const pin = z.string().regex(/^[A-Za-z0-9+/]{43}=$/, 'base64 of a SHA-256');

const certificates = z
  .string()
  .max(64 * 1024)
  .refine(isCertificates, 'PEM certificates, and nothing else');

/** How the receiver is reached and known. Nothing here turns a check off. */
const network = z
  .strictObject({
    /** Private networks that it may be in. Metadata and link-local addresses are refused all the same. */
    allow: z.array(cidr).max(8).default([]),
    /** The only authorities that may vouch for it, PEM; the system's unless given. */
    ca: certificates.optional(),
    /** One of these keys must be in its chain; a second one for the day the first changes. */
    pins: z.array(pin).max(2).default([]),
  })
  .default({ allow: [], pins: [] });

/** `node.enroll`, or `node.*` for everything below. */
const operationPattern = z
  .string()
  .regex(/^[a-z][a-z.-]{0,62}(?:\.\*)?$/, 'an operation such as node.enroll or node.*');

const filter = z.strictObject({
  /** Only these; all unless given. */
  include: z.array(operationPattern).min(1).max(64).optional(),
  /** Not these, whatever `include` says. */
  exclude: z.array(operationPattern).max(64).default([]),
});

/**
 * `full`: everything. `no-detail`: without the detail of the operation. `pseudonymous`: without detail, and the ids of
 * actors and objects replaced by keyed hashes, the same ones throughout the feed. Neither of the two carries raw bytes.
 */
export const redactions = ['full', 'no-detail', 'pseudonymous'] as const;

const common = {
  name: destinationName,
  filter: filter.optional(),
  redaction: z.enum(redactions).default('full'),
};
/** The first is the default. */
const mapping = <const T extends MappingName>(first: T, ...others: readonly T[]) =>
  z.enum<readonly [T, ...T[]]>([first, ...others]).default(first as never);
const anyJson = mapping('ocsf', 'ecs', 'raw');
const anyText = mapping('ocsf', 'ecs', 'cef', 'leef', 'raw');

const splunkHec = z.strictObject({
  kind: z.literal('splunk-hec'),
  ...common,
  mapping: anyText,
  network,
  /** The base, as https://splunk.example:8088. */
  url: httpsUrl,
  token: credential,
  index: word(100).optional(),
  source: word(100).optional(),
  sourcetype: word(100).default('holdfast:audit'),
  /** Wait for the indexers' acknowledgement; the token must have it enabled. */
  acknowledge: z.boolean().default(true),
});

const elastic = z.strictObject({
  kind: z.literal('elastic'),
  ...common,
  mapping: mapping('ecs', 'ocsf', 'raw'),
  network,
  url: httpsUrl,
  /** An index or a data stream. */
  index: z.string().regex(/^[a-z0-9][a-z0-9._-]{0,199}$/),
  /** One of the two: an API key, or a user with a password. */
  apiKey: credential.optional(),
  user: word(100).optional(),
  password: credential.optional(),
});

const syslog = z.strictObject({
  kind: z.literal('syslog'),
  ...common,
  mapping: mapping('cef', 'leef', 'ocsf', 'ecs', 'raw'),
  network,
  host: hostName,
  port: z.int().min(1).max(65_535).default(6514),
  /** RFC 5424 facility; 13 is log audit. */
  facility: z.int().min(0).max(23).default(13),
  appName: word(48).default('holdfast'),
  /** For mutual TLS: the certificate chain, PEM, and a reference to its private key. Both or neither. */
  clientCertificate: certificates.optional(),
  clientKey: credential.optional(),
});

const webhook = z.strictObject({
  kind: z.literal('webhook'),
  ...common,
  mapping: anyText,
  network,
  url: httpsUrl,
  /** The signing secret of Standard Webhooks (`whsec_…`). */
  secret: credential,
});

const sentinel = z.strictObject({
  kind: z.literal('sentinel'),
  ...common,
  mapping: anyJson,
  network,
  /** The data collection endpoint. */
  url: httpsUrl,
  ruleId: z.string().regex(/^dcr-[0-9a-f]{32}$/, 'the immutable id of a data collection rule'),
  stream: z.string().regex(/^Custom-[A-Za-z0-9_]{1,100}$/),
  tenant: z.uuid(),
  client: z.uuid(),
  clientSecret: credential,
  /** The national cloud. */
  cloud: z.enum(['public', 'government', 'china']).default('public'),
});

const datadog = z.strictObject({
  kind: z.literal('datadog'),
  ...common,
  mapping: anyJson,
  network,
  url: httpsUrl.default('https://http-intake.logs.datadoghq.com'),
  apiKey: credential,
  service: word(100).default('holdfast'),
  tags: z.array(word(200)).max(16).default([]),
});

const otlp = z.strictObject({
  kind: z.literal('otlp'),
  ...common,
  mapping: anyJson,
  network,
  /** The whole URL, as https://collector.example:4318/v1/logs. */
  url: httpsUrl,
  /** The value of an Authorization header, or of the header named here. */
  authorization: credential.optional(),
  header: z
    .string()
    .regex(/^[a-z][a-z0-9-]{0,63}$/)
    .default('authorization'),
});

/** Amazon's services: the process's own role unless a key is given. */
const aws = {
  region: z.string().regex(/^[a-z]{2}(-[a-z]+)+-[0-9]$/),
  /** Another endpoint than the region's. */
  url: httpsUrl.optional(),
  accessKeyId: z
    .string()
    .regex(/^[A-Z0-9]{16,128}$/)
    .optional(),
  secretAccessKey: credential.optional(),
};

const s3 = z.strictObject({
  kind: z.literal('s3'),
  ...common,
  mapping: anyText,
  network,
  ...aws,
  bucket: z.string().regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/),
  prefix: z
    .string()
    .regex(/^(?!.*\.\.)([A-Za-z0-9._=-]{1,100}\/){0,8}$/, 'names, each with a slash after it')
    .default(''),
});

const eventbridge = z.strictObject({
  kind: z.literal('eventbridge'),
  ...common,
  mapping: anyJson,
  network,
  ...aws,
  bus: z.string().regex(/^[A-Za-z0-9_.:/-]{1,256}$/),
  source: word(100).default('holdfast.audit'),
});

const union = z.discriminatedUnion('kind', [
  splunkHec,
  elastic,
  syslog,
  webhook,
  sentinel,
  datadog,
  otlp,
  s3,
  eventbridge,
]);

/** As it is shown: to who may not change it, a URL is its origin and `/…`. */
const shownUrl = z.string().regex(/^https:\/\/[\x21-\x7e]+(?:\/…)?$/);
type Option = (typeof union.options)[number];
export const shownConfig = z.discriminatedUnion(
  'kind',
  union.options.map((option: Option) => {
    if (!('url' in option.shape)) return option;
    const url = option.shape.url instanceof z.ZodOptional ? shownUrl.optional() : shownUrl;
    return option.extend({ url });
  }) as unknown as typeof union.options,
);

/** Rules that hold between fields. */
export const destinationConfig = union.superRefine((config, context) => {
  const problem = pairProblem(config);
  if (problem !== undefined) context.addIssue({ code: 'custom', ...problem });
});

export type DestinationConfig = z.infer<typeof union>;
export type DestinationKind = DestinationConfig['kind'];
export type ConfigOf<K extends DestinationKind> = Extract<DestinationConfig, { kind: K }>;
export type NetworkConfig = DestinationConfig['network'];
export type FilterConfig = z.infer<typeof filter>;
export type Redaction = (typeof redactions)[number];

export const destinationKinds = union.options.map(({ shape }) => shape.kind.value) as readonly DestinationKind[];

/** The fields of a configuration that refer to secrets, and the paths that they refer to. */
export function credentialsOf(config: DestinationConfig): readonly { readonly field: string; readonly path: string }[] {
  return Object.entries(config).flatMap(([field, value]) =>
    typeof value === 'string' && value.startsWith(credentialPrefix)
      ? [{ field, path: value.slice('secret:'.length) }]
      : [],
  );
}

/** What must come together, or not at all. */
function pairProblem(config: DestinationConfig): { readonly path: string[]; readonly message: string } | undefined {
  switch (config.kind) {
    case 'elastic':
      if ((config.apiKey === undefined) === (config.password === undefined))
        return { path: ['apiKey'], message: 'give either apiKey, or user and password' };
      return bothOrNeither(config, 'user', 'password');
    case 'syslog':
      return bothOrNeither(config, 'clientCertificate', 'clientKey');
    case 's3':
    case 'eventbridge':
      return bothOrNeither(config, 'accessKeyId', 'secretAccessKey');
    default:
      return undefined;
  }
}

function bothOrNeither<T extends object>(config: T, one: keyof T & string, other: keyof T & string) {
  if ((config[one] === undefined) === (config[other] === undefined)) return undefined;
  return { path: [one], message: `${one} and ${other} come together` };
}

function isCertificates(text: string): boolean {
  const blocks = text.trim().split(/(?<=-----END CERTIFICATE-----)\s*/);
  try {
    return blocks.every((block) => new X509Certificate(pemDecode('CERTIFICATE', block)).raw.length > 0);
  } catch {
    return false;
  }
}
