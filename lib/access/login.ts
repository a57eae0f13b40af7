/** Logging in, whatever the provider: proof, then session, and every refusal in the audit log. */

import { AccessError } from './errors.ts';
import { normalizeName } from './names.ts';
import { unauthenticated } from './principal.ts';
import type { Provider } from './provider.ts';
import { openSession, type SessionDeps, type Transport } from './sessions.ts';
import { getUser, type User } from './users.ts';

export type LoginResult =
  | { readonly kind: 'pending'; readonly retryAfterMs: number }
  | {
      readonly kind: 'session';
      readonly user: User;
      readonly id: string;
      readonly expiresAt: number;
      readonly maxAgeMs: number;
    };

/** Throws `AccessError` `refused` or `throttled`, recorded as `session.refuse`. */
export async function finishLogin(
  deps: SessionDeps & { readonly provider: Provider },
  attempt: { readonly input: unknown; readonly loginId: string | undefined; readonly transport: Transport },
): Promise<LoginResult> {
  const { provider } = deps;
  try {
    const finished = await provider.finish(attempt.input, attempt.loginId);
    if (finished.kind === 'pending') return finished;
    const session = await openSession(deps, finished.user, attempt.transport);
    return { kind: 'session', user: finished.user, ...session };
  } catch (error) {
    if (error instanceof AccessError && error.reason !== undefined)
      await recordRefusal(deps, attempt.input, error.reason);
    throw error;
  }
}

/** Names the user only when there is one: what somebody typed into the wrong field does not get into the log. */
async function recordRefusal(
  { store, audit, provider }: SessionDeps & { readonly provider: Provider },
  input: unknown,
  reason: string,
): Promise<void> {
  const claimed = (input as { name?: unknown } | null)?.name;
  const name = typeof claimed === 'string' ? normalizeName(claimed) : '';
  const known = await getUser(store, name);
  await audit.deny({
    type: 'session.refuse',
    actor: unauthenticated,
    object: { kind: 'user', id: known === undefined ? 'unknown' : known.name },
    outcome: 'denied',
    detail: { method: provider.method, reason },
  });
}
