/** `run --once`: one visit to the control plane and one run, for cron, for tests and for people. */

import type { Agent } from './compose.ts';
import { checkIn, sendReports } from './control-plane.ts';
import type { Run } from './converge.ts';
import { refusedForGood } from './daemon.ts';
import type { ResourceOutcome } from './engine.ts';
import type { Session } from './session.ts';
import { SessionError } from './session-error.ts';

export type OnceOptions = {
  readonly dryRun: boolean;
  readonly stop: AbortSignal;
  readonly onOutcome: (outcome: ResourceOutcome) => void;
};

export type OnceResult = {
  readonly run: Run;
  /** False when the control plane wasn't there, and what was held before was used. */
  readonly isOnline: boolean;
  readonly release: 'none' | 'adopted' | 'refused';
};

/** Throws `AgentError` `refused` when gateway and identity service both refuse this node; nothing is changed then. */
export async function runOnce(agent: Agent, options: OnceOptions): Promise<OnceResult> {
  const visited = await visitOnce(agent);
  try {
    let isOnline = visited !== undefined;
    const run = await agent.converge(options);
    if (run.report.releaseNumber > 0 || run.error !== '') {
      await agent.queue.add(run.report);
    }
    if (visited !== undefined) {
      try {
        await sendReports(agent, visited.session);
      } catch (error) {
        isOnline = tolerate(agent, error);
      }
    }
    return { run, isOnline, release: visited?.release ?? 'none' };
  } finally {
    visited?.session.close();
  }
}

/** A session on which the gateway took a check-in: only that shows that it accepts this node. */
type Visit = { readonly session: Session; readonly release: OnceResult['release'] };

async function visit(agent: Agent): Promise<Visit> {
  const session = await agent.connect(() => undefined);
  try {
    return { session, release: (await checkIn(agent, session)).release };
  } catch (error) {
    session.close();
    throw error;
  }
}

async function visitOnce(agent: Agent): Promise<Visit | undefined> {
  try {
    return await visit(agent);
  } catch (error) {
    tolerate(agent, error);
    if (!(error instanceof SessionError) || error.code !== 'unauthenticated') {
      return undefined;
    }
  }
  // A revoked node, an expired certificate and a wrong clock look alike to the gateway; renewing tells them apart.
  switch (await agent.renew()) {
    case 'refused':
      throw refusedForGood();
    case 'unreachable':
      return undefined;
    case 'renewed':
      try {
        return await visit(agent);
      } catch (error) {
        tolerate(agent, error);
        return undefined;
      }
  }
}

/** Goes on with what is held; anything but trouble with the control plane is thrown on. */
function tolerate(agent: Agent, error: unknown): false {
  if (!(error instanceof SessionError)) {
    throw error;
  }
  agent.logger.warn(
    { code: error.code, reason: error.message },
    'The control plane is not available; what is held is applied.',
  );
  return false;
}
