/**
 * The daemon: one loop that keeps a session with the gateway, checks in when told to, converges on its own interval
 * whether or not anybody is there, and sends reports when somebody is. Only being refused for good ends it.
 */
import type { Logger } from 'pino';
import { type CheckedIn, type ControlPlaneDeps, checkIn, sendReports } from './control-plane.ts';
import type { Run } from './converge.ts';
import { AgentError, messageOf } from './errors.ts';
import { backOffMs, jitteredMs, type Random } from './pace.ts';
import type { OfferedBuild, Session, SessionPush } from './session.ts';
import { SessionError } from './session-error.ts';
import type { Updates } from './updater/updates.ts';

export type DaemonDeps = ControlPlaneDeps & {
  readonly logger: Logger;
  readonly random: Random;
  /** Opens a session, renewing the certificate first when that is due. Throws `SessionError`. */
  connect(onPush: (push: SessionPush) => void): Promise<Session>;
  /** Renews the certificate now. `refused` is the identity service's own word that this node is not wanted. */
  renew(): Promise<'renewed' | 'refused' | 'unreachable'>;
  /** One run of what is held; with `secretsOnly`, of what depends on a secret that changed. */
  converge(run?: { readonly secretsOnly?: boolean; readonly dryRun?: boolean }): Promise<Run>;
  /** Resolves after so long, or as soon as the signal fires. Never rejects. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
  readonly updates?: Updates;
};

export type DaemonOptions = {
  readonly stop: AbortSignal;
  /** Between two runs when nothing new arrives. */
  readonly convergeIntervalMs: number;
};

const reconnect = { firstMs: 1_000, maxMs: 5 * 60_000 };

/** A gateway that says "now" each time, or "never", is held to this. */
const minCheckInMs = 1_000;
const maxCheckInMs = 24 * 60 * 60_000;

/** After a renewal didn't help: the clock, or the gateway's view of this node, may need an operator. */
const refusedRetryMs = 15 * 60_000;

/** Gateway and identity service must both refuse this often in a row: a clock that is just being set is no revocation. */
const maxRefusals = 3;

/**
 * Runs until stopped, or until a new build of the agent waits for its start. Throws `AgentError` `refused` when gateway
 * and identity service both refuse this node.
 */
export async function runDaemon(deps: DaemonDeps, options: DaemonOptions): Promise<'stopped' | 'replaced'> {
  const daemon = new Daemon(deps, options);
  try {
    while (!options.stop.aborted && !daemon.isReplaced) {
      await daemon.turn();
    }
    return daemon.isReplaced ? 'replaced' : 'stopped';
  } finally {
    daemon.close();
  }
}

/** Invariant: each `next…At` is the time from which its step may be taken; a session, when there is one, is open. */
class Daemon {
  readonly #deps: DaemonDeps;
  readonly #options: DaemonOptions;
  #session: Session | undefined;
  #attempt = 0;
  #refusals = 0;
  #nextConnectAt = 0;
  #nextCheckInAt = 0;
  /** A push asked for a check-in that hasn't begun yet; one under way may have been answered before it. */
  #isCheckInAsked = false;
  #nextConvergeAt = 0;
  #haveSecretsChanged = false;
  #isDryRunAsked = false;
  #wake = new AbortController();
  #hasRun = false;
  #hasCheckedIn = false;
  #wantedBuild: OfferedBuild | undefined;
  #isPursuing = false;
  /** A new build waits for its start. */
  isReplaced = false;

  constructor(deps: DaemonDeps, options: DaemonOptions) {
    this.#deps = deps;
    this.#options = options;
    options.stop.addEventListener('abort', () => this.#wake.abort(), { once: true });
  }

  /** Takes each step that is due, then waits for the next one, or for something to happen. */
  async turn(): Promise<void> {
    const { now } = this.#deps;
    if (this.#session === undefined && now() >= this.#nextConnectAt) {
      await this.#connect();
    }
    if (this.#session !== undefined && (this.#isCheckInAsked || now() >= this.#nextCheckInAt)) {
      this.#isCheckInAsked = false;
      await this.#online(async (session) => this.#onCheckedIn(await checkIn(this.#deps, session)));
    }
    if (now() >= this.#nextConvergeAt && !this.#options.stop.aborted) {
      await this.#converge();
    } else if (this.#haveSecretsChanged && !this.#options.stop.aborted) {
      await this.#reapplySecrets();
    }
    if (this.#isDryRunAsked && !this.#options.stop.aborted) {
      await this.#runDry();
    }
    if (this.#session !== undefined) {
      await this.#online((session) => sendReports(this.#deps, session));
    }
    if (this.#session !== undefined && this.#hasCheckedIn && this.#hasRun) {
      this.#deps.updates?.proved();
      void this.#pursueBuild(this.#session);
    }
    await this.#rest();
  }

  close(): void {
    this.#session?.close();
  }

  async #connect(): Promise<void> {
    try {
      const session = await this.#deps.connect((push) => this.#onPush(push));
      this.#session = session;
      this.#nextCheckInAt = 0;
      void session.ended.then((error) => this.#onEnded(session, error));
    } catch (error) {
      await this.#onFailure(error);
    }
  }

  async #online(step: (session: Session) => Promise<unknown>): Promise<void> {
    const session = this.#session;
    if (session === undefined) {
      return;
    }
    try {
      await step(session);
      this.#attempt = 0;
      this.#refusals = 0;
    } catch (error) {
      if (!(error instanceof SessionError)) {
        throw error;
      }
      if (error.code === 'refused') {
        // Authentic, but not served, as while quarantined: the session is good, and the next check-in tries again.
        this.#deps.logger.warn({ reason: error.reason }, 'The gateway did not serve a request.');
        this.#nextCheckInAt = Math.max(this.#nextCheckInAt, this.#deps.now() + jitteredMs(60_000, this.#deps.random));
        return;
      }
      this.#drop(session);
      await this.#onFailure(error);
    }
  }

  async #onFailure(error: unknown): Promise<void> {
    if (!(error instanceof SessionError)) {
      throw error;
    }
    const { logger, now, random } = this.#deps;
    const delayMs = error.code === 'unauthenticated' ? await this.#afterRefusal() : undefined;
    const waitMs = delayMs ?? backOffMs(this.#attempt, reconnect, random);
    this.#attempt += 1;
    this.#nextConnectAt = now() + waitMs;
    logger.warn(
      { code: error.code, waitMs, reason: error.message },
      'The gateway is not available; what is held goes on.',
    );
  }

  /**
   * The gateway says one thing for a revoked node, an expired certificate and a wrong clock. Renewing tells them apart:
   * the identity key still speaks for a node that is wanted.
   */
  async #afterRefusal(): Promise<number | undefined> {
    const { logger, random } = this.#deps;
    const outcome = await this.#deps.renew();
    switch (outcome) {
      case 'renewed':
        // Once more at once; if that is refused too, seldom.
        return this.#attempt === 0 ? 0 : jitteredMs(refusedRetryMs, random);
      case 'unreachable':
        logger.warn(
          'The gateway refuses this node, and the identity service is not reachable to renew its certificate.',
        );
        return undefined;
      case 'refused':
        this.#refusals += 1;
        if (this.#refusals >= maxRefusals) {
          throw refusedForGood();
        }
        return undefined;
      default:
        return outcome satisfies never;
    }
  }

  #onCheckedIn(answer: CheckedIn): void {
    const pacedMs = Math.min(maxCheckInMs, Math.max(minCheckInMs, answer.nextCheckInMs));
    this.#nextCheckInAt = this.#deps.now() + pacedMs;
    if (answer.quarantined) {
      this.#deps.logger.warn('This node is quarantined: it gets no new policy and no secrets.');
    }
    this.#hasCheckedIn = true;
    this.#wantedBuild = answer.quarantined ? undefined : answer.build;
    this.#haveSecretsChanged ||= answer.secretsChanged;
    if (answer.release === 'adopted') {
      this.#nextConvergeAt = 0;
    }
  }

  /** Beside the runs: a download may take long, and what is held goes on. */
  async #pursueBuild(session: Session): Promise<void> {
    const { updates, logger } = this.#deps;
    if (updates === undefined || this.#isPursuing) {
      return;
    }
    this.#isPursuing = true;
    try {
      if (await updates.pursue(session, this.#wantedBuild)) {
        this.isReplaced = true;
        this.#wake.abort();
      }
    } catch (error) {
      logger.warn({ reason: messageOf(error) }, 'The update of the agent waits for the next check-in.');
    } finally {
      this.#isPursuing = false;
    }
  }

  /** Between two runs: a rotated secret doesn't wait for the next one, and nothing else is touched. */
  async #reapplySecrets(): Promise<void> {
    const { logger, queue } = this.#deps;
    this.#haveSecretsChanged = false;
    try {
      const { report, outcomes, error } = await this.#deps.converge({ secretsOnly: true });
      if (outcomes.length > 0 || error !== '') {
        await queue.add(report);
      }
    } catch (error) {
      if (!(error instanceof AgentError && error.code === 'busy')) {
        throw error;
      }
      // The epoch stays as it was, so the next check-in says so again.
      logger.warn('Another run is under way; changed secrets wait.');
    }
  }

  /** Somebody wants to know how the machine stands. Nothing is changed, and the next run comes when it would have. */
  async #runDry(): Promise<void> {
    const { logger, queue } = this.#deps;
    this.#isDryRunAsked = false;
    try {
      const { report, error } = await this.#deps.converge({ dryRun: true });
      if (report.releaseNumber > 0 || error !== '') {
        await queue.add(report);
      }
    } catch (error) {
      if (!(error instanceof AgentError && error.code === 'busy')) {
        throw error;
      }
      logger.warn('Another run is under way; its report will do.');
    }
  }

  async #converge(): Promise<void> {
    const { logger, now, queue, random } = this.#deps;
    this.#haveSecretsChanged = false;
    try {
      const { report, error } = await this.#deps.converge();
      if (report.releaseNumber > 0 || error !== '') {
        await queue.add(report);
      }
    } catch (error) {
      if (!(error instanceof AgentError && error.code === 'busy')) {
        throw error;
      }
      logger.warn('Another run is under way; this one is left out.');
    }
    this.#hasRun = true;
    this.#nextConvergeAt = now() + jitteredMs(this.#options.convergeIntervalMs, random);
  }

  #onPush(push: SessionPush): void {
    switch (push.kind) {
      case 'release':
        this.#isCheckInAsked = true;
        break;
      case 'wake':
        this.#isCheckInAsked = true;
        if (push.run) {
          this.#nextConvergeAt = 0;
        }
        this.#isDryRunAsked ||= push.dryRun === true;
        break;
      case 'drain':
        // The gateway spreads its agents itself, by the delay it gives each.
        this.#nextConnectAt = this.#deps.now() + push.reconnectAfterMs;
        this.#drop(this.#session);
        break;
      default:
        push satisfies never;
    }
    this.#wake.abort();
  }

  #onEnded(session: Session, error: SessionError): void {
    if (this.#session === session) {
      this.#session = undefined;
      this.#nextConnectAt = this.#deps.now() + backOffMs(this.#attempt, reconnect, this.#deps.random);
      this.#deps.logger.info({ code: error.code }, 'The session with the gateway ended.');
      this.#wake.abort();
    }
  }

  #drop(session: Session | undefined): void {
    if (session !== undefined && this.#session === session) {
      this.#session = undefined;
    }
    session?.close();
  }

  async #rest(): Promise<void> {
    const nextOnlineAt = this.#session === undefined ? this.#nextConnectAt : this.#nextCheckInAt;
    const untilMs = Math.min(nextOnlineAt, this.#nextConvergeAt) - this.#deps.now();
    const isAsked = (this.#session !== undefined && this.#isCheckInAsked) || this.#isDryRunAsked;
    if (untilMs > 0 && !isAsked && !this.#options.stop.aborted && !this.isReplaced) {
      await this.#deps.sleep(untilMs, this.#wake.signal);
    }
    // What happened while resting is in the times by now; what happens from here on wakes the next rest.
    this.#wake = new AbortController();
  }
}

export function refusedForGood(): AgentError {
  return new AgentError('refused', 'the control plane refuses this node: it was revoked, or is not known there', {
    hint: 'if it should be managed again, join it as a new node: remove the state directory and use a new token',
  });
}
