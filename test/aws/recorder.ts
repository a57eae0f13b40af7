/** Between a function and the emulator: passes everything on, and notes which action was called on what. */
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';

/** `resource`: the object's key in its bucket, or the ARN of a key, a table or a stream. `partitions`: leading keys. */
export type Call = { readonly action: string; readonly resource: string; readonly partitions: readonly string[] };

export type Recorder = { readonly endpoint: string; readonly calls: Call[]; close(): Promise<void> };

export async function startRecorder(target: string): Promise<Recorder> {
  const calls: Call[] = [];
  const { hostname, port } = new URL(target);
  const server = createServer(async (incoming, outgoing) => {
    const body = Buffer.concat(await incoming.toArray());
    calls.push(...callsOf(incoming.method!, incoming.url!, incoming.headers, body));
    // The host stays as the client signed it.
    const options = { hostname, port, method: incoming.method, path: incoming.url, headers: incoming.headers };
    const passed = request(options, (answer) => {
      // Amazon S3 API reference, GetObject: who may not list a bucket is told 403 of an absent object, not 404.
      const [, bucket = '', key] = incoming.url!.split('/');
      if (answer.statusCode === 404 && key !== undefined) {
        calls.push({ action: 's3:ListBucket', resource: bucket, partitions: [] });
      }
      outgoing.writeHead(answer.statusCode!, answer.headers);
      answer.pipe(outgoing);
    });
    passed.on('error', () => outgoing.destroy());
    passed.end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

function callsOf(
  method: string,
  url: string,
  headers: { readonly [name: string]: string | string[] | undefined },
  body: Buffer,
): Call[] {
  const target = String(headers['x-amz-target'] ?? '');
  if (target === '') return [objectCall(method, url)];
  const [service = '', operation = ''] = target.split('.');
  const input = JSON.parse(body.toString()) as Input;
  if (service.startsWith('TrentService')) {
    return [{ action: `kms:${operation}`, resource: String(input.KeyId), partitions: [] }];
  }
  if (service === 'AmazonSQS') {
    return [{ action: `sqs:${operation}`, resource: String(input.QueueUrl), partitions: [] }];
  }
  if (service === 'secretsmanager') {
    return [{ action: `secretsmanager:${operation}`, resource: input.SecretId ?? input.Name ?? '*', partitions: [] }];
  }
  const resource = String(input.StreamArn ?? input.TableName ?? '');
  if (service.startsWith('DynamoDBStreams')) return [{ action: `dynamodb:${operation}`, resource, partitions: [] }];
  if (operation === 'TransactWriteItems') return (input.TransactItems ?? []).flatMap(transactCall);
  const values = input.ExpressionAttributeValues?.[':pk']?.S;
  return [{ action: `dynamodb:${operation}`, resource, partitions: present(leadingKey(input) ?? values) }];
}

type Keys = { readonly pk?: { readonly S?: string } };
type Input = {
  readonly QueueUrl?: string;
  readonly KeyId?: string;
  readonly SecretId?: string;
  readonly Name?: string;
  readonly TableName?: string;
  readonly StreamArn?: string;
  readonly Key?: Keys;
  readonly Item?: Keys;
  readonly ExpressionAttributeValues?: { readonly [name: string]: { readonly S?: string } };
  readonly TransactItems?: readonly { readonly [kind: string]: Input }[];
};

/** Developer Guide, "Using IAM with DynamoDB transactions": each write needs the right of its own action. */
const transactActions: { readonly [kind: string]: string } = {
  Put: 'dynamodb:PutItem',
  Update: 'dynamodb:UpdateItem',
  Delete: 'dynamodb:DeleteItem',
  ConditionCheck: 'dynamodb:ConditionCheckItem',
};

function transactCall(item: { readonly [kind: string]: Input }): Call[] {
  return Object.entries(item).map(([kind, input]) => ({
    action: transactActions[kind] ?? kind,
    resource: String(input.TableName),
    partitions: present(leadingKey(input)),
  }));
}

function leadingKey({ Key, Item }: Input): string | undefined {
  return (Key ?? Item)?.pk?.S;
}

/** Service Authorization Reference, Amazon S3: which right an operation needs. */
function objectCall(method: string, url: string): Call {
  const { pathname, searchParams } = new URL(url, 'http://s3');
  const [, bucket = '', ...rest] = pathname.split('/');
  const key = rest.join('/');
  const resource = key === '' ? bucket : `${bucket}/${decodeURIComponent(key)}`;
  const action = () => {
    if (key === '') {
      if (method === 'POST' && searchParams.has('delete')) return 's3:DeleteObject';
      return searchParams.has('versions') ? 's3:ListBucketVersions' : 's3:ListBucket';
    }
    if (method === 'PUT') return 's3:PutObject';
    return searchParams.has('versionId') ? 's3:GetObjectVersion' : 's3:GetObject';
  };
  return { action: action(), resource, partitions: [] };
}

function present(text: string | undefined): string[] {
  return text === undefined ? [] : [text];
}
