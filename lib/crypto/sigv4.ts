/**
 * AWS Signature Version 4 of one request (AWS Identity and Access Management User Guide, "Create a signed AWS API
 * request"), for calls that no client of ours makes. The path is plain; S3 wants `x-amz-content-sha256` among the headers.
 */
import { createHash, createHmac } from 'node:crypto';

export type SigningCredentials = {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
};

export type SignableRequest = {
  readonly method: string;
  /** Path segments of unreserved characters (RFC 3986 §2.3); parameters in order. */
  readonly url: URL;
  /** Names in lower case. `host` and `x-amz-date` are added. */
  readonly headers: { readonly [name: string]: string };
  readonly body: string | Uint8Array;
};

/** The headers to send, with `authorization` among them. */
export function signRequest(
  request: SignableRequest,
  scope: {
    readonly credentials: SigningCredentials;
    readonly region: string;
    readonly service: string;
    readonly now: number;
  },
): Record<string, string> {
  const { credentials, region, service } = scope;
  const date = new Date(scope.now).toISOString().replaceAll(/[-:]|\.[0-9]{3}/g, '');
  const headers: Record<string, string> = { ...request.headers, host: request.url.host, 'x-amz-date': date };
  if (credentials.sessionToken !== undefined) headers['x-amz-security-token'] = credentials.sessionToken;
  const names = Object.keys(headers).sort();
  const signed = names.join(';');
  const canonical = [
    request.method,
    request.url.pathname,
    request.url.search.slice(1),
    ...names.map((name) => `${name}:${headers[name]!.trim()}`),
    '',
    signed,
    sha256(request.body),
  ].join('\n');
  const day = date.slice(0, 8);
  const place = `${day}/${region}/${service}/aws4_request`;
  const text = ['AWS4-HMAC-SHA256', date, place, sha256(canonical)].join('\n');
  const key = [day, region, service, 'aws4_request'].reduce<string | Buffer>(
    (secret, part) => createHmac('sha256', secret).update(part).digest(),
    `AWS4${credentials.secretAccessKey}`,
  );
  const signature = createHmac('sha256', key).update(text).digest('hex');
  const credential = `${credentials.accessKeyId}/${place}`;
  return {
    ...headers,
    authorization: `AWS4-HMAC-SHA256 Credential=${credential}, SignedHeaders=${signed}, Signature=${signature}`,
  };
}

function sha256(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}
