/**
 * The provider port: one way to log in. A provider says what it needs to begin and to finish, and answers with a user;
 * sessions, cookies, audit and limits are the same for all, so another provider is one more file.
 */
import type { z } from 'zod';
import type { User } from './users.ts';

export const authMethods = ['basic', 'oidc', 'isowebauth'] as const;
export type AuthMethod = (typeof authMethods)[number];

/** What a client is told so that it can go on; `loginId` is the pre-log-in session's, for the client alone. */
export type Begun = {
  readonly loginId?: string;
  readonly expiresAt?: number;
  readonly answer: { readonly [name: string]: string | number };
};

/** `pending`: the person has not answered yet; ask again after so long. */
export type Finished =
  | { readonly kind: 'identified'; readonly user: User }
  | { readonly kind: 'pending'; readonly retryAfterMs: number };

export interface Provider {
  readonly method: AuthMethod;
  /** What anybody may know before the log-in: what the page must ask for. */
  readonly facts: { readonly [name: string]: string };
  /** Attacker-controlled input of both steps is parsed by these. */
  readonly beginSchema: z.ZodType;
  readonly finishSchema: z.ZodType;
  /** What the answer to the first step may be, for the API's description. */
  readonly begunSchemas: readonly z.ZodObject[];
  /** Throws `AccessError`. */
  begin(input: unknown): Promise<Begun>;
  /** Throws `AccessError` `refused` or `throttled`; `loginId` is what the client presented, if anything. */
  finish(input: unknown, loginId: string | undefined): Promise<Finished>;
}

/** Binds the schemas' types to the handlers, and erases them for the port. */
export function defineProvider<Begin, Finish>(provider: {
  readonly method: AuthMethod;
  readonly facts: { readonly [name: string]: string };
  readonly beginSchema: z.ZodType<Begin>;
  readonly finishSchema: z.ZodType<Finish>;
  readonly begunSchemas: readonly z.ZodObject[];
  begin(input: Begin): Promise<Begun>;
  finish(input: Finish, loginId: string | undefined): Promise<Finished>;
}): Provider {
  const { begin, finish, beginSchema, finishSchema } = provider;
  return {
    ...provider,
    begin: (input) => begin(beginSchema.parse(input)),
    finish: (input, loginId) => finish(finishSchema.parse(input), loginId),
  };
}
