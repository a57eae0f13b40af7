/**
 * Calls another function of the deployment directly: a request that IAM authenticates by its signature and allows to the
 * roles named for it, and no other way in.
 */
import { type SigningCredentials, signRequest } from '../../lib/crypto/sigv4.ts';

export type InvokeDeps = {
  readonly region: string;
  readonly functionArn: string;
  /** Another address than the region's own, for emulators. */
  readonly endpoint?: string | undefined;
  readonly credentials: () => Promise<SigningCredentials>;
  readonly now: () => number;
};

/** The function could not be called, or ended with an error. What it said is for logs alone. */
export class InvokeError extends Error {
  override readonly name = 'InvokeError';
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

const timeoutMs = 20_000;

/** Throws `InvokeError`, or what `fetch` throws when there is no connection. */
export async function invokeFunction(deps: InvokeDeps, payload: object): Promise<unknown> {
  return JSON.parse(await send(deps, payload, {}));
}

/** Returns once AWS has taken the event; the function runs by itself. Throws as `invokeFunction` does. */
export async function notifyFunction(deps: InvokeDeps, payload: object): Promise<void> {
  await send(deps, payload, { 'x-amz-invocation-type': 'Event' });
}

async function send(deps: InvokeDeps, payload: object, more: Record<string, string>): Promise<string> {
  const { region, functionArn, now } = deps;
  const name = /:function:([A-Za-z0-9-_]{1,64})(?::[A-Za-z0-9-_$]{1,128})?$/.exec(functionArn)?.[1];
  if (name === undefined) throw new TypeError('not the ARN of a function');
  const base = deps.endpoint ?? `https://lambda.${region}.amazonaws.com`;
  // AWS Lambda API reference, Invoke.
  const url = new URL(`/2015-03-31/functions/${name}/invocations`, base);
  const body = JSON.stringify(payload);
  const headers = signRequest(
    { method: 'POST', url, headers: { 'content-type': 'application/json', ...more }, body },
    { credentials: await deps.credentials(), region, service: 'lambda', now: now() },
  );
  const signal = AbortSignal.timeout(timeoutMs);
  const response = await fetch(url, { method: 'POST', headers, body, redirect: 'error', signal });
  const text = await response.text();
  // A function that throws is answered with 200 and this header.
  if (!response.ok || response.headers.get('x-amz-function-error') !== null) {
    throw new InvokeError(response.status, `${name} answered with ${response.status}: ${text.slice(0, 300)}`);
  }
  return text;
}
