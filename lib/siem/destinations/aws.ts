/** Requests to Amazon's services: their addresses, their credentials, and their signature. */
import { S3Client } from '@aws-sdk/client-s3';
import { type SigningCredentials, signRequest } from '../../crypto/sigv4.ts';
import type { ConfigOf } from '../config.ts';
import type { Credentials } from '../destination.ts';
import type { HttpRequest } from '../http.ts';

type AwsConfig = ConfigOf<'s3' | 'eventbridge'>;

/** The process's own role; asked anew for each send, kept fresh by the SDK. */
export type RoleCredentials = () => Promise<SigningCredentials>;

export function ownRole(region: string): RoleCredentials {
  let client: S3Client | undefined;
  return () => {
    client ??= new S3Client({ region });
    return client.config.credentials();
  };
}

/** Throws what the SDK does when the process has no role. */
export async function signFor(
  config: AwsConfig,
  service: 's3' | 'events',
  request: HttpRequest,
  deps: { readonly credentials: Credentials; readonly role: RoleCredentials; readonly now: () => number },
): Promise<HttpRequest> {
  const secretAccessKey = deps.credentials['secretAccessKey'];
  const credentials =
    config.accessKeyId === undefined || secretAccessKey === undefined
      ? await deps.role()
      : { accessKeyId: config.accessKeyId, secretAccessKey: secretAccessKey.reveal() };
  const { host: _, ...headers } = signRequest(request, {
    credentials,
    region: config.region,
    service,
    now: deps.now(),
  });
  return { ...request, headers };
}

/** China has a domain of its own. */
export function awsDomain(region: string): string {
  return region.startsWith('cn-') ? 'amazonaws.com.cn' : 'amazonaws.com';
}
