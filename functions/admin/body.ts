/** Request bodies: read up to a limit and not a byte further, whatever the length header claims. */
import { duplicateName } from './duplicate-names.ts';
import { Problem } from './problem.ts';

const maxJsonBytes = 1024 * 1024;

/** A JSON body. The media type is demanded so that a browser form can't be mistaken for one. */
export async function readJson(request: Request): Promise<unknown> {
  const mediaType = request.headers.get('content-type')?.split(';')[0]?.trim().toLowerCase();
  if (mediaType !== 'application/json')
    throw new Problem('unsupported-media-type', 'the body must be sent as application/json');
  const bytes = await readBytes(request, maxJsonBytes);
  let text: string;
  let value: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    value = JSON.parse(text);
  } catch (error) {
    throw new Problem('invalid-request', 'body: not JSON', { cause: error });
  }
  const twice = duplicateName(text);
  if (twice !== undefined) throw new Problem('invalid-request', `body: ${JSON.stringify(twice)} comes twice`);
  return value;
}

/** A raw body of at most `maxBytes`. */
export async function readBytes(request: Request, maxBytes: number): Promise<Uint8Array> {
  const tooLarge = () => new Problem('too-large', `the body is limited to ${maxBytes} bytes`);
  if (Number(request.headers.get('content-length') ?? 0) > maxBytes) throw tooLarge();
  const chunks: Uint8Array[] = [];
  let total = 0;
  for await (const chunk of request.body ?? []) {
    total += chunk.length;
    if (total > maxBytes) throw tooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, total);
}
