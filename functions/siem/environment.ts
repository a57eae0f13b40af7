/** The environment of the two functions: names and addresses, and nothing else of ours. */
import { z } from 'zod';

const shape = z.object({
  /** Set by AWS. */
  AWS_REGION: z.string().regex(/^[a-z]{2}(-[a-z]+)+-[0-9]$/),
  AWS_ACCESS_KEY_ID: z.string().min(1),
  AWS_SECRET_ACCESS_KEY: z.string().min(1),
  AWS_SESSION_TOKEN: z.string().optional(),
  HOLDFAST_TABLE: z.string().regex(/^[A-Za-z0-9_.-]{3,255}$/),
  HOLDFAST_DATA_KEY_ARN: z.string().regex(/^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:.{1,200}$/),
  HOLDFAST_SECRETS_PREFIX: z.string().regex(/^[a-z0-9-]{1,64}\/[a-z0-9-]{1,64}\/$/),
  HOLDFAST_SIEM_QUEUE_URL: z.string().regex(/^https:\/\/[a-z0-9.-]{1,253}\/[0-9]{12}\/[A-Za-z0-9_-]{1,80}$/),
});

export type SiemEnvironment = z.infer<typeof shape>;

/** Throws `TypeError` that names what is missing, wrong or unknown; values are not repeated. */
export function readSiemEnvironment(environment: { readonly [key: string]: string | undefined }): SiemEnvironment {
  const unknown = Object.keys(environment).filter((key) => key.startsWith('HOLDFAST_') && !(key in shape.shape));
  const parsed = shape.safeParse(environment);
  const problems = [...unknown, ...(parsed.error?.issues ?? []).map(({ path }) => path.join('.'))];
  if (problems.length > 0 || !parsed.success)
    throw new TypeError(`the environment of siem can't be used: ${problems.join(', ')}`);
  return Object.freeze(parsed.data);
}
