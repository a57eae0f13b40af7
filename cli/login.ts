/** Logging in from a terminal, by whichever method the server names. Ends with a session that only this client holds. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LoginAnswer, LoginFacts } from '../functions/admin/routes/login.ts';
import type { Client } from './client.ts';
import { CliError } from './errors.ts';
import { signChallenge } from './sign.ts';
import type { Terminal } from './terminal.ts';

export type LoginOptions = {
  readonly user?: string;
  readonly key?: string;
  readonly device?: boolean;
};

export type LoggedIn = LoginAnswer & { readonly session: string };

export async function logIn(client: Client, terminal: Terminal, options: LoginOptions): Promise<LoggedIn> {
  const { method } = await client.get<LoginFacts>('/v1/login');
  switch (method) {
    case 'basic':
      return withPassword(client, terminal, options);
    case 'isowebauth':
      return withKey(client, options);
    case 'oidc':
      return options.device === true ? byDevice(client, terminal) : byLoopback(client, terminal);
    default:
      throw new CliError(
        'failure',
        `the server logs in by ${JSON.stringify(method)}, which this command does not know`,
      );
  }
}

async function withPassword(client: Client, terminal: Terminal, options: LoginOptions): Promise<LoggedIn> {
  const name = requireUser(options);
  const typed = await terminal.secret?.(`password of ${name}: `);
  if (typed === undefined) throw new CliError('usage', 'there is nowhere to type a password');
  const password = Buffer.from(typed)
    .toString('utf8')
    .replace(/\r?\n$/, '');
  return finish(client, { name, password });
}

async function withKey(client: Client, options: LoginOptions): Promise<LoggedIn> {
  const name = requireUser(options);
  if (options.key === undefined)
    throw new CliError('usage', 'this server logs in by SSH key, and none was named', {
      hint: 'name yours: --key ~/.ssh/id_ed25519 (or its .pub, when an agent holds it)',
    });
  const begun = await client.post<{ challenge: string; namespace: string; login: string }>('/v1/login/begin', {
    transport: 'bearer',
    input: {},
  });
  const signature = await signChallenge(begun.challenge, begun.namespace, options.key);
  return finish(client, { name, signature }, begun.login);
}

/** RFC 8252 §7.3: the browser comes back to a port of this machine, which is open for this one answer. */
async function byLoopback(client: Client, terminal: Terminal): Promise<LoggedIn> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    const redirectUri = `http://127.0.0.1:${(server.address() as AddressInfo).port}/callback`;
    const begun = await client.post<{ url: string; login: string }>('/v1/login/begin', {
      transport: 'bearer',
      input: { flow: 'code', redirectUri },
    });
    terminal.err(`open this in your browser:\n${new URL(begun.url).href}\n`);
    const query = await new Promise<URLSearchParams>((resolve) => {
      server.on('request', (request, response) => {
        const { pathname, searchParams } = new URL(request.url ?? '/', redirectUri);
        const isAnswer = pathname === '/callback' && request.method === 'GET';
        response.writeHead(isAnswer ? 200 : 404, { 'content-type': 'text/plain', connection: 'close' });
        response.end(
          isAnswer ? 'You can close this window and go back to the terminal.\n' : 'There is nothing here.\n',
        );
        if (isAnswer) resolve(searchParams);
      });
    });
    return await finish(client, Object.fromEntries(query), begun.login);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

/** RFC 8628: for a terminal on a machine without a browser. */
async function byDevice(client: Client, terminal: Terminal): Promise<LoggedIn> {
  const begun = await client.post<{
    deviceCode: string;
    userCode: string;
    verificationUri: string;
    intervalMs: number;
    expiresInMs: number;
  }>('/v1/login/begin', { transport: 'bearer', input: { flow: 'device' } });
  terminal.err(`open ${new URL(begun.verificationUri).href} and enter the code ${JSON.stringify(begun.userCode)}\n`);
  const input = { deviceCode: begun.deviceCode };
  for (let waitMs = begun.intervalMs; ; ) {
    await (terminal.pause ?? sleep)(waitMs);
    const answer = await post(client, input, undefined);
    if (!('pending' in answer)) return requireSession(answer);
    waitMs = Math.max(begun.intervalMs, answer.retryAfterMs);
  }
}

async function finish(client: Client, input: object, login?: string): Promise<LoggedIn> {
  const answer = await post(client, input, login);
  if ('pending' in answer) throw new CliError('failure', 'the server answered in a form that is not its own');
  return requireSession(answer);
}

function post(client: Client, input: object, login: string | undefined) {
  const place = login === undefined ? {} : { login };
  return client.post<LoginAnswer | { readonly pending: true; readonly retryAfterMs: number }>('/v1/login/finish', {
    transport: 'bearer',
    ...place,
    input,
  });
}

function requireSession(answer: LoginAnswer): LoggedIn {
  if (answer.session === undefined) throw new CliError('failure', 'the server opened no session for this command');
  return { ...answer, session: answer.session };
}

function requireUser({ user }: LoginOptions): string {
  if (user === undefined) throw new CliError('usage', 'say who you are', { hint: 'holdfast login --user NAME' });
  return user;
}
