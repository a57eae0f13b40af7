/**
 * Objects in Amazon S3: each batch one object of NDJSON, gzip. Its name is a function of the batch and it is written only
 * where there is none (`If-None-Match`), so that a batch that comes twice stands once, and no object is ever replaced.
 */
import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { ConfigOf } from '../config.ts';
import type { Destination, SendResult } from '../destination.ts';
import type { Batch } from '../event.ts';
import { createHttpClient, type HttpAnswer, type HttpRequest, resultOfStatus, sendAndJudge } from '../http.ts';
import { contextOf, mapToText } from '../mappings/map.ts';
import { awsDomain, ownRole, type RoleCredentials, signFor } from './aws.ts';
import { baseUrl } from './url.ts';

type Config = ConfigOf<'s3'>;
export type AwsDeps = { readonly now: () => number; readonly role?: RoleCredentials };

const compress = promisify(gzip);

export function openS3(config: Config, deps: AwsDeps = { now: Date.now }): Destination {
  const client = createHttpClient(config.network);
  const role = deps.role ?? ownRole(config.region);
  return {
    limits: { maxEvents: 1000, maxBytes: 2 * 1024 * 1024 },
    async send(batch, credentials, signal) {
      const lines = batch.events.map((event, i) => `${mapToText(config.mapping, event, contextOf(batch, i))}\n`);
      const body = await compress(lines.join(''));
      const unsigned: HttpRequest = {
        method: 'PUT',
        url: objectUrl(config, objectKey(config, batch)),
        headers: {
          'content-type': 'application/x-ndjson',
          'content-encoding': 'gzip',
          'if-none-match': '*',
          'x-amz-checksum-sha256': createHash('sha256').update(body).digest('base64'),
          'x-amz-content-sha256': createHash('sha256').update(body).digest('hex'),
        },
        body,
      };
      let signed: HttpRequest;
      try {
        signed = await signFor(config, 's3', unsigned, { credentials, role, now: deps.now });
      } catch {
        return { kind: 'auth', reason: 'the process has no AWS credentials' };
      }
      return sendAndJudge(client, signed, signal, judge);
    },
    async close() {
      client.close();
    },
  };
}

function judge(answer: HttpAnswer): SendResult {
  // 412: this batch is there. 409: it is being written by another (API reference, PutObject, "If-None-Match").
  if (answer.status === 412) return { kind: 'delivered' };
  if (answer.status === 409) return { kind: 'transient', reason: 'HTTP 409' };
  return resultOfStatus(answer);
}

/** `<prefix><log>/<day>/<first sequence>-<batch id>.ndjson.gz`: names sort as the log does, within a day. */
function objectKey({ prefix }: Config, batch: Batch): string {
  const day = new Date(batch.madeAt).toISOString().slice(0, 10);
  const first = batch.events.find((event) => 'seq' in event);
  const sequence = first === undefined ? 'none' : `${first.seq}`.padStart(16, '0');
  // As it is in a URL: S3 signs the encoded form, in which "=" is no separator.
  return `${prefix.replaceAll('=', '%3D')}${batch.log.replaceAll(/[^A-Za-z0-9._-]/g, '_')}/${day}/${sequence}-${batch.id}.ndjson.gz`;
}

function objectUrl({ bucket, region, url }: Config, key: string): URL {
  // "*.s3.…" does not cover a bucket whose name has a dot.
  if (url !== undefined || bucket.includes('.')) {
    return baseUrl(url ?? `https://s3.${region}.${awsDomain(region)}`, `${bucket}/${key}`);
  }
  return baseUrl(`https://${bucket}.s3.${region}.${awsDomain(region)}`, key);
}
