/** A published log behind a URL (C2SP tlog-tiles): any static file server that has the files. */
import { AuditError } from './port.ts';
import type { LogSource } from './publication.ts';
import { maxFileBytes } from './source-directory.ts';

const timeoutMs = 30_000;

/** `prefix` is `http:` or `https:`; what is under it is attacker-controlled, and redirects are refused. */
export function openUrlSource(prefix: string, get: typeof fetch = fetch): LogSource {
  const base = new URL(prefix.endsWith('/') ? prefix : `${prefix}/`);
  if (base.protocol !== 'https:' && base.protocol !== 'http:') {
    throw new AuditError('invalid', `a log is read over http or https, not ${base.protocol}`);
  }
  return {
    async read(path) {
      const url = new URL(path, base);
      try {
        const response = await get(url, { redirect: 'error', signal: AbortSignal.timeout(timeoutMs) });
        if (response.status === 404) {
          await response.body?.cancel();
          return undefined;
        }
        if (!response.ok) throw new AuditError('unavailable', `${url} answered with status ${response.status}`);
        return await readAll(response, url);
      } catch (cause) {
        if (cause instanceof AuditError) throw cause;
        throw new AuditError('unavailable', `${url} can’t be read`, { cause });
      }
    },
  };
}

async function readAll(response: Response, url: URL): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body ?? []) {
    length += chunk.length;
    if (length > maxFileBytes) throw new AuditError('malformed', `${url} has more bytes than any tile`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
